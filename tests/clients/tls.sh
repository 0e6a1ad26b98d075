#!/usr/bin/env bash
# Runs a command with a certificate for 127.0.0.1 made for it: $TLS_CERT and its $TLS_KEY, which node's clients trust.
#
#   tests/clients/tls.sh COMMAND …
set -euo pipefail

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$made/key.pem" -out "$made/cert.pem" 2>/dev/null
export TLS_CERT=$made/cert.pem TLS_KEY=$made/key.pem NODE_EXTRA_CA_CERTS=$made/cert.pem
"$@"
