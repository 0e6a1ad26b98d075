//! The shard's own code under a seeded simulator: a network that does everything a network may, shards, peers and other
//! threads on one thread, and what must be true checked at every step.
//!
//! `THRONG_SIM_SEED=n` runs one seed, `THRONG_SIM_SEEDS=n` so many from 1 on, `THRONG_SIM_FIRST=n` from another one on.
//! A seed that fails is printed and fails again, always at the same step.

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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use faults::FAULTS;
use service::Planned;
use world::{Tally, World};

/// Seeds that `cargo test` runs: some seconds without optimisation.
const SEEDS: u64 = 300;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one seed; what is wrong with it, if anything is.
fn run(seed: u64) -> Result<Tally, String> {
    let mut world = World::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let step = world.steps;
    match outcome {
        Ok(Ok(())) => Ok(world.tally()),
        Ok(Err(what)) => Err(format!("seed {seed}, step {step}: {what}")),
        Err(panic) => {
            // What was borrowed when it struck stays so.
            std::mem::forget(world);
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(format!("seed {seed}, step {step}: a panic: {}", text.unwrap_or("planned")))
        }
    }
}

/// Planned panics say nothing.
fn hush() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Planned>() {
            loud(info);
        }
    }));
}

#[test]
fn every_seed_keeps_the_rules() {
    hush();
    if let Some(seed) = setting("THRONG_SIM_SEED") {
        return drop(run(seed).unwrap_or_else(|what| panic!("{what}")));
    }
    let first = setting("THRONG_SIM_FIRST").unwrap_or(1);
    let (next, end) = (AtomicU64::new(first), first + setting("THRONG_SIM_SEEDS").unwrap_or(SEEDS));
    let (has_failed, failures, sum) = (AtomicBool::new(false), Mutex::new(Vec::new()), Mutex::new(Tally::default()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
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
            });
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
