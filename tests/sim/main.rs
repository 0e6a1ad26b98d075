//! The shard's own code under a seeded simulator: a network that does everything a network may, shards, peers and other
//! threads on one thread, and what must be true checked at every step.
//!
//! `THRONG_SIM_SEED=n` runs one seed, `THRONG_SIM_SEEDS=n` so many from 1 on, `THRONG_SIM_FIRST=n` from another one on.
//! A seed that fails is printed and fails again, always at the same step.

#![allow(
    unreachable_pub,
    reason = "nothing of a test crate can be reached, and `pub` says what other modules use"
)]

mod ends;
mod faults;
mod io;
mod ledger;
mod net;
mod outside;
mod peer;
mod random;
mod service;
mod speak;
mod talk;
mod words;
mod world;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use faults::FAULTS;
use service::Planned;
use world::{Tally, World};

/// Seeds that `cargo test` runs: some seconds without optimisation.
const SEEDS: u64 = 300;

/// The name of the threads that run seeds.
const SIMULATOR: &str = "simulator";

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one seed; what is wrong with it, if anything is.
fn run(seed: u64) -> Result<Tally, String> {
    let mut world = World::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let step = world.steps;
    let unplanned = UNPLANNED.with_borrow_mut(std::mem::take);
    let what = match (unplanned.first(), outcome) {
        (Some(panic), outcome) => {
            if outcome.is_err() {
                // What was borrowed when it struck stays so.
                std::mem::forget(world);
            }
            panic.clone()
        }
        (None, Ok(Ok(()))) => return Ok(world.tally()),
        (None, Ok(Err(what))) => what,
        (None, Err(_)) => "a planned panic was not caught".into(),
    };
    Err(format!("seed {seed}, step {step}: {what}"))
}

thread_local! {
    /// Panics of this thread that nobody planned; the core catches them where it calls a service.
    static UNPLANNED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Planned panics say nothing, others are told by the seed they fail.
fn hush() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some(SIMULATOR) {
            if !info.payload().is::<Planned>() {
                UNPLANNED.with_borrow_mut(|unplanned| unplanned.push(info.to_string().replace('\n', " ")));
            }
        } else {
            loud(info);
        }
    }));
}

#[test]
fn every_seed_keeps_the_rules() {
    hush();
    let first = setting("THRONG_SIM_SEED").or_else(|| setting("THRONG_SIM_FIRST")).unwrap_or(1);
    let seeds =
        if setting("THRONG_SIM_SEED").is_some() { 1 } else { setting("THRONG_SIM_SEEDS").unwrap_or(SEEDS) };
    let (next, end) = (AtomicU64::new(first), first + seeds);
    let (has_failed, failures, sum) =
        (AtomicBool::new(false), Mutex::new(Vec::new()), Mutex::new(Tally::default()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let simulator = std::thread::Builder::new().name(SIMULATOR.into());
            let run_seeds = || {
                while !has_failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    match run(seed) {
                        Ok(tally) => sum.lock().unwrap().add(&tally),
                        Err(what) => {
                            failures.lock().unwrap().push(what);
                            has_failed.store(setting("THRONG_SIM_ALL").is_none(), Ordering::Relaxed);
                        }
                    }
                }
            };
            simulator.spawn_scoped(scope, run_seeds).expect("threads can be had");
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let sum = sum.into_inner().unwrap();
    println!("{} seeds in {:.1} s", sum.seeds, began.elapsed().as_secs_f64());
    sum.print();
    assert!(failures.is_empty(), "{}\nreplay with THRONG_SIM_SEED", failures.join("\n"));
    if sum.seeds >= SEEDS {
        for (fault, name, _) in FAULTS {
            assert!(sum.faults[*fault as usize] > 0, "no seed had the fault {name}");
        }
    }
}
