#!/usr/bin/env bash
# Runs a command beside a Socket.IO server on throng, whose address it finds in $THRONG.
#
#   tests/clients/io.sh "FLAGS OF tests/clients/server.rs" COMMAND …
#
# Fails if the command does, if it takes longer than 120 s, or if the server does not end well with its standard input.
set -euo pipefail
cd "$(dirname "$0")/../.."

flags=$1
shift
cargo build --quiet --locked --release --example io_server
coproc SERVER { exec target/release/examples/io_server $flags; }
server=$SERVER_PID
trap 'kill "$server" 2>/dev/null' EXIT
read -r line <&"${SERVER[0]}"
export THRONG=${line#listening on }
timeout 120 "$@"

trap - EXIT
exec {SERVER[1]}>&-
wait "$server"
