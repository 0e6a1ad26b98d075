//! The server has no fd left, while many wait and more come: nothing spins, those who are inside notice nothing, and
//! service comes back with the fds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::visitors::Visitors;
use super::{PATIENCE, sized};
use crate::child::{Besieged, Serving};
use crate::healthy::Healthy;
use crate::report::Report;
use crate::wire::handshake;
use crate::{P99_MAX_US, RATE};

/// What of a core it may take, in percent.
const LOAD_MAX: f64 = 35.0;

/// How soon service is to be back.
const BACK_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn run(report: &mut Report) {
    let (waiting, per_second, seconds) = (sized(1000, 200), sized(200, 50), sized(20.0, 1.5));
    let mut server = Besieged::start(Serving::default());
    // Without anybody outside: what those ten cost by themselves.
    let mut healthy = Healthy::gather(server.address, server.shards);
    let (alone_before, began) = (server.stand(), Instant::now());
    healthy.run(RATE, seconds / 4.0);
    let alone = (server.stand().cpu - alone_before.cpu) as f64 / began.elapsed().as_secs_f64();
    let limit = server.limit_fds(server.open_fds());
    let (before, address, is_over) = (server.stand(), server.address, AtomicBool::new(false));
    let (outcome, load, mut outside, shed) = thread::scope(|scope| {
        let outside = scope.spawn(|| besiege(Visitors::new(address), waiting, per_second, &is_over));
        let began = Instant::now();
        let outcome = healthy.run(RATE, seconds);
        let load = (server.stand().cpu - before.cpu) as f64 / began.elapsed().as_secs_f64();
        is_over.store(true, Ordering::Relaxed);
        let (outside, shed) = outside.join().expect("a besieger ends");
        (outcome, load, outside, shed)
    });
    let after = server.stand();
    server.limit_fds(limit);
    // Those who still waited, and one who comes now.
    let (again, still) = (Instant::now(), outside.all.len());
    let mut late = Visitors::new(address);
    while late.count(|one| one.is_served) == 0 && again.elapsed() < PATIENCE {
        if late.count(|one| one.ended.is_none()) == 0 {
            late.come(&handshake("/echo"));
        }
        late.step(Duration::from_millis(5));
        outside.step(Duration::ZERO);
    }
    let newcomer = again.elapsed();
    outside.step_until(|all| all.count(|one| one.is_served || one.ended.is_some()) == still);
    let (everybody, served) = (again.elapsed(), outside.count(|one| one.is_served));
    let p99_us = outcome.response_us.value_at_quantile(0.99);
    println!(
        "no fds, {waiting} waiting and {per_second} new a second for {seconds} s: {load:.0} % of a core ({alone:.0} % without them), \
         {shed} shed, p99 of those inside {:.1} ms; then a newcomer is served in {newcomer:.2?}, {served} of {still} who waited in \
         {everybody:.2?}",
        p99_us as f64 / 1e3
    );
    let full = after.counter("fd_table_full") - before.counter("fd_table_full");
    report.storm(
        "fds",
        json!({
            "waiting": waiting, "per_second": per_second, "seconds": seconds, "cpu_percent": load, "alone_percent": alone,
            "shed": shed, "fd_table_full": full, "p99_us": p99_us, "lost": outcome.lost,
            "newcomer_s": newcomer.as_secs_f64(), "still_waiting": still, "served": served,
            "everybody_s": everybody.as_secs_f64(),
        }),
    );
    report.check("fds: the table is full", full > 0);
    report.check("fds: nothing of those inside is lost", outcome.lost == 0 && outcome.wrong.is_empty());
    report.check_time(&format!("fds: p99 of those inside {p99_us} us"), p99_us <= P99_MAX_US, true);
    report.check_time(&format!("fds: {load:.0} % of a core"), load < LOAD_MAX, true);
    report.check_time(&format!("fds: back after {newcomer:?}"), newcomer < BACK_WITHIN, newcomer < PATIENCE);
    report.check("fds: the server ends well", server.stop());
}

/// As many as are to wait at any time, and so many new a second. Whoever is shed comes again at once, if too few wait.
/// Returns those who wait still, and how many were shed.
fn besiege(
    mut outside: Visitors,
    waiting: usize,
    per_second: usize,
    is_over: &AtomicBool,
) -> (Visitors, usize) {
    let (hello, tenth) = (handshake("/echo"), Duration::from_millis(100));
    let (mut shed, mut next) = (0, Instant::now());
    while !is_over.load(Ordering::Relaxed) {
        let came = outside.all.len();
        outside.all.retain(|_, one| one.ended.is_none());
        shed += came - outside.all.len();
        let mut coming = waiting.saturating_sub(outside.all.len());
        if Instant::now() >= next {
            next += tenth;
            coming = coming.max(per_second / 10);
        }
        (0..coming).for_each(|_| outside.come(&hello));
        outside.step_for(next.saturating_duration_since(Instant::now()).min(tenth / 4));
    }
    (outside, shed)
}
