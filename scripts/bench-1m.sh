#!/usr/bin/env bash
# 1,000,000 idle connections from this machine to this machine, held for a minute: what both ends of one cost.
#
#   scripts/bench-1m.sh [--connections N] [--seconds S] [--report DIR] [--no-build]
#
# bench-client starts throng for as many connections and opens them from addresses in 127.0.1.0/24 and the next, each end with an fd
# table per shard or worker where one does not hold them: with a limit of 20,000 a table that is some 53 of each. One that is not
# made, or is ended before the time is over, makes the exit code 1.
#
# The machine needs 8.5 GB for a million: 4.3 KB of kernel memory for the server's end of each, 4.1 for the client's, and a cache
# line or two of user memory for either. fs.file-max has to allow for 2,000,000 files. The last lines say what it was: the growth of
# each process's user memory (PSS) and of the kernel's slabs, per connection. The report goes to target/bench as text and JSON.
set -euo pipefail
cd "$(dirname "$0")/.."

connections=1000000
seconds=60
report=target/bench
build=1
while [ $# -gt 0 ]; do
    case $1 in
    --connections) connections=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --report) report=$2 && shift ;;
    --no-build) build= ;;
    *) sed -n '2,14s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done
[ -z "$build" ] || cargo build --quiet --release --workspace --bins
mkdir -p "$report"

scripts/tune-host.sh --check --client --connections "$connections" | grep -A1 ^LACKS || true

# A million handshakes keep both cores of a small machine busy for a minute or two, so an attempt may take its time.
status=0
target/release/bench-client idle --connections "$connections" --duration "${seconds}s" --connect-timeout 60s --allow-saturated \
    --json "$report/idle-1m.json" | tee "$report/idle-1m.txt" || status=1
python3 - "$report/idle-1m.json" <<'PY'
import json, sys

report = json.load(open(sys.argv[1]))
per = {
    "user memory of the server": report["server"]["bytes_per_connection"],
    "user memory of bench-client": report["client"]["bytes_per_connection"],
    "the kernel's slabs, both ends": report["kernel_slab_bytes_per_connection"],
}
print(f"\n{report['tally']['opened']} pairs held for {report['window_seconds']:.0f} s, a pair costs")
for what, held in per.items():
    print(f"  {what:30} {'?' if held is None else f'{held:6.0f} B'}")
PY
exit $status
