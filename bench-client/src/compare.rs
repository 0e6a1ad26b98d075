//! `bench-client compare A.json B.json …`: the key figures of several reports beside each other, and their curves.
//!
//! Reports of one `--name` are repeats of one thing: their median stands for it, and the span from the least to the largest
//! is its noise. Where the spans of two overlap, their difference may be nothing but that. Reads reports, opens nothing else.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::distribution::decoded;
use crate::html;
use crate::html::chart::{Chart, Line, escaped};
use crate::html::scale::{Axis, Scale, Unit, written};
use crate::report::SCHEMA;

/// Reports of several runs side by side: a table, and their curves over each other
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// Reports written by --json; the others are compared with the first. Those of one --name are repeats of one thing,
    /// unless all have the same
    #[arg(required = true, num_args = 1.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also write the comparison to this file as a page, with the curves over each other
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A figure that is compared: its name, where it stands in a report (several places are added up), and its unit.
const FIGURES: [(&str, &[&str], Unit); 19] = [
    ("response p50", &["/response/p50"], Unit::Time),
    ("response p90", &["/response/p90"], Unit::Time),
    ("response p99", &["/response/p99"], Unit::Time),
    ("response p99.9", &["/response/p999"], Unit::Time),
    ("response max", &["/response/max"], Unit::Time),
    ("delivery p50", &["/delivery/p50"], Unit::Time),
    ("delivery p99", &["/delivery/p99"], Unit::Time),
    ("last delivery p50", &["/last_delivery/p50"], Unit::Time),
    ("last delivery p99", &["/last_delivery/p99"], Unit::Time),
    ("connect p50", &["/connect/times/p50"], Unit::Time),
    ("connect p99", &["/connect/times/p99"], Unit::Time),
    ("messages/s", &["/echoes_per_second", "/deliveries_per_second"], Unit::Count),
    ("connects/s", &["/connect/per_second"], Unit::Count),
    ("lost", &["/tally/lost"], Unit::Count),
    ("failed, closed", &["/tally/failed", "/tally/closed_by_server"], Unit::Count),
    ("server CPU/message", &["/server/cpu_microseconds_per_message"], Unit::Time),
    ("server B/connection", &["/server/bytes_per_connection"], Unit::Bytes),
    ("kernel B/connection", &["/kernel_slab_bytes_per_connection"], Unit::Bytes),
    ("client CPU/message", &["/client/cpu_microseconds_per_message"], Unit::Time),
];

/// Kinds of times whose curves are drawn.
const CURVES: [(&str, &str); 3] = [
    ("response", "Response time by percentile"),
    ("delivery", "Delivery time by percentile"),
    ("connect", "Connect time by percentile"),
];

/// Several runs of one thing.
#[derive(Debug)]
struct Group {
    name: String,
    reports: Vec<Value>,
}

/// What the repeats of one thing say of a figure.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Seen {
    median: f64,
    least: f64,
    most: f64,
}

/// How two of these differ.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Change {
    /// By more than the noise, or by so much where there are no repeats to know it from.
    Share(f64),
    /// The spans of their repeats overlap.
    Noise(f64),
}

/// Compares and prints.
///
/// # Errors
/// Which file is no report, or cannot be read or written.
pub(crate) fn run(flags: &Flags) -> Result<(), String> {
    let groups = grouped(&flags.files, read)?;
    print!("{}", table(&groups));
    if let Some(path) = &flags.html {
        let written = std::fs::write(path, page(&groups)?);
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// The key figures of the repeats of one run: the median of each, and the span from the least to the largest.
pub(crate) fn spread(name: String, reports: Vec<Value>) -> String {
    table(&[Group { name, reports }])
}

fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let report = serde_json::from_str::<Value>(&text).unwrap_or_default();
    match report["schema"].as_str() {
        Some(SCHEMA) => Ok(report),
        _ => Err(format!("{} is no report: --json writes those, with schema {SCHEMA}", path.display())),
    }
}

/// The reports by name, in the order in which they were given.
fn grouped(files: &[PathBuf], read: impl Fn(&Path) -> Result<Value, String>) -> Result<Vec<Group>, String> {
    let mut groups: Vec<Group> = Vec::new();
    let mut singles = Vec::new();
    for file in files {
        let report = read(file)?;
        let name = report["name"].as_str().unwrap_or_default().to_owned();
        let stem = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        singles.push(Group { name: stem, reports: vec![report.clone()] });
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.reports.push(report),
            None => groups.push(Group { name, reports: vec![report] }),
        }
    }
    Ok(if groups.len() == 1 && singles.len() > 1 { singles } else { groups })
}

impl Group {
    fn seen(&self, places: &[&str]) -> Option<Seen> {
        let figure = |report: &Value| {
            let mut figures = places.iter().map(|place| report.pointer(place).and_then(Value::as_f64));
            figures.try_fold(0.0, |sum, figure| Some(sum + figure?))
        };
        Seen::of(self.reports.iter().filter_map(figure).collect())
    }
}

impl Seen {
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let is_even = figures.len().is_multiple_of(2);
        let median =
            if is_even { f64::midpoint(figures[middle - 1], figures[middle]) } else { figures[middle] };
        Some(Self { median, least, most })
    }

    /// How `other` differs from this one.
    fn change(&self, other: &Self) -> Option<Change> {
        let share = (other.median / self.median - 1.0) * 100.0;
        let has_repeats = self.least < self.most || other.least < other.most;
        let overlaps = self.least <= other.most && other.least <= self.most;
        if self.median == other.median {
            return Some(Change::Noise(0.0));
        }
        share.is_finite().then_some(match has_repeats && overlaps {
            true => Change::Noise(share),
            false => Change::Share(share),
        })
    }

    fn told(&self, unit: Unit) -> String {
        let median = written(self.median, unit);
        if self.least == self.most {
            return median;
        }
        format!("{median} [{} to {}]", written(self.least, unit), written(self.most, unit))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{share:+.1} %"),
            Self::Noise(share) => write!(f, "{share:+.1} % ~"),
        }
    }
}

/// A figure's name, and what each group says of it, with its change from the first.
type Row = (&'static str, Vec<(String, Option<Change>)>);

/// A row for each figure that any of them has: the first group's, and each other's with its change.
fn rows(groups: &[Group]) -> Vec<Row> {
    let row = |(name, places, unit): (&'static str, &[&str], Unit)| {
        let seen: Vec<_> = groups.iter().map(|group| group.seen(places)).collect();
        let is_zero = |seen: &Option<Seen>| seen.is_none_or(|seen| seen.most == 0.0);
        // A count that is nothing everywhere is said by `lost` alone.
        if seen.iter().all(is_zero) && name != "lost" {
            return None;
        }
        let base = seen[0];
        let cells = seen.iter().enumerate().map(|(index, seen)| {
            let change = base.zip(*seen).and_then(|(base, seen)| base.change(&seen)).filter(|_| index > 0);
            (seen.map_or_else(|| "–".to_owned(), |seen| seen.told(unit)), change)
        });
        Some((name, cells.collect()))
    };
    FIGURES.into_iter().filter_map(row).collect()
}

/// The names over the columns.
fn heads(groups: &[Group]) -> Vec<String> {
    let head = |group: &Group| match group.reports.len() {
        1 => group.name.clone(),
        runs => format!("{} ({runs} runs)", group.name),
    };
    groups.iter().map(head).collect()
}

/// What a reader has to know of the figures.
fn notes(groups: &[Group]) -> Vec<String> {
    let mut notes = Vec::new();
    if groups.iter().all(|group| group.reports.len() < 2) {
        notes.push(
            "no repeats: how much of a difference is noise is not known; give several reports of each --name"
                .into(),
        );
    } else if groups.len() == 1 {
        notes.push("[least to most] of the repeats".into());
    } else {
        notes.push(
            "~: the spans of the repeats overlap, so this may be noise; [least to most] of the repeats"
                .into(),
        );
    }
    for group in groups {
        let is_invalid = |report: &&Value| report["saturated"].as_array().is_some_and(|why| !why.is_empty());
        let invalid = group.reports.iter().filter(is_invalid).count();
        if invalid > 0 {
            let runs = group.reports.len();
            notes.push(format!(
                "{}: in {invalid} of {runs} the client was saturated, so its figures are invalid",
                group.name
            ));
        }
    }
    notes
}

fn table(groups: &[Group]) -> String {
    let mut lines = vec![std::iter::once(String::new()).chain(heads(groups)).collect::<Vec<_>>()];
    for (name, cells) in rows(groups) {
        let cell = |(text, change): (String, Option<Change>)| {
            change.map_or_else(|| text.clone(), |change| format!("{text}  {change}"))
        };
        lines.push(std::iter::once(name.to_owned()).chain(cells.into_iter().map(cell)).collect());
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..=groups.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("   ").trim_end();
        text.push('\n');
    }
    for note in notes(groups) {
        let _ = writeln!(text, "{note}");
    }
    text
}

fn page(groups: &[Group]) -> Result<String, String> {
    let names = heads(groups).join(", ");
    let mut body =
        format!("<header><h1>{}</h1><p>compared with the first</p>\n<ul class=told>", escaped(&names));
    for note in notes(groups) {
        let _ = write!(body, "<li>{}</li>", escaped(&note));
    }
    body += "</ul></header>\n<main><div class=charts>\n";
    for chart in charts(groups)? {
        body += &chart.html();
    }
    body += "</div><section><h2>Figures</h2><div class=wide><table><tr><th></th>";
    for head in heads(groups) {
        let _ = write!(body, "<th>{}</th>", escaped(&head));
    }
    body += "</tr>\n";
    for (name, cells) in rows(groups) {
        let _ = write!(body, "<tr><td>{name}</td>");
        for (text, change) in cells {
            let change =
                change.map_or_else(String::new, |change| format!("<br><span class=same>{change}</span>"));
            let _ = write!(body, "<td>{}{change}</td>", escaped(&text));
        }
        body += "</tr>\n";
    }
    body += "</table></div></section></main>\n";
    Ok(html::document(&names, &body))
}

/// The curves of each kind of time that any of them has, the repeats' span as a band around each.
fn charts(groups: &[Group]) -> Result<Vec<Chart>, String> {
    let mut charts = Vec::new();
    for (kind, title) in CURVES {
        let mut lines = Vec::new();
        for (colour, group) in groups.iter().enumerate() {
            let mut histograms = Vec::new();
            for report in &group.reports {
                if let Some(hdr) =
                    report.pointer(&format!("/distributions/{kind}/hdr")).and_then(Value::as_str)
                {
                    histograms.push(decoded(hdr)?);
                }
            }
            let most = histograms.iter().map(hdrhistogram::Histogram::len).max().unwrap_or(0);
            // Five points for each nine, as far as there are times.
            let quantiles = (0..100).map(|n| 1.0 - 10f64.powf(f64::from(n) / -5.0));
            let quantiles = quantiles.take_while(|quantile| (1.0 - quantile) * most as f64 >= 1.0);
            let mut line = Line::new(&group.name, colour % 8, Vec::new());
            for quantile in quantiles {
                let at = |h: &hdrhistogram::Histogram<u64>| h.value_at_quantile(quantile) as f64 / 1000.0;
                let Some(seen) = Seen::of(histograms.iter().map(at).collect()) else { continue };
                line.points.push((quantile, seen.median));
                if histograms.len() > 1 {
                    line.band.push((quantile, seen.least, seen.most));
                }
            }
            if !line.points.is_empty() {
                lines.push(line);
            }
        }
        if !lines.is_empty() {
            let y = html::time_axis(lines.iter());
            let about = "the median of the repeats; the band is from the least to the largest".into();
            let x = Axis::new(Scale::Quantile, Unit::Percent);
            charts.push(Chart { title, about, x, y, lines, marks: Vec::new() });
        }
    }
    Ok(charts)
}

#[cfg(test)]
mod tests;
