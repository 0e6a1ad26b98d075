#!/usr/bin/env bash
# Runs a command beside a throng of its own on a free port of 127.0.0.1, whose address it finds in $THRONG. That one speaks TLS
# if tls.sh runs this.
#
#   tests/clients/serve.sh COMMAND …
#
# Fails if the command does, if it takes longer than 90 s, or if throng does not end well at the SIGTERM that follows.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --quiet --locked --release --workspace --bins
listen=(--bind 127.0.0.1:0)
[ -z "${TLS_CERT:-}" ] || listen+=(--bind-tls 127.0.0.1:0 --tls-cert "$TLS_CERT" --tls-key "$TLS_KEY")
exec {says}< <(exec target/release/throng "${listen[@]}" 2>&1)
server=$!
trap 'kill "$server" 2>/dev/null' EXIT

THRONG=
while read -r line <&"$says"; do
    case $line in
    # The last of the addresses.
    listening*) THRONG=${line##*://} && THRONG=${THRONG%/} ;;
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
