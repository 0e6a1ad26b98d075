#!/usr/bin/env bash
# How far bench-client is from the limit: its CPU time per message as a multiple of a plain epoll client's.
#
#   scripts/bench-client-limit.sh [--pairs N] [--seconds S] [--workload NAME]… [--json FILE] [--no-build]
#
# The limit is bench-client/examples/raw_epoll_client: the same frames and as many under way, one recv and one send per event,
# nothing parsed, judged or recorded. In each pair (11 by default) throng with one shard is started once and both clients load it
# one right after the other, in turns the one or the other first; where there are two cores, server and client have one each. What
# is compared is the client's own CPU time per message that came back while it was measured. The table has medians over the
# pairs and, in brackets, the quartiles of the ratio within a pair.
set -euo pipefail
cd "$(dirname "$0")/.."

build=1
for argument in "$@"; do
    case $argument in
    --no-build) build= ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0" && exit ;;
    esac
done
[ -z "$build" ] || cargo build --quiet --release --workspace --bins --example raw_epoll_client

exec python3 - "$@" <<'PY'
import json, os, shutil, subprocess, sys

sys.path.insert(0, "scripts")
sys.dont_write_bytecode = True
import measuring

# Connections, bytes of a message, how many each has under way, and what the ratio is to be at most.
WORKLOADS = {
    "500-20b-p1": (500, 20, 1, 1.15),
    "500-20b-p16": (500, 20, 16, None),
    "500-20b-p64": (500, 20, 64, 1.8),
    "500-1k-p16": (500, 1024, 16, None),
}
PINS = (("taskset", "-c", "0"), ("taskset", "-c", "1")) if os.cpu_count() > 1 and shutil.which("taskset") else ((), ())


def bench_client(server, connections, size, depth, seconds):
    flags = ["--connections", str(connections), "--size", str(size), "--pipeline", str(depth), "--warmup", "700ms"]
    report = server.bench("echo", f"ws://127.0.0.1:{server.port}/", *flags, "--duration", f"{seconds}s")
    return report["client"]["cpu_microseconds_per_message"]


def limit(server, connections, size, depth, seconds):
    flags = ["--connections", str(connections), "--size", str(size), "--pipeline", str(depth), "--duration", str(seconds)]
    command = [*PINS[1], "target/release/examples/raw_epoll_client", f"127.0.0.1:{server.port}", *flags]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"bench-client-limit: {' '.join(command)} ended with {run.returncode}\n{run.stderr}")
    return json.loads(run.stdout)["cpu_microseconds_per_message"]


def pair(workload, order, seconds):
    """Both, one right after the other, against one server."""
    *load, _ = WORKLOADS[workload]
    port = measuring.free_port()
    command = ["target/release/throng", "--shards", "1", "--bind", f"127.0.0.1:{port}"]
    with measuring.Server("bench-client-limit", command, port, PINS) as server:
        return {name: {"client": bench_client, "limit": limit}[name](server, *load, seconds) for name in order}


flags = measuring.pair_flags("bench-client-limit", WORKLOADS, 2)
aims = {workload: aim for workload, (*_, aim) in WORKLOADS.items()}
measuring.pair_up(flags, flags.parse_args(), "client", WORKLOADS, pair, 14, aims)
PY
