#!/usr/bin/env bash
# npm's `socket.io-client` 4, as it is published, against throng on one shard and on three,
# in the clear and over TLS.
#
#   tests/clients/socketio4/run.sh [--check | --install]
#
# Needs node, npm and openssl; the package goes under target/clients. --check says by its status whether a run is possible.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version=4.8.4
home=$PWD/target/clients/socketio4-$version

case ${1:-} in
--check) command -v node >/dev/null && command -v openssl >/dev/null && [ -d "$home/node_modules/socket.io-client" ] && exit ;;
--install) npm install --silent --no-audit --no-fund --prefix "$home" socket.io-client@$version && exit ;;
'')
    tests/clients/talk.sh "$home/node_modules"
    tests/clients/tls.sh tests/clients/talk.sh "$home/node_modules"
    exit
    ;;
esac
exit 1
