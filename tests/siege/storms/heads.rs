//! Connections that begin a request and never end it: some fall silent, others add a byte from time to time.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::json;
use throng::sys::memory::user_memory;

use super::visitors::Visitors;
use super::{sized, until};
use crate::child::{Besieged, Serving};
use crate::report::Report;

/// What one of them may cost.
const EACH_BYTES_MAX: u64 = 1024;

/// How much later than its deadline one may be ended, and how long a turn may take that ends them.
const LATE_MAX: Duration = Duration::from_millis(250);
const TURN_MAX: Duration = Duration::from_millis(50);

const BEGUN: &[u8] = b"GET /a/path?and=a&query HTTP/1.1\r\nHost: localhost:3000\r\nUser-Agent: sl";

pub(super) fn run(report: &mut Report) {
    half_open(report, "half-open", sized(10_000, 300), None);
    if super::is_full() {
        // A byte of each every half second, until all of them are cut in one turn.
        half_open(report, "slow heads", 300, Some(Duration::from_millis(500)));
    }
}

fn half_open(report: &mut Report, name: &'static str, count: usize, dribble: Option<Duration>) {
    let timeout = Duration::from_millis(sized(10_000, 1500));
    let mut server =
        Besieged::start(Serving { connections: count + 1000, head_timeout: timeout, ..Serving::default() });
    // What is allocated once is there before.
    let mut visitors = Visitors::new(server.address);
    visitors.come_in(25, 25);
    let mut is_well = visitors.step_until(|all| all.count(|one| one.is_served) == 50);
    visitors.go();
    is_well &= until(&mut server, |stand| stand.counter("connections_closed") >= 50);
    let user_bytes = |server: &Besieged| user_memory(server.pid()).expect("the server is alive").pss_bytes;
    let before = user_bytes(&server);
    for at in 0..count {
        visitors.come(BEGUN);
        // The kernel's queues are as long as somaxconn says.
        if at % 500 == 499 {
            visitors.step_until(|all| all.count(|one| one.peer.unsent() > 0) == 0);
        }
    }
    is_well &= visitors.step_until(|all| all.count(|one| one.peer.unsent() > 0) == 0);
    is_well &= until(&mut server, |stand| stand.counter("count") as usize == count);
    let held = user_bytes(&server);
    let each = held.saturating_sub(before) / count as u64;
    server.stand();
    let mut last = Instant::now();
    while visitors.count(|one| one.ended.is_none()) > 0 && is_well {
        visitors.step(Duration::from_millis(20));
        if dribble.is_some_and(|pause| last.elapsed() > pause) {
            last = Instant::now();
            for (_, one) in visitors.all.iter_mut().filter(|(_, one)| one.ended.is_none()) {
                // One that was ended meanwhile is found to be when it is read.
                drop(one.peer.say(b"o"));
            }
        }
        is_well =
            visitors.all.iter().all(|(_, one)| one.ended.is_some() || one.begun.elapsed() < 3 * timeout);
    }
    let turn_us = server.stand().counter("turn_max_us");
    let answered = visitors.count(|one| one.status == Some(408));
    let mut late_ms = Histogram::<u32>::new_with_bounds(1, 600_000, 3).expect("bounds that can be");
    let mut early = 0;
    for (_, one) in &visitors.all {
        let lived = one.ended.unwrap_or(one.begun).saturating_duration_since(one.begun);
        early += usize::from(lived < timeout);
        late_ms.saturating_record(lived.saturating_sub(timeout).as_millis() as u64);
    }
    visitors.go();
    is_well &= until(&mut server, |stand| stand.counter("count") == 0);
    println!(
        "{count} {name}: {each} bytes of user memory each, {answered} answered 408, {early} early, late by {} ms (p99; at \
         most {}), longest turn {:.1} ms",
        late_ms.value_at_quantile(0.99),
        late_ms.max(),
        turn_us as f64 / 1e3
    );
    report.storm(
        name,
        json!({
            "connections": count, "bytes_each": each, "answered": answered, "early": early,
            "late_p99_ms": late_ms.value_at_quantile(0.99), "late_max_ms": late_ms.max(), "turn_max_us": turn_us,
        }),
    );
    report.check(&format!("{name}: all come and all go"), is_well);
    report.check(
        &format!("{name}: {answered} of {count} are answered, {early} early"),
        answered == count && early == 0,
    );
    // What is shared by all says nothing of few.
    report.check(&format!("{name}: {each} bytes each"), each <= EACH_BYTES_MAX || count < 1000);
    report.check_time(
        &format!("{name}: a turn of {turn_us} us"),
        u128::from(turn_us) < TURN_MAX.as_micros(),
        true,
    );
    let is_in_time = u128::from(late_ms.max()) < LATE_MAX.as_millis();
    report.check_time(&format!("{name}: {} ms late", late_ms.max()), is_in_time, true);
    report.check(&format!("{name}: the server ends well"), server.stop());
}
