#!/usr/bin/env bash
# Runs a command beside a throng of its own on a free port of 127.0.0.1, whose address it finds in $THRONG.
#
#   tests/clients/serve.sh COMMAND …
#
# Fails if the command does, if it takes longer than 90 s, or if throng does not end well at the SIGTERM that follows.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --quiet --locked --release --workspace --bins
exec {says}< <(exec target/release/throng --bind 127.0.0.1:0 2>&1)
server=$!
trap 'kill "$server" 2>/dev/null' EXIT

THRONG=
while read -r line <&"$says"; do
    case $line in
    listening*) THRONG=${line##*http://} && THRONG=${THRONG%/} ;;
    # The last line of the start.
    try:*) break ;;
    esac
done
[ -n "$THRONG" ] || { printf 'throng did not start\n' && exit 1; }
export THRONG
timeout 90 "$@"

trap - EXIT
kill -TERM "$server"
wait "$server"
