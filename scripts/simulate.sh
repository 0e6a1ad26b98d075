#!/usr/bin/env bash
# Runs both simulators over many seeds, and the wake-up protocol in every order of the memory model.
#
#   scripts/simulate.sh [--seeds N] [--first N] [--all] [--no-loom] [sim] [sim_io]
#
# 10,000 seeds of each from 1 on by default, on all cores: sim is the core, sim_io is Socket.IO's sessions; named, only that
# one runs. Prints how many steps, turns, connections and messages there were, how often each kind of fault struck and how
# often what has to happen did. A seed that fails is named; THRONG_SIM_SEED=N cargo test --test sim, or sim_io, replays it.
# --all goes on behind the first one that fails. The last line says whether everything held.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=10000 loom=1
worlds=()
while [ $# -gt 0 ]; do
    case $1 in
    --seeds) seeds=$2 && shift ;;
    --first) export THRONG_SIM_FIRST=$2 && shift ;;
    --all) export THRONG_SIM_ALL=1 ;;
    --no-loom) loom= ;;
    sim | sim_io) worlds+=("$1") ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done

# No backtraces: the planned panics of a run are thousands.
export RUST_BACKTRACE=0
# With Socket.IO in both, so that the library is built once.
[ ${#worlds[@]} -gt 0 ] || worlds=(sim sim_io)
for world in "${worlds[@]}"; do
    THRONG_SIM_SEEDS=$seeds cargo test --quiet --profile sim --no-default-features --features socketio --test "$world" -- --nocapture
done
if [ -n "$loom" ]; then
    # A directory of its own: another cfg rebuilds everything.
    RUSTFLAGS='--cfg loom' cargo test --quiet --release -p throng-loom --target-dir target/loom
fi
echo "all $seeds seeds keep the rules"
