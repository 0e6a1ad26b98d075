//! The highest load at which an objective holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use clap::Args;

use crate::asked::Asked;
use crate::cli::rate;
use crate::jobs::{FAILED, SATURATED};
use crate::objective::Objective;
use crate::pace::Pace;
use crate::report::Report;
use crate::run::{self, Refusal, Site};
use crate::search::Search;
use crate::settings::{Load, Settings};
use crate::talk::AckedTalk;

/// The most connections of a run.
const CONNECTIONS_MAX: u64 = 2_000_000;
/// The highest rate of a run.
const RATE_MAX: u64 = 100_000_000;

/// What is raised.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Of {
    /// Messages per second over all connections.
    #[default]
    Rate,
    /// Connections, each with its part of --rate.
    Connections,
}

/// The flags.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    talk: AckedTalk,
    /// What has to be so, as in p99<50ms or loss=0; may be given again. The checks of a run have to hold as well
    #[arg(long, value_name = "CONDITION", default_value = "p99<50ms", value_parser = Objective::parse)]
    hold: Vec<Objective>,
    /// What is raised: messages per second on --connections, or connections, each of which echoes once in ten seconds
    #[arg(long, value_enum, default_value_t)]
    of: Of,
    /// The load to begin with. It is doubled while it holds
    #[arg(long, value_name = "N", default_value = "1k", value_parser = rate)]
    from: u64,
    /// The load to end with if it still holds there
    #[arg(long, value_name = "N", value_parser = rate)]
    to: Option<u64>,
    #[command(flatten)]
    pace: Pace,
}

impl Flags {
    /// Its first step.
    pub(crate) fn first(self) -> Asked {
        let load = self.from;
        self.asked(load)
    }

    /// One step of the search.
    fn asked(self, load: u64) -> Asked {
        let Self { mut talk, of, pace, .. } = self;
        let common = &mut talk.talk.common;
        let rate = match of {
            Of::Rate => load,
            Of::Connections => {
                common.connections = load as usize;
                (load / 10).max(1)
            }
        };
        common.quiet = true;
        Asked { load: Load::Open(rate), pace, ..talk.asked("find-max") }
    }

    fn unit(&self) -> &'static str {
        if self.of == Of::Rate { "messages/s" } else { "connections" }
    }

    /// Why a step did not hold; empty if it did.
    fn broken(&self, report: &Report) -> Vec<String> {
        let lines = self.hold.iter().filter(|objective| objective.is_so(report) != Some(true));
        lines
            .map(|objective| format!("not {objective}: it is {}", objective.told(report)))
            .chain(report.failures.iter().cloned())
            .collect()
    }
}

/// Searches, tells each step and what came of it, and returns the exit code.
///
/// # Errors
/// Why a step could not be begun, in one line.
pub(crate) fn run(flags: &Flags, site: &mut Site, stop: &Arc<AtomicBool>) -> Result<u8, Refusal> {
    let max = if flags.of == Of::Rate { RATE_MAX } else { CONNECTIONS_MAX };
    let mut search = Search::new(flags.from, flags.to.unwrap_or(max).min(max));
    let mut best = None;
    // Of the lowest that did not hold: why, and whether that was the client's doing.
    let mut limit = (Vec::new(), false);
    let outputs = flags.talk.talk.common.outputs.clone();
    if outputs.repeat > 1 {
        return Err(Refusal::Usage(
            "--repeat: a search runs once, and each of its steps is a run of its own".into(),
        ));
    }
    outputs.prepare().map_err(Refusal::Usage)?;
    if flags.of == Of::Connections {
        // A server of this client's own is not started again for each step.
        site.room = site.room.max(flags.to.unwrap_or(20_000).min(CONNECTIONS_MAX) as usize + 16);
    }
    while let Some(load) = search.next() {
        let settings = Settings::of(flags.clone().asked(load)).map_err(Refusal::Usage)?;
        let (report, stats) = run::run(settings, site, stop)?;
        if stop.load(Relaxed) {
            break;
        }
        let is_saturated = !report.saturated.is_empty();
        let why = if is_saturated { report.saturated.clone() } else { flags.broken(&report) };
        let is_held = why.is_empty();
        let told: Vec<_> = flags.hold.iter().map(|hold| format!("{hold}: {}", hold.told(&report))).collect();
        let verdict = match (is_held, is_saturated) {
            (true, _) => "held".to_owned(),
            (_, true) => format!("client saturated: {}", why.join("; ")),
            _ => format!("broke: {}", why.join("; ")),
        };
        println!("step          {load} {}: {} ({verdict})", flags.unit(), told.join(", "));
        if !is_held && search.broke.is_none_or(|broke| load < broke) {
            limit = (why, is_saturated);
        }
        if is_held && search.held.is_none_or(|held| load > held) {
            best = Some((report, stats));
        }
        search.told(load, is_held);
    }
    if let Some((report, stats)) = &mut best {
        print!("{report}");
        outputs.write(report, stats).map_err(Refusal::Usage)?;
    }
    let (why, is_saturated) = limit;
    let (unit, objectives) =
        (flags.unit(), flags.hold.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    match (search.held, search.broke) {
        (Some(held), None) => {
            println!("found         {held} {unit} held ({objectives}), and no more was tried")
        }
        (Some(held), Some(broke)) => {
            println!("found         {held} {unit} held ({objectives}); {broke} did not: {}", why.join("; "));
        }
        (None, _) => {
            println!("found         nothing: not even the least load held ({objectives}): {}", why.join("; "))
        }
    }
    if is_saturated {
        println!("saturated     this client was the limit, not the server: the server may hold more");
        return Ok(SATURATED);
    }
    Ok(if search.held.is_some() { 0 } else { FAILED })
}
