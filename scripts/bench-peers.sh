#!/usr/bin/env bash
# throng beside other servers: CPU time and memory for the same work, each as a multiple of a plain epoll program's.
#
#   scripts/bench-peers.sh [--rounds N] [--seconds S] [--only WORKLOAD]… [--json FILE] [--write] [--no-build]
#   scripts/bench-peers.sh --write-from FILE …    the tables and pictures again, of figures measured earlier
#   scripts/bench-peers.sh --short                a few seconds with what is installed: that all of it works
#   scripts/bench-peers.sh --install | --check
#
# --install puts the peers under target/peers, by cargo, npm and apt: uWebSockets (its C++ sources, compiled
# here by g++), tokio-tungstenite, fastwebsockets and socketioxide (scripts/peers, a workspace of its own), ws and socket.io, and
# nginx with nchan (unpacked, not installed, but for the empty directory /var/lib/nginx that nchan insists on). --check says by
# its status whether all are there, and names those that are not; without some, a run does with the others.
#
# Every server has one thread for its connections and, where there are two cores, the first core; bench-client has the second.
# In each round (3 by default) every server does each workload, started anew, one right after the other, in an order that
# turns; a ratio is to the plain epoll program (examples/raw_epoll) in the same round. The tables have medians, and quartiles in
# brackets. --write puts them into docs/BENCHMARKS.md and draws docs/pictures. Only loopback is used.
set -euo pipefail
cd "$(dirname "$0")/.."

home=target/peers
only= build=1
for argument in "$@"; do
    case $argument in
    --no-build | --list | --write-from) build= ;;
    --install | --check) only=$argument ;;
    -h | --help) sed -n '2,19s/^# \{0,1\}//p' "$0" && exit ;;
    esac
done

# The sources of uWebSockets: fetched as a dependency of an empty crate, which nobody builds.
uwebsockets() {
    local crate=$home/uws-sources sources flags source
    mkdir -p $crate/src $home/uws
    printf '[package]\nname = "uws-sources"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nlibuwebsockets-sys = "=0.0.10"\n[workspace]\n' >$crate/Cargo.toml
    : >$crate/src/lib.rs
    sources=$(cargo metadata --quiet --format-version 1 --manifest-path $crate/Cargo.toml | python3 -c '
import json, pathlib, sys
packages = json.load(sys.stdin)["packages"]
manifest = next(package["manifest_path"] for package in packages if package["name"] == "libuwebsockets-sys")
print(pathlib.Path(manifest).parent / "uWebSockets")')
    flags=(-O3 -march=native -DLIBUS_NO_SSL -DLIBUS_USE_EPOLL -DUWS_NO_ZLIB -I "$sources/src" -I "$sources/uSockets/src")
    for source in "$sources"/uSockets/src/*.c "$sources"/uSockets/src/eventing/epoll_kqueue.c; do
        gcc -std=c11 "${flags[@]}" -c "$source" -o "$home/uws/$(basename "$source").o"
    done
    g++ -std=c++20 "${flags[@]}" scripts/peers/uws.cpp $home/uws/*.o -o $home/uws/uws
}

install_all() {
    uwebsockets
    cargo build --quiet --release --locked --manifest-path scripts/peers/Cargo.toml --target-dir $home/rust
    npm install --silent --no-audit --no-fund --prefix $home/node ws@8.23.0 socket.io@4.8.4
    mkdir -p $home/nginx /var/lib/nginx
    (
        cd $home/nginx
        apt-get update -qq
        apt-get download -qq nginx libnginx-mod-nchan
        for package in *.deb; do dpkg -x "$package" .; done
    )
}

if [ "$only" = --install ]; then
    install_all
    exit
fi
[ -z "$build" ] || [ -n "$only" ] || cargo build --quiet --release --workspace --bins --example raw_epoll
ulimit -n "$(ulimit -Hn)"
exec python3 scripts/peers/bench.py "$@"
