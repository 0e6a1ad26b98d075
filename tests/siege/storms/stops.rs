//! The server's host stands still, and goes on: those who answer what they are asked stay, though their answers came while
//! nobody looked, and what was due meanwhile could not be asked.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::sized;
use super::visitors::Visitors;
use crate::child::{Besieged, Serving};
use crate::report::Report;

pub(super) fn run(report: &mut Report) {
    let (raw, io, rounds) = (sized(3000, 300), sized(1000, 100), sized(3, 1));
    let ping = Duration::from_millis(sized(1500, 700));
    // Longer than a ping may go unanswered: in full, three times as long.
    let stands_still = ping * sized(6, 5) / 2;
    let mut server = Besieged::start(Serving { ping: Some(ping), ..Serving::default() });
    let mut visitors = Visitors::new(server.address);
    visitors.come_in(raw, io);
    let count = raw + io;
    let mut is_well = visitors.step_until(|all| all.count(|one| one.is_served) == count);
    for _ in 0..rounds {
        // In the midst of a round of pings, most of whose answers are on their way when it stops.
        let half = visitors.pings() + count as u64 / 2;
        is_well &= visitors.step_until(|all| all.pings() >= half || all.count(|one| one.ended.is_some()) > 0);
        server.signal(Signal::STOP);
        visitors.step_for(stands_still);
        server.signal(Signal::CONT);
        visitors.step_for(ping * 5 / 2);
    }
    let (ended, pings) = (visitors.count(|one| one.ended.is_some()), visitors.pings());
    let after = server.stand();
    println!(
        "{rounds} stops of {stands_still:?} with pings every {ping:?}: {ended} of {count} idle clients were cut, {pings} pings answered"
    );
    report.storm(
        "stops",
        json!({
            "clients": count, "stops": rounds, "stop_s": stands_still.as_secs_f64(), "ping_s": ping.as_secs_f64(), "cut": ended,
            "pings": pings,
        }),
    );
    report.check("stops: all are served and pinged", is_well && pings >= count as u64);
    report.check(&format!("stops: {ended} cut, the first: {}", visitors.first_end()), ended == 0);
    for counter in ["pong_timeout", "io_sessions_closed"] {
        report.check(&format!("stops: {} {counter}", after.counter(counter)), after.counter(counter) == 0);
    }
    report.check("stops: the server ends well", server.stop());
}
