//! What was asked for, carried out: a run, a search of several, or the phases of a file. Called by `main`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cli::{Cli, Mode};
use crate::remote::coordinator;
use crate::run::{self, Refusal, Site};
use crate::scenarios::find_max;
use crate::settings::Settings;

/// Exit codes; `help` explains them.
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const SERVER: u8 = 3;
pub(crate) const SATURATED: u8 = 4;

/// Runs and reports; the exit code says whether every check held, and whether the figures are worth anything.
///
/// # Errors
/// Why it could not be begun, in one line.
pub(crate) fn carry_out(cli: Cli, site: &mut Site, stop: &Arc<AtomicBool>) -> Result<u8, Refusal> {
    if let Mode::FindMax(flags) = &cli.mode {
        return find_max::run(flags, site, stop);
    }
    let settings = Settings::new(cli).map_err(Refusal::Usage)?;
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
    Ok(match (report.saturated.is_empty(), report.failures.is_empty()) {
        (false, _) => SATURATED,
        (true, false) => FAILED,
        (true, true) => 0,
    })
}
