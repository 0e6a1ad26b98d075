#!/usr/bin/env bash
# The official protocol suites of Engine.IO 4 and Socket.IO 5 against throng, five times in a row each.
#
#   scripts/io-suites.sh [--times N] [--shards N] ENGINE_IO_DIR SOCKET_IO_DIR
#
# The directories are the `test-suite` folders of the repositories socketio/engine.io-protocol and socketio/socket.io-protocol,
# which no package registry has; they are copied under target/ and not changed. Needs node and npm. The suites connect to port
# 3000 of localhost; throng listens on a free port instead, and the copies are told so. Fails with the first run that does.
set -euo pipefail
cd "$(dirname "$0")/.."

times=5 shards="1 3"
while [ $# -gt 0 ]; do
    case $1 in
    --times) times=$2 && shift ;;
    --shards) shards=$2 && shift ;;
    -*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    *) break ;;
    esac
    shift
done
[ $# -eq 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2; }

home=$PWD/target/io-suites
mkdir -p "$home"
run() {
    local name=$1 source=$2 copy=$home/$1
    shift 2
    mkdir -p "$copy"
    cp "$source"/package*.json "$source"/*.js "$copy"
    sed -i 's#^const URL = .*#const URL = process.env.THRONG;#' "$copy/test-suite.js"
    [ -d "$copy/node_modules" ] || npm ci --silent --no-audit --no-fund --prefix "$copy"
    for count in $shards; do
        for ((time = 1; time <= times; time++)); do
            printf '%s, %s shards, run %s: ' "$name" "$count" "$time"
            tests/clients/io.sh "--shards $count --ping-interval 300 --ping-timeout 200 --connect-timeout 1000 $*" \
                bash -c 'cd "$0" && npx --no-install mocha test-suite.js' "$copy" >"$home/$name.log" 2>&1 ||
                { cat "$home/$name.log" && exit 1; }
            grep -E 'passing' "$home/$name.log"
        done
    done
}
run engine.io "$1" --engine
run socket.io "$2"
