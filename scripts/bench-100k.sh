#!/usr/bin/env bash
# 100,000 connections from this machine to this machine: what they cost idle, then echo and broadcast on all of them.
#
#   scripts/bench-100k.sh [--connections N] [--seconds S] [--rate N/s] [--report DIR] [--no-build]
#
# bench-client starts throng for as many connections, which takes an fd table per shard where one does not hold them, and
# stops it afterwards. Both ends are here, so a connection costs the machine about 8.5 KB of kernel memory: 0.85 GB. The
# reports go to target/bench-100k as JSON, the latencies also as a percentile file (.hgrm).
set -euo pipefail
cd "$(dirname "$0")/.."

connections=100000
seconds=30
rate=20000
report=target/bench-100k
build=1
while [ $# -gt 0 ]; do
    case $1 in
    --connections) connections=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --rate) rate=$2 && shift ;;
    --report) report=$2 && shift ;;
    --no-build) build= ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
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
    target/release/bench-client "$mode" --connections "$connections" --duration "${seconds}s" --quiet \
        --json "$report/$mode.json" "$@"
}

status=0
run idle || status=1
run mixed --rate "$rate" --broadcast-every 5s --hgrm "$report/mixed.hgrm" || status=1
exit $status
