//! The shard's own code under a seeded simulator: a network that does everything a network may, shards, peers and other
//! threads on one thread, and what must be true checked at every step.
//!
//! `THRONG_SIM_SEED=n` runs one seed, `THRONG_SIM_SEEDS=n` so many from 1 on, `THRONG_SIM_FIRST=n` from another one on.
//! A seed that fails is printed and fails again, always at the same step.

#![allow(
    unreachable_pub,
    reason = "nothing of a test crate can be reached, and `pub` says what other modules use"
)]

mod bytes;
mod drain;
mod ends;
mod faults;
mod io;
mod ledger;
mod net;
mod outside;
mod peer;
mod random;
mod script;
mod seeds;
mod service;
mod speak;
mod talk;
mod words;
mod world;

use faults::FAULTS;
use world::World;

/// Seeds that `cargo test` runs: some seconds without optimisation.
const SEEDS: u64 = 300;

#[test]
fn every_seed_keeps_the_rules() {
    let Some(sum) = seeds::run_all(SEEDS, World::new) else { return };
    for (fault, name, _) in FAULTS {
        assert!(sum.faults[*fault as usize] > 0, "no seed had the fault {name}");
    }
}
