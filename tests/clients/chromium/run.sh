#!/usr/bin/env bash
# A browser on the page that throng serves: two tabs, headless.
#
#   tests/clients/chromium/run.sh [--check | --install]
#
# Takes the browser that $CHROMIUM names or that is on the PATH. --install unpacks Debian's package, and what that needs and
# this host lacks, under target/clients/chromium (no root is needed), and puts npm's playwright-core beside it. --check
# says by its status whether a run is possible. The picture of a run is target/test/chromium.png.
set -euo pipefail
cd "$(dirname "$0")/../../.."

version=1.65.1
home=$PWD/target/clients/chromium
driver=$home/playwright-$version

browser() {
    local candidate
    for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome "$home/root/usr/lib/chromium/chromium"; do
        [ -n "$candidate" ] && command -v "$candidate" && return
    done
    return 1
}

unpack() {
    local packages package
    mapfile -t packages < <(apt-get install --simulate --no-install-recommends chromium fonts-dejavu-core | awk '/^Inst/ { print $2 }')
    mkdir -p "$home/debs" "$home/root"
    (cd "$home/debs" && apt-get download "${packages[@]}")
    for package in "$home"/debs/*.deb; do
        dpkg-deb --extract "$package" "$home/root"
    done
    rm -r "$home/debs"
}

case ${1:-} in
--check) command -v node && browser && [ -d "$driver/node_modules/playwright-core" ] && exit ;;
--install)
    browser >/dev/null || unpack
    npm install --silent --no-audit --no-fund --prefix "$driver" "playwright-core@$version" && exit
    ;;
'')
    mkdir -p target/test
    BROWSER=$(browser) PICTURE=$PWD/target/test/chromium.png NODE_PATH=$driver/node_modules
    export BROWSER PICTURE NODE_PATH LD_LIBRARY_PATH="$home/root/usr/lib/$(uname -m)-linux-gnu"
    tests/clients/serve.sh node tests/clients/chromium/tabs.js && exit
    ;;
esac
exit 1
