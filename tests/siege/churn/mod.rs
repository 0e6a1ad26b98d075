//! Years of a server's life in minutes: a crowd of which some percent a second are killed, in every way there is, with those
//! who speak garbage, those who read from time to time and those who never do. Every message has its number, and what
//! survives has to hear all of them, once and in order.

mod garbage;
mod ledger;
mod member;
mod people;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use throng::sys::fd_table::unshare_fd_table;

use super::child::{Besieged, Serving};
use super::report::Report;
use super::setting;
use ledger::{NEVER, Tally};
use worker::{GROUP, Worker};

/// Connections that one thread's fd table holds, with room for those who go and those who come for them.
const PER_TABLE: usize = 14_000;

/// What is to happen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Members in all.
    connections: usize,
    workers: usize,
    /// Messages a second of each.
    rate: f64,
    /// Percent a second that are killed, and that come and speak garbage.
    kills: f64,
    garbage: f64,
    /// Whether the sluggish sleep.
    naps: bool,
    lasts: Duration,
    seed: u64,
}

/// Runs it, and tells what it has counted.
pub(crate) fn churn(report: &mut Report) {
    let connections = setting("CONNECTIONS", 400);
    let plan = Plan {
        connections,
        workers: connections.div_ceil(PER_TABLE).max(2),
        rate: setting("RATE", 2.0),
        kills: setting("KILLS", 2.5),
        garbage: setting("GARBAGE", 0.5),
        naps: setting("NAPS", true),
        lasts: Duration::from_secs_f64(setting("SECONDS", 8.0)),
        seed: setting("SEED", 1),
    };
    println!("\n{plan:?}");
    let mut server = Besieged::start(Serving {
        connections: connections + connections / 10 + 500,
        shards: if connections > 10_000 { 0 } else { 2 },
        ..Serving::default()
    });
    let address = server.address;
    let (settled, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let before = server.stand();
    let began = Instant::now();
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.workers)
            .map(|number| {
                let (settled, ended) = (&settled, &ended);
                scope.spawn(move || {
                    // A table of its own, where one does not hold them all. Everything it opens, it opens itself.
                    if plan.connections > 10_000 {
                        unshare_fd_table().expect("an fd table of its own");
                    }
                    let groups = plan.connections / GROUP / plan.workers;
                    let mut worker = Worker::new(plan, address, number, groups).expect("an fd for a poll");
                    let result = worker.run(&|| _ = settled.fetch_add(1, Ordering::Relaxed));
                    ended.fetch_add(1, Ordering::Relaxed);
                    result.map(|()| std::mem::take(&mut worker.tally))
                })
            })
            .collect();
        let mut told = Instant::now();
        while ended.load(Ordering::Relaxed) < plan.workers {
            thread::sleep(Duration::from_millis(100));
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                let stand = server.stand();
                println!(
                    "{:>6} s  {} of {} workers settled, {} connections, {:.0} MB, turns up to {:.1} ms",
                    began.elapsed().as_secs(),
                    settled.load(Ordering::Relaxed),
                    plan.workers,
                    stand.counter("count"),
                    stand.rss_bytes as f64 / 1e6,
                    stand.counter("turn_max_us") as f64 / 1e3,
                );
            }
        }
        for worker in workers {
            tally.merge(worker.join().expect("a worker ends").expect("the kernel polls"));
        }
    });
    let after = server.stand();
    let causes = throng::base::cause::TABLE.iter().map(|row| (row.name, after.counter(row.name)));
    let causes = causes.filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}"));
    println!("the server counted: {}", causes.collect::<Vec<_>>().join(", "));
    tally.each().for_each(|(what, n)| println!("{n:>12} {what}"));
    tally.wrong.iter().take(20).for_each(|words| println!("    {words}"));
    println!(
        "{:>12} seconds, the server's processors {:.0} % busy, {:.0} MB",
        began.elapsed().as_secs(),
        (after.cpu - before.cpu) as f64 / began.elapsed().as_secs_f64(),
        after.rss_bytes as f64 / 1e6
    );
    for what in NEVER {
        report.check(&format!("churn: {} {what}", tally.of(what)), tally.of(what) == 0);
    }
    for counter in ["panics", "publishes_dropped"] {
        report.check(&format!("churn: {counter}"), after.counter(counter) == 0);
    }
    // It must have happened, or nothing was shown.
    for what in ["heard", "reset", "finished", "closed", "garbage"] {
        report.check(&format!("churn: nobody was {what}"), tally.of(what) > 0);
    }
    report.churn(tally.each(), &after, began.elapsed());
    report.check("churn: the server ends well", server.stop());
}
