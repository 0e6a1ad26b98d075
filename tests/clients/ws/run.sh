#!/usr/bin/env bash
# npm's `ws`, as it is published, against throng, in the clear and over TLS.
#
#   tests/clients/ws/run.sh [--check | --install]
#
# Needs node, npm and openssl; the package goes under target/clients/ws. --check says by its status whether a run is possible.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version=8.23.0
home=target/clients/ws-$version

case ${1:-} in
--check) command -v node >/dev/null && command -v openssl >/dev/null && [ -d $home/node_modules/ws ] && exit ;;
--install) npm install --silent --no-audit --no-fund --prefix $home ws@$version && exit ;;
'')
    export NODE_PATH=$home/node_modules
    tests/clients/serve.sh node tests/clients/ws/client.js
    # Over TLS, and compressed, what is short as well; whether with a context the client says.
    export THRONG_DEFLATE=on THRONG_DEFLATE_BYTES_MIN=1 THRONG_DEFLATE_SERVER_TAKEOVER=on THRONG_DEFLATE_CLIENT_TAKEOVER=on
    tests/clients/tls.sh tests/clients/serve.sh node tests/clients/ws/client.js && exit
    ;;
esac
exit 1
