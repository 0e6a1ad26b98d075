#!/usr/bin/env bash
# npm's `socket.io-client` 3, the first that speaks this protocol, against throng on one shard and on three.
#
#   tests/clients/socketio3/run.sh [--check | --install]
#
# Needs node and npm; the package goes under target/clients. --check says by its status whether a run is possible.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version=3.1.3
home=$PWD/target/clients/socketio3-$version

case ${1:-} in
--check) command -v node >/dev/null && [ -d "$home/node_modules/socket.io-client" ] && exit ;;
--install) npm install --silent --no-audit --no-fund --prefix "$home" socket.io-client@$version && exit ;;
'') tests/clients/talk.sh "$home/node_modules" && exit ;;
esac
exit 1
