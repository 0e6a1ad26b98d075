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
import argparse, json, os, pathlib, shutil, statistics, subprocess, sys

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


parser = argparse.ArgumentParser(prog="bench-client-limit.sh")
parser.add_argument("--workload", action="append", choices=list(WORKLOADS), help="only this one; may be given again")
parser.add_argument("--pairs", type=int, default=11)
parser.add_argument("--seconds", type=float, default=2)
parser.add_argument("--json", help="also write every figure to this file")
parser.add_argument("--no-build", action="store_true")
options = parser.parse_args()
if options.pairs < 1 or options.seconds <= 0:
    parser.error("at least one pair, and a time above zero")

results = {}
print(f"{'workload':<14} {'limit µs':>9} {'client µs':>9}  ratio [quartiles] over {options.pairs} pairs, aim", flush=True)
for workload in options.workload or WORKLOADS:
    *load, aim = WORKLOADS[workload]
    pairs = []
    for pair in range(options.pairs):
        port = measuring.free_port()
        command = ["target/release/throng", "--shards", "1", "--bind", f"127.0.0.1:{port}"]
        with measuring.Server("bench-client-limit", command, port, PINS) as server:
            turns = [("client", bench_client), ("limit", limit)]
            turns = turns if pair % 2 == 0 else turns[::-1]
            pairs.append({name: measure(server, *load, options.seconds) for name, measure in turns})
    low, middle, high = measuring.quartiles([pair["client"] / pair["limit"] for pair in pairs])
    base, client = (statistics.median(pair[name] for pair in pairs) for name in ("limit", "client"))
    print(f"{workload:<14} {base:9.3f} {client:9.3f}  {middle:.3f} [{low:.3f}, {high:.3f}]  {aim or ''}", flush=True)
    results[workload] = {"ratio": middle, "quartiles": [low, high], "aim": aim, "pairs": pairs}
if options.json:
    machine = {"cores": os.cpu_count(), "kernel": os.uname().release}
    figures = {"machine": machine, "seconds": options.seconds, "workloads": results}
    pathlib.Path(options.json).write_text(json.dumps(figures, indent=2) + "\n")
PY
