#!/usr/bin/env bash
# Runs talk.js with the packages of a node_modules directory; over TLS if tls.sh runs this.
#
#   tests/clients/talk.sh NODE_MODULES
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --quiet --locked --release --example io_server
IO_SERVER=target/release/examples/io_server NODE_PATH=$1 timeout 90 node tests/clients/talk.js
