#!/usr/bin/env bash
# How far throng is from the limit: its CPU time per message as a multiple of a plain epoll program's.
#
#   scripts/bench-limit.sh [--workload NAME]… [--pairs N] [--seconds S] [--json FILE] [--no-build] [--list]
#
# The limit is examples/raw_epoll: the same listener and buffer, one recv and one send per event, no parsing. What is named
# io-… is Socket.IO on throng as a multiple of throng's own WebSocket with messages of the same bytes. For each pair
# (11 by default) both servers are started anew, each with one thread, and measured one right after the other, in turns the
# one or the other first. What is compared is the CPU time that the kernel accounts to the server while bench-client's
# measured window is open: wall-clock rates on a shared machine say little, a ratio within a pair says a lot. The table has
# the median over the pairs and, in brackets, the quartiles. In the broadcasts bench-client spins: whether a send has to wake
# the client is chance, and dearer than the send.
#
# Only loopback is used. A run in which bench-client finds a message lost or changed ends the script.
set -euo pipefail
cd "$(dirname "$0")/.."

build=1
for argument in "$@"; do
    case $argument in
    --no-build | --list) build= ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0" && exit ;;
    esac
done
[ -z "$build" ] || cargo build --quiet --release --workspace --bins --example raw_epoll --example io_server

exec python3 - "$@" <<'PY'
import sys

sys.path.insert(0, "scripts")
sys.dont_write_bytecode = True
import measuring

# What is measured, and the limit it is measured against: their commands, without the address.
THRONG = ["target/release/throng", "--shards", "1"]
SOCKET_IO = ["target/release/examples/io_server", "--shards", "1", "--ping-interval", "25000", "--ping-timeout", "20000"]


def raw(mode):
    return ["target/release/examples/raw_epoll", mode, "--threads", "1"]


def echo(connections, size, depth):
    flags = ["echo", "--connections", str(connections), "--pipeline", str(depth), "--size", str(size)]
    return {"limit": (raw("echo"), "/", [*flags, "--raw-echo"]), "throng": (THRONG, "/", flags)}


def broadcast(connections, size, *when):
    flags = ["broadcast", "--connections", str(connections), "--size", str(size), "--spin", *when]
    return {"limit": (raw("broadcast"), "/topic/bench", flags), "throng": (THRONG, "/topic/bench", flags)}


def io_echo(size, depth):
    """An event and the same event back: `42["binary","…"]` is 15 bytes around its text."""
    flags = ["echo", "--connections", "500", "--pipeline", str(depth)]
    event = ["--protocol", "socketio", "--event", "binary", "--size", str(size)]
    return {
        "limit": (THRONG, "/", [*flags, "--text", "--size", str(size + 15)]),
        "throng": (SOCKET_IO, "/", [*flags, *event]),
    }


def io_broadcast(size, *when):
    """An event to everybody in a namespace: `42["chat message","…"]` is 21 bytes around its text."""
    flags = ["broadcast", "--connections", "1000", "--spin", *when]
    event = ["--protocol", "socketio", "--event", "chat message", "--size", str(size)]
    return {
        "limit": (THRONG, "/topic/bench", [*flags, "--text", "--size", str(size + 21)]),
        "throng": (SOCKET_IO, "/", [*flags, *event]),
    }


WORKLOADS = {
    f"echo-{connections}-{name}-p{depth}": echo(connections, size, depth)
    for connections, name, size, depth in [
        (500, "20b", 20, 1),
        (500, "20b", 20, 16),
        (500, "20b", 20, 64),
        (500, "1k", 1024, 1),
        (500, "1k", 1024, 16),
        (500, "1k", 1024, 64),
        (16, "16k", 16384, 1),
        (16, "16k", 16384, 16),
        (16, "1m", 1048576, 1),
        (10000, "20b", 20, 1),
    ]
} | {
    "broadcast-1000-20b": broadcast(1000, 20, "--every", "20ms"),
    "broadcast-1000-1k": broadcast(1000, 1024, "--every", "20ms"),
    "broadcast-10000-20b": broadcast(10000, 20, "--every", "250ms"),
    "broadcast-1000-20b-burst16": broadcast(1000, 20, "--every", "100ms", "--burst", "16"),
    "io-echo-20b-p1": io_echo(20, 1),
    "io-echo-20b-p16": io_echo(20, 16),
    "io-broadcast-20b": io_broadcast(20, "--every", "20ms"),
    "io-broadcast-1k": io_broadcast(1024, "--every", "20ms"),
}


def measure(server, workload, seconds):
    """One run: CPU microseconds per message, as bench-client reports them."""
    command, path, flags = WORKLOADS[workload][server]
    port = measuring.free_port()
    with measuring.Server("bench-limit", [*command, "--bind", f"127.0.0.1:{port}"], port) as running:
        lasting = ["--duration", f"{seconds}s", "--warmup", "500ms"]
        report = running.bench(flags[0], f"ws://127.0.0.1:{port}{path}", *flags[1:], *lasting)
    used = report["server"]["cpu_microseconds_per_message"]
    if not used:
        sys.exit(f"bench-limit: {workload}: no message came back from {server}")
    return used


def pair(workload, order, seconds):
    return {server: measure(server, workload, seconds) for server in order}


flags = measuring.pair_flags("bench-limit", WORKLOADS, 3)
flags.add_argument("--list", action="store_true", help="print the workloads and do nothing")
options = flags.parse_args()
if options.list:
    print("\n".join(WORKLOADS))
    sys.exit()
measuring.pair_up(flags, options, "throng", WORKLOADS, pair, 28)
PY
