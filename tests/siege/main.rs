//! A server under siege, from outside: what one peer's flood costs others, and whether anything that survives years of kills,
//! garbage and slow readers is lost, doubled, out of order or somebody else's, and how it stands storms of newcomers.
//!
//! A program and no list of tests: `scripts/abuse.sh` says how it is run. It starts itself a second time as the server, so
//! that what is measured of the one is not the other's.

mod attack;
mod child;
mod churn;
mod floods;
mod healthy;
mod peer;
mod report;
mod server;
mod storms;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use attack::Crowd;
use child::{Besieged, Serving};
use floods::Flood;
use healthy::Healthy;
use report::{Report, Row};

/// Ten healthy clients say so many messages a second each.
const RATE: u32 = 50;

/// What the 99th percentile of their response times may be.
const P99_MAX_US: u64 = 50_000;

/// How often a flood is measured at most: again where this program was held up itself, which says nothing of the server.
const ATTEMPTS: u32 = 3;

/// A setting from the environment.
pub(crate) fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    let value = std::env::var(format!("THRONG_SIEGE_{name}")).ok();
    value.map_or(default, |text| match text.parse() {
        Ok(value) => value,
        Err(_) => panic!("THRONG_SIEGE_{name}={text} is not what it should be"),
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &arguments[..]
        && first == "serve"
    {
        return server::run(Serving::from_arguments(rest));
    }
    let mut report = Report::default();
    // Flags are those of a test's harness, and mean nothing here.
    let names: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_named = |name: &str| names.iter().any(|wanted| name.contains(wanted.as_str()));
    // Unnamed, which is how `cargo test` runs it: the one part that is not about times, and so is worth something unoptimised.
    let is_wanted = |name: &str| if names.is_empty() { name == "churn" } else { is_named(name) };
    if is_wanted("floods") {
        floods(&mut report);
    }
    if is_wanted("storms") {
        storms::storms(&mut report);
    }
    if is_wanted("churn") {
        churn::churn(&mut report);
    }
    report.end();
}

/// Flood after flood, with ten healthy clients beside each.
fn floods(report: &mut Report) {
    let seconds = setting("FLOOD_SECONDS", 0.4);
    let only = setting("FLOOD", String::new());
    let members = setting("CROWD", 200);
    let mut server = Besieged::start(Serving::default());
    let mut healthy = Healthy::gather(server.address, server.shards);
    let control = Flood::none();
    let control = only.is_empty().then_some(control);
    let floods =
        control.into_iter().chain(floods::all().into_iter().filter(|flood| flood.name.contains(&only)));
    report.head();
    for flood in floods.map(Arc::new) {
        for attempt in 1..=ATTEMPTS {
            let before = server.stand();
            let address = server.address;
            let stop = Arc::new(AtomicBool::new(false));
            let crowd = flood.crowd.map(|path| {
                let (crowd, stop) = (Crowd::gather(address, members, path), stop.clone());
                std::thread::spawn(move || crowd.listen(&stop))
            });
            let began = Instant::now();
            let until = began + Duration::from_secs_f64(seconds);
            let name = flood.name;
            let attacking = flood.clone();
            let attacker = std::thread::spawn(move || attacking.run(address, until));
            let outcome = healthy.run(RATE, seconds);
            let done = attacker.join().expect("an attacker ends");
            let took = began.elapsed();
            stop.store(true, Ordering::Relaxed);
            let heard = crowd.map(|crowd| crowd.join().expect("a crowd ends")).unwrap_or(0);
            let after = server.stand();
            let is_broken = outcome.lost > 0 || !outcome.wrong.is_empty();
            let is_judged = attempt == ATTEMPTS || !outcome.was_held_up(P99_MAX_US);
            report.row(&Row {
                name,
                outcome: &outcome,
                done,
                heard,
                before: &before,
                after: &after,
                took,
                is_judged,
            });
            if is_broken {
                healthy = Healthy::gather(server.address, server.shards);
            }
            if is_judged {
                break;
            }
        }
    }
    drop(healthy);
    report.check("the server ends well", server.stop());
}
