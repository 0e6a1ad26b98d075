#!/usr/bin/env bash
# throng's own Socket.IO client in node, and beside it npm's `socket.io-client` on the same assertions.
#
#   tests/clients/own/run.sh [--check | --install | http://HOST:PORT]
#
# Against the server at the address, which must do what client.js says, or else against npm's `socket.io` on a free port of
# 127.0.0.1. Needs node and npm; the packages go under target/clients/own. --check says by its status whether a run is
# possible.
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
'')
    exec {says}< <(exec node $here/server.js)
    server=$!
    trap 'kill "$server" 2>/dev/null' EXIT
    read -r line <&"$says"
    against "${line#listening on }" && exit
    ;;
http://*) against "$1" && exit ;;
esac
exit 1
