//! What is told at the end: a table for people, JSON for programs, and whether everything held.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::attack::Done;
use super::child::Stand;
use super::healthy::Outcome;
use super::{P99_MAX_US, setting};

/// What was found so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Value>,
    failures: Vec<String>,
}

/// A flood, and what it did to the healthy.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) outcome: &'a Outcome,
    pub(crate) done: Done,
    pub(crate) heard: u64,
    pub(crate) before: &'a Stand,
    pub(crate) after: &'a Stand,
    pub(crate) took: Duration,
    /// Whether the times count: not where the flood is measured again.
    pub(crate) is_judged: bool,
}

impl Report {
    /// The names of the columns.
    pub(crate) fn head(&self) {
        println!(
            "{:<34}{:>6}{:>6}{:>9}{:>9}{:>9}{:>9}{:>7}{:>9}{:>8}{:>14}{:>6}",
            "flood",
            "sent",
            "lost",
            "p50 ms",
            "p99 ms",
            "max ms",
            "late p99",
            "CPU %",
            "turn ms",
            "RSS MB",
            "units",
            "cut"
        );
    }

    pub(crate) fn row(&mut self, row: &Row<'_>) {
        let Row { name, outcome, done, heard, before, after, took, is_judged } = row;
        let ms = |us: u64| us as f64 / 1000.0;
        let at = |quantile| outcome.response_us.value_at_quantile(quantile);
        let (p50, p99, max) = (at(0.5), at(0.99), outcome.response_us.max());
        let late = outcome.late_us.value_at_quantile(0.99);
        let cpu = (after.cpu - before.cpu) as f64 / took.as_secs_f64();
        let turn = after.counter("turn_max_us");
        println!(
            "{name:<34}{:>6}{:>6}{:>9.1}{:>9.1}{:>9.1}{:>9.1}{cpu:>7.0}{:>9.1}{:>8.1}{:>14}{:>6}",
            outcome.sent,
            outcome.lost,
            ms(p50),
            ms(p99),
            ms(max),
            ms(late),
            ms(turn),
            after.rss_bytes as f64 / 1e6,
            done.units,
            done.cut,
        );
        outcome.wrong.iter().for_each(|wrong| println!("    {wrong}"));
        let grown = after.counters.iter().filter_map(|(name, value)| {
            let more = value.saturating_sub(before.counter(name));
            (more > 0).then(|| (name.clone(), Value::from(more)))
        });
        self.rows.push(json!({
            "flood": name, "seconds": took.as_secs_f64(), "sent": outcome.sent, "lost": outcome.lost,
            "wrong": outcome.wrong, "p50_us": p50, "p99_us": p99, "max_us": max, "late_p99_us": late,
            "cpu_percent": cpu, "turn_max_us": turn, "rss_bytes": after.rss_bytes, "units": done.units,
            "cut": done.cut, "crowd_bytes": heard, "counters": grown.collect::<serde_json::Map<_, _>>(),
        }));
        self.check(&format!("{name}: nothing is lost"), outcome.lost == 0 && outcome.wrong.is_empty());
        self.check_time(&format!("{name}: p99 is {:.1} ms", ms(p99)), !is_judged || p99 <= P99_MAX_US, true);
    }

    /// What a storm has cost.
    pub(crate) fn storm(&mut self, name: &str, figures: Value) {
        self.rows.push(json!({ "storm": name, "figures": figures }));
    }

    /// What a crowd has gone through.
    pub(crate) fn churn(
        &mut self,
        counts: impl Iterator<Item = (&'static str, u64)>,
        after: &Stand,
        took: Duration,
    ) {
        let counts: serde_json::Map<_, _> =
            counts.map(|(what, n)| (what.to_owned(), Value::from(n))).collect();
        self.rows.push(json!({
            "churn": counts, "seconds": took.as_secs_f64(), "rss_bytes": after.rss_bytes, "counters": after.counters,
        }));
    }

    pub(crate) fn check(&mut self, what: &str, holds: bool) {
        if !holds {
            self.failures.push(what.to_owned());
        }
    }

    /// Checks what the clock says; of unoptimised code, which is not what is to be judged by it, only what holds at least.
    pub(crate) fn check_time(&mut self, what: &str, holds: bool, holds_at_least: bool) {
        let is_judged = setting("CHECK_TIMES", !cfg!(debug_assertions));
        self.check(what, if is_judged { holds } else { holds_at_least });
    }

    /// Writes the JSON, says what did not hold, and ends the program.
    pub(crate) fn end(self) {
        let Self { rows, failures } = self;
        let path = setting("JSON", String::new());
        if !path.is_empty() {
            let whole = json!({ "rows": rows, "failures": failures });
            fs::write(&path, format!("{whole:#}\n")).expect("a file that can be written");
        }
        for failure in &failures {
            println!("FAILED: {failure}");
        }
        if !failures.is_empty() {
            std::process::exit(1);
        }
        println!("everything held");
    }
}
