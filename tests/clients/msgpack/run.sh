#!/usr/bin/env bash
# npm's `socket.io-msgpack-parser` in `socket.io-client` 4, against throng with the same parser, on one shard and on three.
#
#   tests/clients/msgpack/run.sh [--check | --install]
#
# Needs node and npm; the packages go under target/clients. --check says by its status whether a run is possible.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version=3.0.2
home=$PWD/target/clients/msgpack-$version

case ${1:-} in
--check) command -v node >/dev/null && [ -d "$home/node_modules/socket.io-msgpack-parser" ] && exit ;;
--install)
    npm install --silent --no-audit --no-fund --prefix "$home" socket.io-client@4.8.4 socket.io-msgpack-parser@$version && exit
    ;;
'') PARSER=msgpack tests/clients/talk.sh "$home/node_modules" && exit ;;
esac
exit 1
