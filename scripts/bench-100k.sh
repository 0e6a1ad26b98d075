#!/usr/bin/env bash
# 100,000 connections from this machine to this machine: what one costs at rest, then echo and broadcast on all of them.
#
#   scripts/bench-100k.sh [--connections N] [--seconds S] [--rate N/s] [--report DIR] [--no-build]
#
# First every connection echoes once, and the server's user memory (PSS) 10 s later is compared with what it was before the
# first connection. Then 20,000 messages a second are echoed for 60 s on a schedule that waits for nobody, while every 5 s one
# more goes to all connections. A connection that is not made or not held, and a message that is lost, doubled, out of
# order or changed, makes the exit code 1.
#
# bench-client starts throng for as many connections, which takes an fd table per shard where one does not hold them, and
# stops it afterwards. Both ends are here, so a connection costs the machine about 8.5 KB of kernel memory: 0.85 GB. The
# reports go to target/bench as text and JSON, the response times also as a percentile file (.hgrm). For a quick look:
# --connections 2000 --seconds 3.
set -euo pipefail
cd "$(dirname "$0")/.."

connections=100000
seconds=60
rate=20000
report=target/bench
build=1
while [ $# -gt 0 ]; do
    case $1 in
    --connections) connections=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --rate) rate=$2 && shift ;;
    --report) report=$2 && shift ;;
    --no-build) build= ;;
    *) sed -n '2,15s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done
[ -z "$build" ] || cargo build --quiet --release --workspace --bins
mkdir -p "$report"

# Told and not enforced: bench-client refuses by itself what cannot work here, and own fd tables make up for a low limit.
scripts/tune-host.sh --check --client --connections "$connections" | grep -A1 ^LACKS || true

run() {
    local mode=$1
    shift
    printf '\n== %s connections, %s\n' "$connections" "$mode"
    # Both ends share this machine, and a broadcast to all of them takes it whole: what is asked is whether anything is lost.
    target/release/bench-client "$mode" --connections "$connections" --quiet --allow-saturated \
        --json "$report/$mode.json" "$@" |
        tee "$report/$mode.txt"
}

status=0
run memory --rate "$rate" --duration "$((seconds < 10 ? seconds : 10))s" || status=1
run mixed --rate "$rate" --broadcast-every "$((seconds < 10 ? 1 : 5))s" --duration "${seconds}s" \
    --hgrm "$report/mixed.hgrm" || status=1
exit $status
