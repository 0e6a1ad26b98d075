//! What a run leaves behind besides its report on standard output: the flags for it, and the files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::distribution::hgrm;
use crate::html;
use crate::objective::Objective;
use crate::report::Report;
use crate::stats::Stats;
use crate::units;

/// Flags about results.
#[derive(Args, Clone, Debug)]
pub(crate) struct Outputs {
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the response times to this file, in HdrHistogram's percentile format, in microseconds
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
    /// Also write the times of every interval to this file while the run goes on, as HdrHistogram's interval log, in
    /// nanoseconds, tagged response, service and delivery
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Also write the report to this file as a page with charts: one file, which needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// What the run is called in its report, and where it is compared with others [default: the mode]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Length of the intervals of the report's series and the interval log: tenths of a second
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// The run fails (exit code 1) if this is so: `p99>50ms`, `loss>0`, `delivery.p99.9>1s`, `rate<10k`. May be given
    /// again. A wrong metric's error lists those there are
    #[arg(long, value_name = "CONDITION", value_parser = Objective::parse)]
    pub(crate) fail_if: Vec<Objective>,
    /// Do the run so many times, one after the other, from the first connection to the last; a throng of its own is started anew
    /// for each. Files have the number of the repeat before their ending: x.json is x-1.json, x-2.json, …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,
}

impl Outputs {
    /// Where the interval log goes.
    pub(crate) fn hlog(&self) -> Option<&Path> {
        self.hlog.as_deref()
    }

    /// The run's name.
    pub(crate) fn name(&self, mode: &str) -> String {
        self.name.clone().unwrap_or_else(|| mode.to_owned())
    }

    /// Those of repeat `number`.
    #[must_use]
    pub(crate) fn of_repeat(&self, number: u32) -> Self {
        let mut outputs = self.clone();
        let Self { json, hgrm, hlog, html, .. } = &mut outputs;
        for path in [json, hgrm, hlog, html].into_iter().flatten() {
            let mut name = path.file_stem().unwrap_or_default().to_owned();
            name.push(format!("-{number}"));
            if let Some(ending) = path.extension() {
                name.push(".");
                name.push(ending);
            }
            path.set_file_name(name);
        }
        outputs
    }

    /// An interval in nanoseconds.
    pub(crate) fn interval(&self) -> u64 {
        self.interval.as_nanos() as u64
    }

    /// Leaves nothing behind: what a part of a run measures goes to whoever has the whole.
    pub(crate) fn only_intervals(&mut self) {
        (self.json, self.hgrm, self.hlog, self.html) = (None, None, None, None);
        self.fail_if.clear();
    }

    /// Makes sure, before a run that may be long, that its files can be written.
    ///
    /// # Errors
    /// Which cannot, and why.
    pub(crate) fn prepare(&self) -> Result<(), String> {
        for path in [&self.json, &self.hgrm, &self.html].into_iter().flatten() {
            let opened = std::fs::File::options().append(true).create(true).open(path);
            opened.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(())
    }

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
        if let Some(path) = &self.html {
            write(path, &html::page(report))?;
        }
        Ok(())
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = units::duration(text)?;
    let is_whole = interval.as_millis() >= 100 && interval.as_nanos().is_multiple_of(100_000_000);
    is_whole.then_some(interval).ok_or_else(|| "a multiple of 100ms is wanted".into())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
