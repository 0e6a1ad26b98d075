#!/usr/bin/env bash
# throng's own Socket.IO client in node, and beside it npm's `socket.io-client` on the same assertions.
#
#   tests/clients/own/run.sh [--check | --install | --reference | http://HOST:PORT]
#
# Against throng, on one shard and on three; with --reference against npm's `socket.io` instead, or against the server at the
# address, which must do what client.js says. Needs node and npm; the packages go under target/clients/own. --check says by
# its status whether a run is possible.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version=4.8.4
home=$PWD/target/clients/own-$version
here=tests/clients/own
export NODE_PATH=$home/node_modules

against() {
    for client in own official; do
        CLIENT=$client timeout 90 node $here/client.js "$1"
    done
}

case ${1:-} in
--check) command -v node >/dev/null && [ -d "$home/node_modules/socket.io-client" ] && [ -d "$home/node_modules/ws" ] && exit ;;
--install)
    npm install --silent --no-audit --no-fund --prefix "$home" socket.io@$version socket.io-client@$version ws@8.23.0 && exit
    ;;
--reference)
    exec {says}< <(exec node $here/server.js)
    server=$!
    trap 'kill "$server" 2>/dev/null' EXIT
    read -r line <&"$says"
    against "${line#listening on }" && exit
    ;;
http://*) against "$1" && exit ;;
'')
    for shards in 1 3; do
        flags="--shards $shards --ping-interval 1000 --ping-timeout 2000 --max-payload 100000"
        tests/clients/io.sh "$flags" bash -c '"$0" "$THRONG"' tests/clients/own/run.sh || exit
    done
    exit
    ;;
esac
exit 1
