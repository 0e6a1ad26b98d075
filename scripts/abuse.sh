#!/usr/bin/env bash
# The server under siege: every flood that one peer can make, with ten healthy clients beside it that may lose nothing and
# wait no longer than 50 ms (99th percentile, from when a message was due).
#
#   scripts/abuse.sh [--long] [--report DIR] [floods]
#
# Half a minute by default, on two cores and with two shards; --long gives each flood five seconds. Prints a row per flood:
# what the healthy sent and lost, their response times, how late this program was itself, the server's processor time, its
# longest turn and its memory. Tables and JSON go to target/abuse. The control without a flood says what the machine adds.
# THRONG_SIEGE_FLOOD=NAME runs those floods alone whose name has NAME in it.
set -euo pipefail
cd "$(dirname "$0")/.."

report=target/abuse
parts=()
while [ $# -gt 0 ]; do
    case $1 in
    --long) export THRONG_SIEGE_FLOOD_SECONDS=5 ;;
    --report) report=$2 && shift ;;
    floods) parts+=("$1") ;;
    *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done
mkdir -p "$report"

[ ${#parts[@]} -gt 0 ] || parts=(floods)
status=0
for part in "${parts[@]}"; do
    THRONG_SIEGE_JSON=$PWD/$report/$part.json cargo test --quiet --release --test siege -- "$part" | tee "$report/$part.txt" || status=1
done
exit $status
