#!/usr/bin/env bash
# Runs what touches `unsafe` under valgrind and AddressSanitizer. It is in proto/ws/utf8, sys/fd_table and sys/source;
# a fourth file, sys/trim, has one call without an argument that they would replace.
#
#   scripts/sanitize.sh [--short] [--install | --check]
#
# The unit tests of their rooms, every decoder's tests, and the tests of own fd tables, which are a process of their own. Any report
# fails. --short is valgrind alone, on the binaries that `cargo test` has built; AddressSanitizer builds its own. Miri knows neither
# `unshare` nor `setsockopt`, which is all that two of the three files do. --install fetches valgrind with apt, --check says by its
# exit status whether it is here.
set -euo pipefail
cd "$(dirname "$0")/.."

short=
for argument in "$@"; do
    case $argument in
    --short) short=1 ;;
    --install)
        command -v valgrind >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind; }
        exit
        ;;
    --check)
        command -v valgrind >/dev/null
        exit
        ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
done

# The path of a test binary, built if it is not. cargo says it in JSON, with the program's own beside it, in any order.
binary() {
    cargo test --locked --no-run --message-format=json -p throng "$@" 2>/dev/null |
        python3 -c 'import json, sys; print(*[l["executable"] for l in map(json.loads, sys.stdin) if l.get("executable") and l["profile"]["test"]])'
}

# The tests of one binary, by what runs them and with which filters.
run() {
    local how=$1 what=$2
    shift 2
    printf 'sanitize: %s, %s\n' "$how" "$what"
    "$@"
}

rooms=(proto::ws sys::fd_table sys::source)
valgrind=(valgrind --quiet --error-exitcode=99 --leak-check=no)

# valgrind runs one thread at a time, some thirty times as slowly: the decoders' unit tests, not their every split. Two tests are about
# what the kernel does with an fd table and its limit, which valgrind stands before.
run valgrind 'unit tests' "${valgrind[@]}" "$(binary --lib)" --test-threads 1 "${rooms[@]}"
run valgrind 'own fd tables' "${valgrind[@]}" "$(binary --test fd_tables)" --test-threads 1 \
    --skip the_limit_counts_per_table --skip what_was_open_stays
[ -z "$short" ] || exit 0

# The sanitizers are unstable flags, which the compiler takes from a stable toolchain only if told so.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address' CARGO_TARGET_DIR=target/asan
target=(--target x86_64-unknown-linux-gnu)
run AddressSanitizer 'unit tests' "$(binary "${target[@]}" --lib)" "${rooms[@]}"
for test in ws fd_tables handler; do
    run AddressSanitizer "tests/$test" "$(binary "${target[@]}" --test "$test")"
done
