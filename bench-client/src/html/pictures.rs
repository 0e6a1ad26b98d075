//! Which charts a run has, and what is in each. Pure.

use super::chart::{Chart, Line};
use super::scale::{Axis, Scale, Unit};
use crate::distribution::Distribution;
use crate::report::Report;
use crate::series::{Sample, Spread};

const OVER_TIME: Axis = Axis::new(Scale::Linear, Unit::Seconds);
const QUANTILES: Axis = Axis::new(Scale::Quantile, Unit::Percent);

/// The curve of a distribution: quantile and microseconds.
pub(crate) fn curve(distribution: &Distribution) -> Vec<(f64, f64)> {
    let count = distribution.percentiles.last().map_or(0, |point| point.count);
    // Of 1,000 times the last one is the 99.9th percentile: beyond it there is nothing to draw.
    let most = 1.0 - 1.0 / count.max(2) as f64;
    let points = distribution.percentiles.iter();
    let mut curve: Vec<_> = points.map(|point| (point.quantile.min(most), point.microseconds)).collect();
    curve.dedup_by(|later, kept| {
        let is_same = later.0 == kept.0;
        kept.1 = if is_same { kept.1.max(later.1) } else { kept.1 };
        is_same
    });
    curve
}

/// Times that differ by much are shown by decades.
pub(crate) fn time_axis<'a>(lines: impl Iterator<Item = &'a Line>) -> Axis {
    let values = lines.flat_map(|line| &line.points).map(|point| point.1).filter(|value| *value > 0.0);
    let (least, most) =
        values.fold((f64::MAX, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    Axis::new(if most > 20.0 * least { Scale::Log } else { Scale::Linear }, Unit::Time)
}

/// All charts of a run that has something to show in them.
pub(super) fn charts(report: &Report) -> Vec<Chart> {
    let samples = &report.series.samples;
    let measured: Vec<_> = samples.iter().filter(|sample| sample.phase == "measure").collect();
    let marks = match (measured.first(), measured.last()) {
        (Some(first), Some(last)) => vec![first.at_seconds - first.seconds, last.at_seconds],
        _ => Vec::new(),
    };
    let charts = [
        by_percentile(report),
        broadcast(report),
        spread_over_time("Response time over time", report, &marks, |sample| sample.response),
        spread_over_time("Delivery time over time", report, &marks, |sample| sample.delivery),
        over_time(
            report,
            "Messages",
            "per second",
            Unit::Count,
            &marks,
            &[
                ("out", |sample| Some((sample.sent + sample.published) as f64 / sample.seconds)),
                ("in", |sample| Some((sample.received + sample.delivered) as f64 / sample.seconds)),
            ],
        ),
        over_time(
            report,
            "Connections",
            "at the end of each interval",
            Unit::Count,
            &marks,
            &[
                ("open", |sample| Some(sample.open as f64)),
                ("being opened", |sample| Some(sample.opening as f64)),
            ],
        ),
        over_time(
            report,
            "CPU",
            "cores in use",
            Unit::Count,
            &marks,
            &[
                ("server", |sample| sample.server_cores),
                ("client's busiest thread", |sample| Some(sample.client_busiest_thread)),
            ],
        ),
        over_time(
            report,
            "Memory",
            "the server's own, and how the kernel's has grown",
            Unit::Bytes,
            &marks,
            &[
                ("server, user", |sample| sample.server_user_bytes.map(|bytes| bytes as f64)),
                ("kernel, all sockets", |sample| sample.kernel_slab_bytes.map(|bytes| bytes as f64)),
            ],
        ),
        errors(report, &marks),
    ];
    charts.into_iter().flatten().collect()
}

fn by_percentile(report: &Report) -> Option<Chart> {
    let kinds = [("response", 0), ("service", 1), ("delivery", 3), ("connect", 4)];
    let has_messages = ["response", "delivery"].iter().any(|kind| report.distributions.contains_key(kind));
    let lines: Vec<_> = kinds
        .into_iter()
        // Connecting is another matter than messages, and many times slower: alone where there are none.
        .filter(|(kind, _)| *kind != "connect" || !has_messages)
        .filter_map(|(kind, colour)| Some(Line::new(kind, colour, curve(report.distributions.get(kind)?))))
        .collect();
    let y = time_axis(lines.iter());
    (!lines.is_empty()).then(|| Chart {
        title: "Time by percentile",
        about: "so many took at most so long, while it was measured".into(),
        x: QUANTILES,
        y,
        lines,
        marks: Vec::new(),
    })
}

/// How a broadcast comes to all of its members.
fn broadcast(report: &Report) -> Option<Chart> {
    let kinds =
        [("first_delivery", "first member", 3), ("delivery", "each", 0), ("last_delivery", "last member", 2)];
    let lines: Vec<_> = kinds
        .into_iter()
        .filter_map(|(kind, name, colour)| {
            Some(Line::new(name, colour, curve(report.distributions.get(kind)?)))
        })
        .collect();
    let y = time_axis(lines.iter());
    let about = report.broadcast.map_or_else(String::new, |broadcast| {
        format!(
            "{} of {} publishes reached all {}",
            broadcast.complete, broadcast.publishes, broadcast.members
        )
    });
    (!lines.is_empty()).then(|| Chart {
        title: "Broadcast completion",
        about,
        x: QUANTILES,
        y,
        lines,
        marks: Vec::new(),
    })
}

type Point = fn(&Spread) -> f64;

fn spread_over_time(
    title: &'static str,
    report: &Report,
    marks: &[f64],
    spread: impl Fn(&Sample) -> Option<Spread>,
) -> Option<Chart> {
    let points: [(&str, usize, Point); 3] =
        [("p50", 0, |spread| spread.p50), ("p99", 1, |spread| spread.p99), ("max", 2, |spread| spread.max)];
    let samples: Vec<_> = report
        .series
        .samples
        .iter()
        .filter_map(|sample| Some((sample.at_seconds, spread(sample)?)))
        .collect();
    let lines = points.map(|(name, colour, point)| {
        Line::new(name, colour, samples.iter().map(|(at, spread)| (*at, point(spread))).collect())
    });
    let y = time_axis(lines.iter());
    (!samples.is_empty()).then(|| Chart {
        title,
        about: "of each interval".into(),
        x: OVER_TIME,
        y,
        lines: lines.into(),
        marks: marks.to_vec(),
    })
}

type Figure = fn(&Sample) -> Option<f64>;

fn over_time(
    report: &Report,
    title: &'static str,
    about: &str,
    unit: Unit,
    marks: &[f64],
    figures: &[(&str, Figure)],
) -> Option<Chart> {
    let line = |(colour, (name, figure)): (usize, &(&str, Figure))| {
        let points: Vec<_> = report
            .series
            .samples
            .iter()
            // The rest of an interval at the end is too short to be told a rate of.
            .filter(|sample| sample.seconds * 2.0 >= report.series.interval_seconds)
            .filter_map(|sample| Some((sample.at_seconds, figure(sample)?)))
            .collect();
        let is_peak = unit != Unit::Count || title == "Connections";
        points.iter().any(|point| point.1 > 0.0).then(|| Line { is_peak, ..Line::new(name, colour, points) })
    };
    let lines: Vec<_> = figures.iter().enumerate().filter_map(line).collect();
    (!lines.is_empty()).then(|| Chart {
        title,
        about: about.to_owned(),
        x: OVER_TIME,
        y: Axis::new(Scale::Linear, unit),
        lines,
        marks: marks.to_vec(),
    })
}

/// Errors by cause; none, no chart.
fn errors(report: &Report, marks: &[f64]) -> Option<Chart> {
    let names = report.series.samples.first()?.errors.named();
    let lines = names.iter().enumerate().filter_map(|(cause, (name, _))| {
        let points: Vec<_> = report
            .series
            .samples
            .iter()
            .map(|sample| (sample.at_seconds, sample.errors.named()[cause].1 as f64))
            .collect();
        points.iter().any(|point| point.1 > 0.0).then(|| Line::new(name, cause, points))
    });
    let lines: Vec<_> = lines.collect();
    (!lines.is_empty()).then(|| Chart {
        title: "Errors",
        about: "in each interval, by cause".into(),
        x: OVER_TIME,
        y: Axis::new(Scale::Linear, Unit::Count),
        lines,
        marks: marks.to_vec(),
    })
}
