#!/usr/bin/env bash
# A browser on the pages that throng serves: two tabs, headless.
#
#   tests/clients/chromium/run.sh [--check | --install]
#
# Takes the browser that $CHROMIUM names or that is on the PATH. --install has apt install Debian's if there is none, which
# takes root, and puts npm's playwright-core and socket.io-client under target/clients/chromium. --check says by its status
# whether a run is possible. The pictures of a run are target/test/chromium*.png.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version=1.65.1
home=$PWD/target/clients/chromium
bundle=4.8.4
driver=$home/playwright-$version

browser() {
    local candidate
    for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        [ -n "$candidate" ] && command -v "$candidate" && return
    done
    return 1
}

install() {
    # Refreshed, because a package list that is weeks old names versions that are gone.
    apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends chromium fonts-dejavu-core
}

case ${1:-} in
--check)
    command -v node && browser && [ -d "$driver/node_modules/playwright-core" ] &&
        [ -d "$driver/node_modules/socket.io-client" ] && exit
    ;;
--install)
    browser >/dev/null || install
    npm install --silent --no-audit --no-fund --prefix "$driver" "playwright-core@$version" \
        "socket.io-client@$bundle" && exit
    ;;
'')
    mkdir -p target/test
    BROWSER=$(browser) PICTURE=$PWD/target/test/chromium.png NODE_PATH=$driver/node_modules
    export BROWSER PICTURE NODE_PATH
    tests/clients/serve.sh node tests/clients/chromium/tabs.js
    # Browsers offer compression.
    THRONG_DEFLATE=on THRONG_DEFLATE_BYTES_MIN=1 tests/clients/serve.sh node tests/clients/chromium/tabs.js
    PROGRAM=target/release/throng PICTURES=$PWD/target/test/chromium-chat timeout 90 node tests/clients/chromium/chat.js && exit
    ;;
esac
exit 1
