#!/usr/bin/env bash
# Runs everything that must hold before a change is taken, one stage after the other, and says what it could not run.
#
#   scripts/test.sh [--install] [STAGE …]
#
# --install first puts what the stages need under target/, from PyPI, npm and cargo. With stages named, only those run.
# A stage whose tools are missing is skipped and listed; with CI=true a skip is a failure. Each stage's output is kept in
# target/test/STAGE.log. The last line counts tests where a stage counts them, and the stage itself where it does not.
set -uo pipefail
cd "$(dirname "$0")/.."

install=
stages=()
for argument in "$@"; do
    case $argument in
    --install) install=--install ;;
    --*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    *) stages+=("$argument") ;;
    esac
done

# Linked crates of the library without the binary's parts; build-time macros are not linked.
crates_max=40
logs=target/test
mkdir -p "$logs"
passed=0 failed=0 skipped=0
notes=()

wanted() {
    [ ${#stages[@]} -eq 0 ] || [[ " ${stages[*]} " == *" $1 "* ]]
}

# stage NAME COMMAND …: runs it, times it, counts what it passed and failed.
stage() {
    local name=$1 log=$logs/$1.log start=$SECONDS ok=0
    shift
    wanted "$name" || return 0
    printf '%-12s ' "$name"
    "$@" >"$log" 2>&1 && ok=1
    # "test result: ok. 5 passed; 1 failed; 0 ignored; …", once per test binary, and the doc tests'.
    read -r good bad ignored < <(awk '/^test result:/ { good += $4; bad += $6; ignored += $8 } END { print good + 0, bad + 0, ignored + 0 }' "$log")
    if [ $ok = 1 ]; then
        passed=$((passed + (good > 0 ? good : 1)))
        skipped=$((skipped + ignored))
        printf 'ok      %4d s\n' $((SECONDS - start))
    else
        passed=$((passed + good)) failed=$((failed + (bad > 0 ? bad : 1)))
        printf 'FAILED  %4d s\n' $((SECONDS - start))
        # What the failed tests themselves have said stands anywhere in it.
        { awk '/^---- .* stdout ----$/ { said = 1 } /^failures:$/ { said = 0 } said' "$log" | head -n 60; tail -n 60 "$log"; } |
            sed 's/^/    /'
    fi
}

# skip NAME WHY: a stage that cannot run here.
skip() {
    wanted "$1" || return 0
    skipped=$((skipped + 1))
    notes+=("$1: $2")
    printf '%-12s skipped: %s\n' "$1" "$2"
}

scripts_parse() {
    local script
    for script in scripts/*.sh .ci/run; do
        bash -n "$script" || return
    done
    ! command -v shellcheck >/dev/null || shellcheck scripts/*.sh .ci/run
}

few_crates() {
    local tree count
    tree=$(cargo tree --locked --no-default-features -e normal,no-proc-macro --prefix none) || return
    count=$(sed 's/ .*//' <<<"$tree" | sort -u | grep -vcx throng)
    printf 'the library links %d crates, at most %d are allowed\n' "$count" "$crates_max"
    [ "$count" -le "$crates_max" ]
}

documented() {
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps
}

stage fmt cargo fmt --all --check
stage scripts scripts_parse
stage crates few_crates
stage clippy cargo clippy --locked --workspace --all-targets -- -D warnings
stage library cargo clippy --locked --package throng --no-default-features --lib -- -D warnings
# tests/tidy, which reads the sources, is among them.
# The simulators' seeds are a stage of their own, optimised.
stage test env THRONG_SIM_SEEDS=50 cargo test --locked --workspace --no-fail-fast
stage doc documented
stage release cargo build --locked --release --workspace --bins --example raw_epoll --example io_server --example raw_epoll_client
stage release-rpc cargo build --locked --release --package bench-client --example json_rpc
# The long runs in short: that they work, not what they measure.
stage simulate scripts/simulate.sh --seeds 1000
stage abuse scripts/abuse.sh --report "$logs/abuse"
stage slow-readers scripts/slow-readers.sh --short --no-build
stage bench-100k scripts/bench-100k.sh --no-build --connections 2000 --seconds 2 --report "$logs/bench-100k"
stage bench-limit scripts/bench-limit.sh --no-build --pairs 1 --seconds 0.3 --workload echo-500-20b-p1 --workload broadcast-1000-20b
stage bench-client-limit scripts/bench-client-limit.sh --no-build --pairs 1 --seconds 0.3 --workload 500-20b-p1
stage bench-peers scripts/bench-peers.sh --short --no-build
stage bench-messages scripts/bench-messages.sh --short --no-build
if command -v cargo-deny >/dev/null; then
    stage deny cargo deny check
fi

# The suites that need more than Rust. Each script knows what it needs: `--check` says by its status whether it is here.
suites() {
    local script=$1 name=$2
    shift 2
    wanted "$name" || return 0
    if [ -n "$install" ] && ! "$script" --install >"$logs/$name-install.log" 2>&1; then
        tail -n 20 "$logs/$name-install.log" | sed 's/^/    /'
    fi
    if "$script" --check >/dev/null 2>&1; then
        stage "$name" "$script" "$@"
    else
        skip "$name" "$script lacks its tools; --install, or its head, says which"
    fi
}

suites scripts/fuzz.sh fuzz 2
suites scripts/sanitize.sh sanitize --short
suites scripts/autobahn.sh autobahn --short
suites scripts/autobahn.sh autobahn-tls --tls
for client in tests/clients/*/run.sh; do
    [ ! -x "$client" ] || suites "$client" "$(basename "$(dirname "$client")")"
done

for note in "${notes[@]}"; do
    printf 'skipped %s\n' "$note"
done
if [ "${CI:-}" = true ] && [ ${#notes[@]} -gt 0 ]; then
    printf 'in CI a skip is a failure\n'
    failed=$((failed + ${#notes[@]})) skipped=$((skipped - ${#notes[@]}))
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
