//! Storms: everybody comes at once, or begins a request and never ends it, or the server has no fd left, or its host stands
//! still. What it costs is read from `/proc` and from the server's own counters.

mod fds;
mod heads;
mod returns;
mod stops;
mod visitors;

use std::time::{Duration, Instant};

use super::child::{Besieged, Stand};
use super::report::Report;
use super::setting;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs those whose name is wanted.
pub(crate) fn storms(report: &mut Report) {
    let only = setting("STORM", String::new());
    println!();
    for name in ["heads", "fds", "returns", "stops"] {
        match name {
            _ if !name.contains(&only) => {}
            "heads" => heads::run(report),
            "fds" => fds::run(report),
            "returns" => returns::run(report),
            _ => stops::run(report),
        }
    }
}

/// Whether this is the long form, whose figures count.
fn is_full() -> bool {
    setting("STORMS_IN_FULL", false)
}

/// So many, or in the short form so many.
fn sized<T>(full: T, short: T) -> T {
    if is_full() { full } else { short }
}

/// Asks how the server stands until something is so; false if it never is.
fn until(server: &mut Besieged, is_so: impl Fn(&Stand) -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if is_so(&server.stand()) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
