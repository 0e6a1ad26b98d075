//! Socket.IO's sessions under the seeded simulator: the service that servers run, on three shards and more, over the network
//! of `tests/sim`, with clients that poll, speak WebSocket, and move from one to the other in every way there is.
//!
//! `THRONG_SIM_SEED=n` runs one seed, `THRONG_SIM_SEEDS=n` so many from 1 on, `THRONG_SIM_FIRST=n` from another one on.
//! A seed that fails is printed and fails again, always at the same step.

#![allow(
    unreachable_pub,
    reason = "nothing of a test crate can be reached, and `pub` says what other modules use"
)]

mod app;
#[path = "../sim/bytes.rs"]
mod bytes;
mod client;
mod ends;
#[path = "../sim/faults.rs"]
mod faults;
mod hear;
#[path = "../sim/io.rs"]
mod io;
mod ledger;
#[path = "../sim/net.rs"]
mod net;
mod ops;
mod outside;
mod polling;
#[path = "../sim/random.rs"]
mod random;
mod rows;
#[path = "../sim/seeds.rs"]
mod seeds;
mod upgrade;
mod wire;
mod words;
mod world;

use faults::FAULTS;
use rows::ROWS;
use world::World;

/// Seeds that `cargo test` runs: some seconds without optimisation.
const SEEDS: u64 = 300;

#[test]
fn every_seed_keeps_the_rules() {
    let Some(sum) = seeds::run_all(SEEDS, World::new) else { return };
    for (fault, name, _) in FAULTS.iter().filter(|fault| fault.2 > 0) {
        assert!(sum.faults[*fault as usize] > 0, "no seed had the fault {name}");
    }
    for (row, name) in ROWS {
        assert!(sum.rows[*row as usize] > 0, "in no seed was there {name}");
    }
}
