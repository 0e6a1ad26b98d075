//! Everybody comes back at once.

use std::time::{Duration, Instant};

use serde_json::json;

use super::visitors::Visitors;
use super::{PATIENCE, sized};
use crate::child::{Besieged, Serving};
use crate::report::Report;

/// Within what they are all to be served again.
const WITHIN: Duration = Duration::from_secs(2);

pub(super) fn run(report: &mut Report) {
    let (count, rounds) = (sized(2000, 400), sized(9, 1));
    let mut server = Besieged::start(Serving::default());
    let mut visitors = Visitors::new(server.address);
    visitors.come_in(count / 2, count / 2);
    let mut are_served = visitors.step_until(|all| all.count(|one| one.is_served) == count);
    server.stand();
    let mut took = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        visitors.go();
        visitors.come_in(count / 2, count / 2);
        are_served &= visitors.step_until(|all| all.count(|one| one.is_served) == count);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let (median, longest) = (took[rounds / 2], took[rounds - 1]);
    let turn_us = server.stand().counter("turn_max_us");
    println!(
        "{count} come back at once, half of them by Socket.IO: all served in {median:.2?} (median of {rounds}; at most \
         {longest:.2?}), longest turn {:.1} ms",
        turn_us as f64 / 1e3
    );
    report.storm(
        "returns",
        json!({ "clients": count, "median_s": median.as_secs_f64(), "longest_s": longest.as_secs_f64(), "turn_max_us": turn_us }),
    );
    report.check(&format!("returns: all are served: {}", visitors.first_end()), are_served);
    report.check_time(&format!("returns: within {median:?}"), median < WITHIN, median < PATIENCE);
    report.check("returns: the server ends well", server.stop());
}
