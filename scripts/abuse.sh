#!/usr/bin/env bash
# The server under siege: what one peer's flood costs others, and whether anything that survives years of kills, garbage and slow
# readers is lost, doubled, out of order or somebody else's, and how it stands storms of newcomers.
#
#   scripts/abuse.sh [--long | --hour] [--report DIR] [floods] [storms] [churn]
#
# floods: every flood that one peer can make, one after the other, with ten healthy clients beside it that may lose nothing and
# wait 50 ms at most (99th percentile, from when a message was due; two shards). A row says what they sent and lost, their
# response times, how late this program was itself, and the server's processor time, longest turn and memory. The first row
# is without a flood: it says what the machine adds. A flood during which this program was itself held up is measured again, three
# times at most. THRONG_SIEGE_FLOOD=NAME runs those alone whose name has NAME in it.
# storms: 10,000 half-open connections and what they cost until they are cut; no fd left while 1,000 wait and 200 more come a
# second; 2,000 clients that come back at once; the server's process stopped for longer than a ping may go unanswered.
# THRONG_SIEGE_STORM=NAME runs one of heads, fds, returns and stops. The server's fd limit must hold 11,000 and this program's too.
# churn: a crowd with an echo, in topics and in rooms of Socket.IO, of which 2.5 % a second are killed, with garbage, sluggish
# readers and some that never read. Every message is numbered, and all that stay must hear all of them, once and in order.
#
# A minute by default, with small storms. --long: 5 seconds a flood, storms in full, and 2,000 connections for 10 minutes.
# --hour: 100,000 connections for an hour from addresses in 127.1.0.0/16, on fd tables of their own on both sides; churn alone.
# THRONG_SIEGE_CONNECTIONS, _SECONDS, _RATE, _KILLS and _GARBAGE change the crowd. Tables and JSON go to target/abuse.
set -euo pipefail
cd "$(dirname "$0")/.."

report=target/abuse
parts=()
while [ $# -gt 0 ]; do
    case $1 in
    --long)
        export THRONG_SIEGE_STORMS_IN_FULL=${THRONG_SIEGE_STORMS_IN_FULL:-true}
        export THRONG_SIEGE_FLOOD_SECONDS=${THRONG_SIEGE_FLOOD_SECONDS:-5} THRONG_SIEGE_RATE=${THRONG_SIEGE_RATE:-1}
        export THRONG_SIEGE_CONNECTIONS=${THRONG_SIEGE_CONNECTIONS:-2000} THRONG_SIEGE_SECONDS=${THRONG_SIEGE_SECONDS:-600}
        ;;
    --hour)
        export THRONG_SIEGE_CONNECTIONS=${THRONG_SIEGE_CONNECTIONS:-100000} THRONG_SIEGE_SECONDS=${THRONG_SIEGE_SECONDS:-3600}
        # A message of each every 50 seconds: with a topic's nine hearers 11,000 a second, beside 5,000 who come and go.
        export THRONG_SIEGE_RATE=${THRONG_SIEGE_RATE:-0.02}
        parts=(churn)
        ;;
    --report) report=$2 && shift ;;
    floods | storms | churn) parts+=("$1") ;;
    *) sed -n '2,23s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done
mkdir -p "$report"
report=$(realpath "$report")

[ ${#parts[@]} -gt 0 ] || parts=(floods storms churn)
status=0
for part in "${parts[@]}"; do
    THRONG_SIEGE_JSON=$report/$part.json cargo test --quiet --release --test siege -- "$part" | tee "$report/$part.txt" || status=1
done
exit $status
