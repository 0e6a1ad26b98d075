//! What became of connections that were ended on purpose: figures, text, and what of it fails a run. Made by `summary`.

use std::fmt;

use serde::Serialize;

use crate::curve::Curve;
use crate::disruption::Disruption;
use crate::distribution::Times;
use crate::stats::{Stats, Tally};

/// How they came back.
#[derive(Debug, Serialize)]
pub(crate) struct Comeback {
    /// Connections ended on purpose.
    pub(crate) cut: u64,
    /// Connections open again.
    pub(crate) back: u64,
    /// Connections that were not back when the run ended.
    pub(crate) away: u64,
    /// Attempts at coming back.
    pub(crate) attempts: u64,
    /// Messages in flight on connections that were cut.
    pub(crate) abandoned: u64,
    /// Messages due on connections that were away.
    pub(crate) absent: u64,
    pub(crate) times: Option<Times>,
    /// Where all were cut at one moment: when how many were back.
    pub(crate) curve: Option<Curve>,
    /// How often attempts failed, and why, a line each.
    pub(crate) setbacks: Vec<String>,
}

impl Comeback {
    pub(crate) fn of(what: Disruption, stats: &mut Stats) -> Self {
        let Tally { cut, reopened, away, abandoned, absent, .. } = stats.tally;
        let setbacks = std::mem::take(&mut stats.setbacks);
        let times = stats.back.window();
        let is_curve = matches!(what, Disruption::Cut { .. });
        Self {
            cut,
            back: reopened,
            away,
            attempts: reopened + setbacks.values().sum::<u64>(),
            abandoned,
            absent,
            times: Times::of(times),
            curve: is_curve.then(|| Curve::of(times, cut.max(times.len()))),
            setbacks: setbacks.iter().map(|(why, count)| format!("{count} × {why}")).collect(),
        }
    }

    /// What fails the run, a line each. Under churn some are always on their way back.
    pub(crate) fn failures(&self) -> Vec<String> {
        match self.curve {
            None if self.cut == 0 => {
                vec!["no connection was ended: --duration is too short for --churn".into()]
            }
            None => Vec::new(),
            Some(_) if self.cut == 0 => vec!["no connection was cut while it was measured".into()],
            Some(_) if self.away > 0 => vec![format!("{} connections were not back at the end", self.away)],
            Some(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Comeback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cut, back, away, attempts, abandoned, absent, .. } = self;
        writeln!(
            f,
            "comeback      {cut} cut, {back} back after {attempts} attempts, {away} still away; {abandoned} messages were in \
             flight, {absent} due meanwhile"
        )?;
        if let Some(times) = self.times {
            writeln!(f, "  back after     {times}")?;
        }
        if let Some(curve) = self.curve {
            writeln!(f, "  recovered      {curve}")?;
        }
        for setback in &self.setbacks {
            writeln!(f, "  retried        {setback}")?;
        }
        Ok(())
    }
}
