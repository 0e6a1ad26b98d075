#!/usr/bin/env bash
# What TLS costs throng, beside a TLS server at hand: npm's `ws` on node's https.
#
#   scripts/bench-tls.sh [--rounds N] [--seconds S] [--connections N] [--handshakes N] [--json FILE] [--no-build]
#
# Four servers take turns, each started anew in every round and each with one thread for its connections: throng and throng
# over TLS, ws and ws over TLS. All have one P-256 certificate, made for the run. What is measured of a server:
#
#   echo        CPU time per message echoed, 500 connections (16 KiB: 16), one message in flight on each
#   connection  CPU time from its accept to its close, --handshakes of them (2,000), 16 opening at a time. What a handshake
#               costs is what the same server's connection costs more over TLS in the same round
#   idle        bytes of user memory (PSS) per connection at rest, --connections of them (5,000), after one message on each
#
# The table has medians over the rounds (5 by default) and quartiles in brackets. Only loopback is used. Needs node, npm and
# openssl; the package goes under target/clients. A run in which bench-client finds a message lost or changed ends the script.
set -euo pipefail
cd "$(dirname "$0")/.."

build=1
for argument in "$@"; do
    case $argument in
    --no-build) build= ;;
    -h | --help) sed -n '2,17s/^# \{0,1\}//p' "$0" && exit ;;
    esac
done
[ -z "$build" ] || cargo build --quiet --release --workspace --bins

tests/clients/ws/run.sh --check || tests/clients/ws/run.sh --install
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$made/key.pem" -out "$made/cert.pem" 2>/dev/null
cat >"$made/ws.js" <<'JS'
const [port, cert, key] = process.argv.slice(2);
const { readFileSync } = require("node:fs");
const { WebSocketServer } = require("ws");
const server = cert
  ? require("node:https").createServer({ cert: readFileSync(cert), key: readFileSync(key) })
  : require("node:http").createServer();
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});
server.listen({ port, host: "127.0.0.1", backlog: 4096 });
JS

NODE_PATH=$(echo "$PWD"/target/clients/ws-*/node_modules) MADE=$made python3 - "$@" <<'PY'
import argparse, json, os, pathlib, sys

sys.path.insert(0, "scripts")
sys.dont_write_bytecode = True
import measuring

MADE = os.environ["MADE"]
CERT = [f"{MADE}/cert.pem", f"{MADE}/key.pem"]
THRONG = ["target/release/throng", "--shards", "1"]
SERVERS = {
    "throng": ("ws", lambda port: [*THRONG, "--bind", f"127.0.0.1:{port}"]),
    "throng TLS": (
        "wss",
        lambda port: [*THRONG, "--bind-tls", f"127.0.0.1:{port}", "--tls-cert", CERT[0], "--tls-key", CERT[1]],
    ),
    "ws": ("ws", lambda port: ["node", f"{MADE}/ws.js", str(port)]),
    "ws TLS": ("wss", lambda port: ["node", f"{MADE}/ws.js", str(port), *CERT]),
}
ECHOES = {"20 B": (500, 20), "1 KiB": (500, 1024), "16 KiB": (16, 16384)}
FEW_AT_A_TIME = ["--connect-inflight", "16"]


def measure(name):
    """One server's figures, and what was spoken."""
    scheme, command = SERVERS[name]
    port = measuring.free_port()
    url, trust = f"{scheme}://127.0.0.1:{port}/", ["--insecure"] if scheme == "wss" else []
    figures = {}
    with measuring.Server("bench-tls", command(port), port) as server:

        def connections(number, *flags):
            before = server.cpu_microseconds()
            flags = ["--connections", str(number), "--duration", "100ms", "--warmup", "0s", *flags]
            report = server.bench("idle", url, *trust, *FEW_AT_A_TIME, *flags)
            return (server.cpu_microseconds() - before) / number, report

        # What a server does once is no connection's. More of them would leave memory behind for those that are counted.
        connections(16)
        rest = ["--connections", str(options.connections), "--rate", "5k", "--duration", "2s"]
        report = server.bench("memory", url, *trust, *FEW_AT_A_TIME, *rest)
        figures["idle, B"] = report["server"]["bytes_per_rested_connection"]
        figures["connection, µs"], report = connections(options.handshakes)
        spoken = report["tls"] and " and ".join(report["tls"]["spoken"])
        if trust:
            each, report = connections(options.handshakes, "--resume")
            # A ticket is used once, and OpenSSL gives none for a session that was resumed: every third is a full one.
            resumed = report["tls"]["resumed"] / options.handshakes
            if resumed < 0.5:
                sys.exit(f"bench-tls: {name} resumed no more than {resumed:.0%} of its sessions")
            full = figures["connection, µs"]
            figures["resumed connection, µs"] = (each - full * (1 - resumed)) / resumed
        for size, (number, bytes_each) in ECHOES.items():
            flags = ["--connections", str(number), "--size", str(bytes_each)]
            report = server.bench("echo", url, *trust, *flags, "--duration", f"{options.seconds}s", "--warmup", "500ms")
            figures[f"echo {size}, µs"] = report["server"]["cpu_microseconds_per_message"]
    return figures, spoken


def cell(values):
    low, middle, high = measuring.quartiles(values)
    digits = 0 if middle >= 1000 else 1 if middle >= 100 else 2
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


parser = argparse.ArgumentParser(prog="bench-tls.sh")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=float, default=2, help="of each echo")
parser.add_argument("--connections", type=int, default=5000, help="at rest")
parser.add_argument("--handshakes", type=int, default=2000)
parser.add_argument("--json", help="also write every figure to this file")
parser.add_argument("--no-build", action="store_true")
options = parser.parse_args()
if min(options.rounds, options.seconds, options.connections, options.handshakes) <= 0:
    parser.error("rounds, seconds, connections and handshakes are above zero")

rounds = []
for number in range(options.rounds):
    names = list(SERVERS)
    names = names[number % 4 :] + names[: number % 4]
    measured = {name: measure(name) for name in names}
    if number == 0:
        print("; ".join(f"{name}: {spoken}" for name, (_, spoken) in measured.items() if spoken), flush=True)
    print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    rounds.append({name: figures for name, (figures, _) in measured.items()})

print(f"{'median [quartiles]':<24}" + "".join(f"{name:>26}" for name in SERVERS))
for row in rounds[0]["throng TLS"]:
    cells = [cell([figures[name][row] for figures in rounds]) if row in rounds[0][name] else "" for name in SERVERS]
    print(f"{row:<24}" + "".join(f"{text:>26}" for text in cells))
print("\nTLS adds")
for row in rounds[0]["throng TLS"]:
    plain = "connection, µs" if row.startswith("resumed") else row
    what = {"connection, µs": "full handshake, µs", "resumed connection, µs": "resumed handshake, µs"}.get(row, row)
    cells = [
        cell([figures[f"{name} TLS"][row] - figures[name][plain] for figures in rounds]) for name in ("throng", "ws")
    ]
    print(f"{what:<24}" + f"{'':>26}".join(["", *(f"{text:>26}" for text in cells)]))
if options.json:
    machine = {"cores": os.cpu_count(), "kernel": os.uname().release}
    pathlib.Path(options.json).write_text(json.dumps({"machine": machine, "rounds": rounds}, indent=2) + "\n")
PY
