#!/usr/bin/env bash
# Two servers with messages of their own, measured by bench-client: do its templates hold at many connections?
#
#   scripts/bench-messages.sh [--connections N] [--rate N] [--seconds S] [--short] [--no-build] [--report DIRECTORY]
#
#   json-rpc    bench-client/examples/json_rpc, which answers under the id of the request, greets and notifies
#   socket.io   npm's `socket.io` on node: each connection joins with a token of its own from a file, emits an event with
#               arguments of its own and has it acked; who has a wrong token is refused with a message
#
# Each with --connections (10,000) at --rate messages per second (5,000 for json-rpc, a fifth of it for node) for --seconds
# (10), server and client in processes of their own. --short is 300 connections for 2 s. --report keeps the JSON reports there.
# Fails unless every reply came, and unless exactly the wrong tokens were refused. Only loopback is used. Needs node and npm for
# the second, which is left out where there is none; the package goes under target/clients.
set -euo pipefail
cd "$(dirname "$0")/.."

connections=10000 rate=5000 seconds=10 build=1 report=
while [ $# -gt 0 ]; do
    case $1 in
    --connections) connections=$2 && shift ;;
    --rate) rate=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --short) connections=300 rate=600 seconds=2 ;;
    --no-build) build= ;;
    --report) report=$2 && shift ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0" && exit ;;
    *) printf '%s: unknown; --help says what there is\n' "$1" >&2 && exit 2 ;;
    esac
    shift
done
[ -z "$build" ] || cargo build --quiet --release -p bench-client --bins --example json_rpc

made=$(mktemp -d)
servers=()
trap 'for server in "${servers[@]}"; do kill "$server" 2>/dev/null || :; done; rm -rf "$made"' EXIT
report=${report:-$made}
mkdir -p "$report"

# Starts a server that says `listening on URL`, and leaves the URL in $url.
start() {
    exec {says}< <(exec "$@" 2>&1)
    servers+=($!)
    read -r line <&"$says"
    url=${line#listening on }
    case $url in ws://* | http://*) ;; *) printf '%s did not start: %s\n' "$1" "$line" >&2 && exit 1 ;; esac
}

# What a run is: paced, and given time enough to connect. A saturated client is no matter here: what counts is every reply.
measure() {
    local name=$1
    shift
    printf '\n%s, %s connections\n' "$name" "$connections"
    target/release/bench-client "$@" --connections "$connections" --duration "${seconds}s" --drain 20s --quiet \
        --allow-saturated --json "$report/$name.json"
}

start target/release/examples/json_rpc 127.0.0.1:0
measure json-rpc echo "$url/" --rate "$rate" --connect-rate 5000 --server-pid "${servers[-1]}" \
    --send '{"jsonrpc":"2.0","method":"sum","params":[${conn},${seq}],"id":${seq}}' --match json:/id

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    printf '\nsocket.io is left out: there is no node, or no npm\n'
    exit
fi
version=4.8.4
home=$PWD/target/clients/own-$version
[ -d "$home/node_modules/socket.io" ] ||
    npm install --silent --no-audit --no-fund --prefix "$home" socket.io@$version socket.io-client@$version ws@8.23.0
cat >"$made/tokens.js" <<'JS'
// Lets in who has the token of its user, and acks what is added.
const { createHash } = require("node:crypto");
const { createServer } = require("node:http");
const { Server } = require("socket.io");
const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, pingTimeout: 120000 });
const token = (user) => createHash("sha256").update(`of ${user}`).digest("hex").slice(0, 16);
io.use((socket, next) => {
  const { user, token: said } = socket.handshake.auth;
  next(said === token(user) ? undefined : new Error("no such token"));
});
io.on("connection", (socket) => {
  socket.on("add", ({ n }, one, ack) => ack({ user: socket.handshake.auth.user, sum: n + one }));
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 65535 }, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
JS
# A row for each connection; then the same with every hundredth token wrong.
node -e '
const { createHash } = require("node:crypto");
const { writeFileSync } = require("node:fs");
const [directory, rows] = process.argv.slice(1);
const token = (user) => createHash("sha256").update(`of ${user}`).digest("hex").slice(0, 16);
const row = (n, wrong) => `u${n},${wrong ? "wrong" : token(`u${n}`)}\n`;
const file = (wrong) => "user,token\n" + Array.from({ length: rows }, (_, n) => row(n, wrong(n))).join("");
writeFileSync(`${directory}/right.csv`, file(() => false));
writeFileSync(`${directory}/wrong.csv`, file((n) => n % 100 === 99));
' "$made" "$connections"

NODE_PATH=$home/node_modules start node "$made/tokens.js"
socket_io=(echo "$url" --protocol socketio --event add --ack --rate $((rate / 5)) --connect-rate 1000 --connect-timeout 60s
    --server-pid "${servers[-1]}" --send '{"n":${seq}},1' --auth '{"user":"${csv.user}","token":"${csv.token}"}')
measure socket-io "${socket_io[@]}" --csv "$made/right.csv"

status=0
measure socket-io-wrong "${socket_io[@]}" --csv "$made/wrong.csv" >"$made/wrong" || status=$?
cat "$made/wrong"
refused=$((connections / 100))
if [ "$status" != 1 ] || ! grep -q "error  *$refused × the server refused the namespace / (connect_error): no such token" "$made/wrong"; then
    printf 'exactly %s connections were to be refused for their tokens, and the run to say so\n' "$refused" >&2
    exit 1
fi
