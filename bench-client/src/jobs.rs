//! What was asked for, carried out: a run, a search of several, or the phases of a file. Called by `main`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::Value;

use crate::cli::{Cli, Mode};
use crate::compare;
use crate::remote::coordinator;
use crate::run::{self, Refusal, Site};
use crate::scenarios::find_max;
use crate::settings::Settings;

/// Exit codes; `help` explains them.
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const SERVER: u8 = 3;
pub(crate) const SATURATED: u8 = 4;

/// Runs and reports, once or several times; the exit code says whether every check held, and whether the figures are worth
/// anything.
///
/// # Errors
/// Why it could not be begun, in one line.
pub(crate) fn carry_out(cli: Cli, site: &mut Site, stop: &Arc<AtomicBool>) -> Result<u8, Refusal> {
    if let Mode::FindMax(flags) = &cli.mode {
        return find_max::run(flags, site, stop);
    }
    let settings = Settings::new(cli).map_err(Refusal::Usage)?;
    let outputs = settings.common.outputs.clone();
    if outputs.repeat == 1 {
        return once(settings, site, stop).map(|(code, _)| code);
    }
    for number in 1..=outputs.repeat {
        outputs.of_repeat(number).prepare().map_err(Refusal::Usage)?;
    }
    let (mut worst, mut reports) = (0, Vec::new());
    for number in 1..=outputs.repeat {
        println!("repeat        {number} of {}", outputs.repeat);
        let mut settings = settings.clone();
        settings.common.outputs = outputs.of_repeat(number);
        let (code, report) = once(settings, site, stop)?;
        println!();
        worst = worst.max(code);
        reports.push(report);
        if stop.load(Relaxed) {
            break;
        }
        site.renew();
    }
    print!("{}", compare::spread(outputs.name(settings.mode), reports));
    Ok(worst)
}

/// One run, its exit code and its report.
fn once(settings: Settings, site: &mut Site, stop: &Arc<AtomicBool>) -> Result<(u8, Value), Refusal> {
    let outputs = settings.common.outputs.clone();
    outputs.prepare().map_err(Refusal::Usage)?;
    let (report, mut stats) = if settings.common.remote.workers.is_empty() {
        run::run(settings, site, stop)?
    } else {
        coordinator::run(settings, stop)?
    };
    print!("{report}");
    outputs.write(&report, &mut stats).map_err(Refusal::Usage)?;
    // What a saturated client counts as lost it may not have got round to reading.
    let code = match (report.saturated.is_empty(), report.failures.is_empty()) {
        (false, _) => SATURATED,
        (true, false) => FAILED,
        (true, true) => 0,
    };
    Ok((code, serde_json::to_value(&report).expect("numbers, strings and lists are JSON")))
}
