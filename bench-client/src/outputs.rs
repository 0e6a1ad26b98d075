//! What a run leaves behind besides its report on standard output: the flags for it, and the files.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::distribution::hgrm;
use crate::objective::Objective;
use crate::report::Report;
use crate::stats::Stats;

/// Flags about results.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Outputs {
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the response times to this file, in HdrHistogram's percentile format, in microseconds
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
    /// The run fails (exit code 1) if this is so: `p99>50ms`, `loss>0`, `delivery.p99.9>1s`, `rate<10k`. May be given
    /// again. A wrong metric's error lists those there are
    #[arg(long, value_name = "CONDITION", value_parser = Objective::parse)]
    pub(crate) fail_if: Vec<Objective>,
}

impl Outputs {
    /// Writes the files that were asked for.
    ///
    /// # Errors
    /// Which file cannot be written, and why.
    pub(crate) fn write(&self, report: &Report, stats: &mut Stats) -> Result<(), String> {
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(report).expect("numbers, strings and lists are JSON");
            write(path, &text)?;
        }
        if let Some(path) = &self.hgrm {
            // A broadcast has no echoes to time, so its deliveries are what is wanted.
            let times =
                if stats.response.window().is_empty() { &mut stats.delivery } else { &mut stats.response };
            write(path, &hgrm(times.window()))?;
        }
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
