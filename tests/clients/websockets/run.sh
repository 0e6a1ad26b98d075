#!/usr/bin/env bash
# PyPI's `websockets`, as it is published, against throng.
#
#   tests/clients/websockets/run.sh [--check | --install]
#
# Needs Python 3.11 with venv; the package goes under target/clients/websockets. --check says by its status whether a run is
# possible.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version=17.4
home=target/clients/websockets-$version

case ${1:-} in
--check) [ -x $home/bin/websockets ] && exit ;;
--install)
    python3 -m venv $home
    $home/bin/pip install --quiet --disable-pip-version-check websockets==$version && exit
    ;;
'')
    tests/clients/serve.sh $home/bin/python tests/clients/websockets/client.py
    # It compresses with Python's zlib, and keeps its contexts where it may.
    export THRONG_DEFLATE=on THRONG_DEFLATE_BYTES_MIN=1 THRONG_DEFLATE_SERVER_TAKEOVER=on THRONG_DEFLATE_CLIENT_TAKEOVER=on
    tests/clients/serve.sh $home/bin/python tests/clients/websockets/client.py && exit
    ;;
esac
exit 1
