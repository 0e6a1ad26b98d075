#!/usr/bin/env bash
# Plants one bug after the other and counts the seeds until a simulator, or loom, finds it.
#
#   scripts/planted.sh [--seeds N] [NAME …]
#
# The bugs are tests/planted/NAME.patch; the first line of each says what it breaks, and one that is not the core's
# simulator's to find says whose (`# found-by: sim_io`, `# found-by: loom`). Each is applied to a copy of the
# sources under target/planted, never to the sources themselves. A bug must be found within 1,000 seeds (--seeds); one that
# is not, or whose patch no longer applies, fails the script. The last line counts those that were found.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=1000
names=()
while [ $# -gt 0 ]; do
    case $1 in
    --seeds) seeds=$2 && shift ;;
    -*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    *) names+=("$1") ;;
    esac
    shift
done
if [ ${#names[@]} -eq 0 ]; then
    for patch in tests/planted/*.patch; do
        names+=("$(basename "$patch" .patch)")
    done
fi

root=$PWD
copy=$root/target/planted/tree
mkdir -p "$copy"
export CARGO_TARGET_DIR=$root/target/planted/build RUST_BACKTRACE=0
# What is no source any more would still be built.
comm -z -23 <(cd "$copy" && find . -type f -printf '%P\0' | sort -z) \
    <(git ls-files -z --cached --others --exclude-standard | sort -z) | (cd "$copy" && xargs -0 -r rm --)
# Times are kept, so that only what a patch touches is built again.
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -cf - -T - 2>/dev/null | tar -C "$copy" -xf -
cd "$copy"

# simulate LOG [WORLD]: runs a simulator until a seed fails.
simulate() {
    THRONG_SIM_SEEDS=$seeds cargo test --quiet --profile sim --no-default-features --features socketio --test "${2:-sim}" every_seed \
        -- --nocapture >"$1" 2>&1
}

simulate_io() {
    simulate "$1" sim_io
}

weave() {
    RUSTFLAGS='--cfg loom' timeout 600 cargo test --quiet --release -p throng-loom --target-dir "$CARGO_TARGET_DIR/loom" >"$1" 2>&1
}

found=0 missed=0
for name in "${names[@]}"; do
    patch=$root/tests/planted/$name.patch
    log=$root/target/planted/$name.log
    printf '%-32s ' "$name"
    if ! patch --quiet --batch -p1 --no-backup-if-mismatch <"$patch" >"$log" 2>&1; then
        printf 'the patch does not apply\n' && missed=$((missed + 1))
        git -C "$root" ls-files -z src | tar -C "$root" --null -cf - -T - | tar -C "$copy" -xmf -
        continue
    fi
    by=simulate
    grep -q '^# found-by: loom' "$patch" && by=weave
    grep -q '^# found-by: sim_io' "$patch" && by=simulate_io
    if "$by" "$log"; then
        printf 'NOT FOUND\n' && missed=$((missed + 1))
    elif what=$(grep -aoE '^(seed [0-9]+, step [0-9]+: |deadlock).*' "$log" | sort -t' ' -k2n | head -n 1) && [ -n "$what" ]; then
        printf '%.110s\n' "$what" && found=$((found + 1))
    else
        printf 'fails otherwise: see %s\n' "$log" && missed=$((missed + 1))
    fi
    patch --quiet --batch --reverse -p1 --no-backup-if-mismatch <"$patch" >>"$log" 2>&1
done
printf '%d planted bugs found, %d not\n' "$found" "$missed"
[ "$missed" -eq 0 ]
