#!/usr/bin/env bash
# PyPI's `python-socketio`, as it is published, against throng on one shard and on three.
#
#   tests/clients/pysocketio/run.sh [--check | --install]
#
# Needs Python 3.11 with venv; the package goes under target/clients. --check says by its status whether a run is possible.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version=5.18.1
home=$PWD/target/clients/pysocketio-$version

case ${1:-} in
--check) "$home/bin/python" -c 'import socketio, requests, websocket' && exit ;;
--install)
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check "python-socketio[client]==$version" && exit
    ;;
'')
    cargo build --quiet --locked --release --example io_server
    IO_SERVER=target/release/examples/io_server timeout 90 "$home/bin/python" tests/clients/pysocketio/client.py && exit
    ;;
esac
exit 1
