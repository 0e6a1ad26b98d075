//! Runs seeds on all cores, and says which of them fails first.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// What planned panics carry.
pub struct Planned;

/// What runs have counted.
pub trait Tally: Default + Send {
    fn add(&mut self, other: &Self);
    fn print(&self);
}

/// One run, made from a seed.
pub trait Run {
    type Tally: Tally;

    /// The first thing that is wrong ends it.
    fn run(&mut self) -> Result<(), String>;
    fn steps(&self) -> u64;
    fn tally(&self) -> Self::Tally;
}

/// The name of the threads that run seeds.
const SIMULATOR: &str = "simulator";

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
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

/// Runs one seed; what is wrong with it, if anything is.
fn run<W: Run>(seed: u64, make: impl Fn(u64) -> W) -> Result<W::Tally, String> {
    let mut world = make(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let step = world.steps();
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

/// Runs the seeds that the environment asks for, else `usual` from 1 on. What they have counted, if there were at least
/// that many.
pub fn run_all<W: Run>(usual: u64, make: impl Fn(u64) -> W + Sync) -> Option<W::Tally> {
    hush();
    let first = setting("THRONG_SIM_SEED").or_else(|| setting("THRONG_SIM_FIRST")).unwrap_or(1);
    let seeds =
        if setting("THRONG_SIM_SEED").is_some() { 1 } else { setting("THRONG_SIM_SEEDS").unwrap_or(usual) };
    let (next, end) = (AtomicU64::new(first), first + seeds);
    let has_failed = AtomicBool::new(false);
    let (failures, sum) = (Mutex::new(Vec::new()), Mutex::new((0, W::Tally::default())));
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
                    match run(seed, &make) {
                        Ok(tally) => {
                            let (count, all) = &mut *sum.lock().unwrap();
                            *count += 1;
                            all.add(&tally);
                        }
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
    let (count, sum) = sum.into_inner().unwrap();
    println!("{count} seeds in {:.1} s", began.elapsed().as_secs_f64());
    sum.print();
    assert!(failures.is_empty(), "{}\nreplay with THRONG_SIM_SEED", failures.join("\n"));
    (count >= usual).then_some(sum)
}
