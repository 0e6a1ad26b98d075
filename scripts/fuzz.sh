#!/usr/bin/env bash
# Runs every fuzz target for a while and fails if one crashes.
#
#   scripts/fuzz.sh [--install | --check] [SECONDS] [TARGET …]
#
# SECONDS per target: 60 unless told. Without targets named, all of fuzz/Cargo.toml run. What a target finds on its way is
# kept in fuzz/corpus and tried first the next time, beginning with what hours of earlier runs have left, which is in
# fuzz/corpora.tar.gz; an input that crashes it is kept in fuzz/artifacts and is named in the output. cargo-fuzz is installed under target/ if it is not there; --install does only that, --check says by its exit
# status whether a run is possible. It all works on the stable toolchain: no sanitizer, and the one file of throng's
# protocols with `unsafe` in it is two lines.
set -euo pipefail
cd "$(dirname "$0")/.."

home=$PWD/target/cargo-fuzz
version=0.13.2
seconds=60
only=
targets=()

while [ $# -gt 0 ]; do
    case $1 in
    --install | --check) only=$1 ;;
    -*) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    *[!0-9]*) targets+=("$1") ;;
    *) seconds=$1 ;;
    esac
    shift
done

export PATH=$home/bin:$PATH
if [ "$only" = --check ]; then
    command -v cargo-fuzz >/dev/null
    exit
fi
if ! command -v cargo-fuzz >/dev/null; then
    cargo install --quiet --locked --root "$home" --version "$version" cargo-fuzz
fi
[ "$only" != --install ] || exit 0

if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(sed -n 's|^path = "fuzz_targets/\(.*\)\.rs"|\1|p' fuzz/Cargo.toml)
fi
# cargo-fuzz passes flags that are unstable; the compiler takes them from a stable toolchain only if told so.
export RUSTC_BOOTSTRAP=1
cargo fuzz build --sanitizer none
[ -d fuzz/corpus ] || tar -C fuzz -xzf fuzz/corpora.tar.gz
for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target"
    printf 'fuzz: %s, %d s\n' "$target" "$seconds"
    if ! cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 >"target/fuzz-$target.log" 2>&1; then
        tail -n 60 "target/fuzz-$target.log"
        printf 'fuzz: %s crashed; target/fuzz-%s.log has it all\n' "$target" "$target"
        exit 1
    fi
    sed -n 's/^stat::number_of_executed_units: */    executed /p; s/^stat::average_exec_per_sec: */    a second /p' "target/fuzz-$target.log"
done
