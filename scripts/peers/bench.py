"""What scripts/bench-peers.sh runs at the project's root: the workloads, round for round, and their figures as JSON."""

import argparse, json, os, pathlib, random, shutil, sys, time

sys.path[:0] = ["scripts", "scripts/peers"]
sys.dont_write_bytecode = True
import documents, measuring
from servers import LIMIT, PEERS, versions

CONNECTIONS = 10_000
# What a Socket.IO event of these servers has around its text, in bytes: `42/bench,["echo","…"]` has 20, the peers' 13.
EVENT_BYTES = 13
CORES = os.cpu_count()
PINS = (("taskset", "-c", "0"), ("taskset", "-c", "1")) if CORES > 1 and shutil.which("taskset") else ((), ())


def echo(connections, size, depth):
    """CPU microseconds per message that came back."""

    def measure(peer, server, url, options):
        flags = ["--connections", str(connections), "--pipeline", str(depth), "--size", str(size), *peer.flags]
        if peer.name == "limit":
            flags.append("--raw-echo")
        # What node runs for an event is a lot more than for a message, and compiled a lot later.
        warmup = options.warmup * (3 if peer.speaks == "Socket.IO" else 1)
        lasting = ["--duration", f"{options.seconds}s", "--warmup", f"{warmup}s"]
        report = server.bench("echo", url + peer.path, *flags, *lasting)
        if not report["server"]["cpu_microseconds_per_message"]:
            sys.exit("no message came back while it was measured")
        return {"cpu": report["server"]["cpu_microseconds_per_message"]}

    return measure


def resting(peer, server, url, options):
    """User memory per idle connection, what the kernel keeps for both ends, CPU time from accept to close, and how fast."""
    url += peer.idle_path or peer.path
    flags = [*peer.flags, "--duration", "200ms", "--warmup", "0s"]
    # What a server does once is no connection's.
    server.bench("idle", url, *flags, "--connections", "16")
    before = server.cpu_microseconds()
    report = server.bench("idle", url, *flags, "--connections", str(options.connections))
    # The last closes are seen to a little after the client is gone.
    time.sleep(0.3)
    return {
        "memory": report["server"]["bytes_per_connection"],
        "kernel": report["kernel_slab_bytes_per_connection"],
        "cpu": (server.cpu_microseconds() - before) / options.connections,
        "per_second": report["connect"]["per_second"],
    }


def broadcast(peer, server, url, options):
    """CPU microseconds per delivery, and milliseconds until the last of all has one."""
    # Rarely enough for the slowest to be through with one before the next.
    every = 0.3 if options.short else 2
    flags = ["--connections", str(options.connections), "--every", f"{every}s", "--spin", *peer.flags, *peer.broadcast_flags]
    lasting = ["--duration", f"{2 * every}s", "--warmup", f"{every}s", "--drain", "30s"]
    report = server.bench("broadcast", url + peer.topic, *flags, *lasting)
    # Of two publishes under way at once many members get both with one send, which is another workload.
    if not options.short and report["last_delivery"]["max"] > every * 1e6:
        sys.exit(f"a publish took {report['last_delivery']['max'] / 1e6:.1f} s to reach all, so that the next came before that")
    return {"cpu": report["server"]["cpu_microseconds_per_message"], "last": report["last_delivery"]["p50"] / 1000}


# Name, what is measured, who does it, and which limit it is compared with.
WEBSOCKET = [peer for peer in PEERS if peer.speaks == "WebSocket" and peer.echoes]
SOCKET_IO = [peer for peer in PEERS if peer.speaks == "Socket.IO"]
WORKLOADS = {
    f"echo-{name}-p{depth}": (echo(connections, size, depth), WEBSOCKET, "echo", None)
    for name, connections, size in [("20b", 500, 20), ("1k", 500, 1024), ("16k", 16, 16384)]
    for depth in (1, 16, 64)
} | {
    f"io-echo-{name}-p{depth}": (echo(500, size, depth), SOCKET_IO, "echo", echo(500, size + EVENT_BYTES, depth))
    for name, size in [("20b", 20), ("1k", 1024)]
    for depth in (1, 16)
} | {"idle": (resting, PEERS, "echo", None), "broadcast": (broadcast, PEERS, "broadcast", None)}


def run(peer, measure, options):
    """One server, one workload. What fails is said and tried once more, for a machine may have stood still; what fails again has
    no figures, and with throng or the limit that is the end."""
    for is_last in (False, True):
        port = measuring.free_port()
        command = [str(word) for word in peer.command(f"127.0.0.1:{port}")]
        try:
            with measuring.Server("bench-peers", command, port, PINS) as server:
                return measure(peer, server, f"ws://127.0.0.1:{port}", options)
        except SystemExit as refused:
            if is_last and (peer.name == "limit" or peer.name.startswith("throng")):
                raise
            print(f"bench-peers: {peer.name} failed\n{refused}", file=sys.stderr, flush=True)
    return None


def merged(all_figures):
    """The figures of several runs as of one with the rounds of all."""
    first = all_figures[0]
    for figures in all_figures[1:]:
        first["rounds"] += figures["rounds"]
        for workload, servers in figures["workloads"].items():
            for name, rounds in servers.items():
                first["workloads"].setdefault(workload, {}).setdefault(name, []).extend(rounds)
    return first


def measure_all(options, there):
    """{workload: {server: [figures of each round]}}, the limit among the servers."""
    figures, began = {name: {} for name in options.only or WORKLOADS}, random.randrange(len(PEERS))
    for number in range(options.rounds):
        for name, of_workload in figures.items():
            measure, peers, limit, of_limit = WORKLOADS[name]
            peers = [peer for peer in peers if peer in there]
            turns = [(LIMIT[limit], of_limit or measure), *((peer, measure) for peer in peers)]
            first = (began + number) % len(turns)
            for peer, measure in turns[first:] + turns[:first]:
                of_workload.setdefault(peer.name, []).append(run(peer, measure, options))
            said = {peer: f"{rounds[-1]['cpu']:.3f}" if rounds[-1] else "failed" for peer, rounds in of_workload.items()}
            print(f"round {number + 1} of {options.rounds}, {name}: {said}", flush=True)
    return figures


parser = argparse.ArgumentParser(prog="bench-peers.sh")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=float, default=2, help="of each echo")
parser.add_argument("--warmup", type=float, default=2, help="before each echo: node compiles what it runs often")
parser.add_argument("--connections", type=int, default=CONNECTIONS, help="idle, and in the broadcast")
parser.add_argument("--only", action="append", choices=list(WORKLOADS), help="only this workload; may be given again")
parser.add_argument("--json", help="also write every figure to this file")
parser.add_argument("--write", action="store_true", help="write docs/BENCHMARKS.md's tables and docs/pictures")
parser.add_argument("--write-from", nargs="+", metavar="FILE", help="write them of the figures in these files, and measure nothing")
parser.add_argument("--busy", action="store_true", help="say in the document that the machine had other work meanwhile")
parser.add_argument("--short", action="store_true", help="one short round with few connections")
parser.add_argument("--check", action="store_true")
parser.add_argument("--no-build", action="store_true")
parser.add_argument("--list", action="store_true", help="print the workloads and do nothing")
options = parser.parse_args()
if options.list:
    sys.exit(print("\n".join(WORKLOADS)))
if options.check:
    missing = [peer.name for peer in PEERS if not peer.is_there()]
    sys.exit(f"not there: {', '.join(missing)}; --install" if missing else None)
if options.write_from:
    sys.exit(documents.write(merged([json.loads(pathlib.Path(file).read_text()) for file in options.write_from])))
if options.short:
    options.rounds, options.seconds, options.warmup, options.connections = 1, 0.3, 0.2, 500
    options.only = options.only or ["echo-20b-p1", "echo-1k-p16", "io-echo-20b-p1", "idle", "broadcast"]
if min(options.rounds, options.seconds, options.connections) <= 0:
    parser.error("rounds, seconds and connections are above zero")

there = [peer for peer in PEERS if peer.is_there()]
if missing := [peer.name for peer in PEERS if peer not in there]:
    print(f"bench-peers: not there, and left out: {', '.join(missing)}", file=sys.stderr)
machine = {"cores": CORES, "kernel": os.uname().release, "pinned": bool(PINS[0]), "busy": options.busy}
figures = {
    "machine": machine,
    "rounds": options.rounds,
    "seconds": options.seconds,
    "connections": options.connections,
    "versions": versions(),
    "workloads": measure_all(options, there),
}
if options.json:
    pathlib.Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
print()
print(documents.tables(figures))
if options.write:
    documents.write(figures)
