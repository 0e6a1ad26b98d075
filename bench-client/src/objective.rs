//! `p99<50ms`, `loss>0`: one figure of a run, a comparison and a bound. `--fail-if` fails a run where it is so, a search
//! for the highest load goes on while it is so.
//!
//! Pure: text in, and a report to look at. Called by the flags and by whoever judges a finished run.

use std::fmt;

use crate::distribution::Times;
use crate::report::Report;

type Of = fn(&Report) -> Option<Times>;
type Point = fn(&Times) -> f64;
type Count = fn(&Report) -> u64;
type Figure = fn(&Report) -> Option<f64>;

/// What the percentiles are of. The first one is meant where none is named.
const TIMES: [(&str, Of); 8] = [
    ("response", |report| report.response),
    ("service", |report| report.service),
    ("delivery", |report| report.delivery),
    ("first", |report| report.first_delivery),
    ("last", |report| report.last_delivery),
    ("connect", |report| report.connect.times),
    ("tls", |report| report.tls.as_ref()?.times),
    ("slip", |report| report.slip),
];

/// Points of a distribution, in microseconds.
const POINTS: [(&str, Point); 8] = [
    ("p50", |times| times.p50),
    ("p90", |times| times.p90),
    ("p99", |times| times.p99),
    ("p99.9", |times| times.p999),
    ("p99.99", |times| times.p9999),
    ("max", |times| times.max),
    ("mean", |times| times.mean),
    ("min", |times| times.min),
];

/// Counts, each with what it is a share of where the bound is in per cent.
const COUNTS: [(&str, Count, Count); 8] = [
    ("loss", |report| report.tally.lost, messages),
    ("duplicates", |report| report.tally.duplicated, messages),
    ("reordered", |report| report.tally.reordered, messages),
    ("corrupt", |report| report.tally.corrupt, messages),
    ("unsent", |report| report.tally.unsent, messages),
    ("timeouts", |report| report.tally.timeouts, messages),
    ("errors", |report| report.errors.values().sum(), connections),
    ("closes", |report| report.tally.closed_by_server, connections),
];

/// Rates and costs.
const FIGURES: [(&str, Kind, Figure); 3] = [
    ("rate", Kind::Number, |report| {
        let rate = report.echoes_per_second + report.deliveries_per_second;
        (report.tally.sent + report.tally.published > 0).then_some(rate)
    }),
    ("cpu", Kind::Time, |report| report.server.as_ref()?.cpu_microseconds_per_message),
    ("bytes", Kind::Bytes, |report| report.server.as_ref()?.bytes_per_connection),
];

fn messages(report: &Report) -> u64 {
    let tally = &report.tally;
    tally.received + tally.delivered + tally.lost + tally.unsent
}

fn connections(report: &Report) -> u64 {
    report.connections as u64
}

/// What a bound is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Kept in microseconds.
    Time,
    Number,
    Bytes,
    /// A share in per cent.
    Share,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Metric {
    /// An index of `TIMES` and one of `POINTS`.
    Time(usize, usize),
    /// An index of `COUNTS`.
    Count(usize),
    /// An index of `FIGURES`.
    Figure(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

/// The longer ones first: the shorter are their beginnings.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Equal),
];

/// A figure of a run, compared with a bound.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Objective {
    text: String,
    metric: Metric,
    relation: Relation,
    kind: Kind,
    bound: f64,
}

impl Objective {
    /// Reads `METRIC RELATION BOUND`, as in `delivery.p99.9 <= 20ms`.
    ///
    /// # Errors
    /// What is no metric, no relation or no bound, and what would be one.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let at = text.find(['<', '>', '=']).ok_or_else(|| {
            format!("`{text}` compares nothing: METRIC<BOUND or METRIC>BOUND is wanted, as in p99>50ms")
        })?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let (sign, relation) =
            RELATIONS.into_iter().find(|(sign, _)| rest.starts_with(sign)).unwrap_or(RELATIONS[4]);
        let written = rest[sign.len()..].trim();
        let (metric, natural) = metric(name)?;
        let (kind, bound) = bound(written, natural).map_err(|why| format!("`{text}`: {why}"))?;
        if kind == Kind::Share && !matches!(metric, Metric::Count(_)) {
            return Err(format!(
                "`{text}`: {name} is a share of nothing, so its bound cannot be in per cent"
            ));
        }
        let text = format!("{name}{sign}{written}");
        Ok(Self { text, metric, relation, kind, bound })
    }

    /// The figure in the bound's unit: microseconds, a count, a rate, bytes or per cent. `None` if the run has none.
    pub(crate) fn figure(&self, report: &Report) -> Option<f64> {
        match self.metric {
            Metric::Time(of, point) => TIMES[of].1(report).map(|times| POINTS[point].1(&times)),
            Metric::Count(index) => {
                let (_, count, whole) = COUNTS[index];
                let count = count(report) as f64;
                if self.kind != Kind::Share {
                    return Some(count);
                }
                let whole = whole(report);
                (whole > 0).then(|| 100.0 * count / whole as f64)
            }
            Metric::Figure(index) => FIGURES[index].2(report),
        }
    }

    /// Whether it is so. `None`: the run says nothing about it.
    pub(crate) fn is_so(&self, report: &Report) -> Option<bool> {
        let figure = self.figure(report)?;
        Some(match self.relation {
            Relation::Below => figure < self.bound,
            Relation::AtMost => figure <= self.bound,
            Relation::Above => figure > self.bound,
            Relation::AtLeast => figure >= self.bound,
            Relation::Equal => (figure - self.bound).abs() <= f64::EPSILON * self.bound.abs(),
        })
    }

    /// The figure as a person reads it.
    pub(crate) fn told(&self, report: &Report) -> String {
        let Some(figure) = self.figure(report) else { return "not measured".into() };
        match self.kind {
            Kind::Time if figure >= 1e6 => format!("{:.3}s", figure / 1e6),
            Kind::Time if figure >= 1e3 => format!("{:.3}ms", figure / 1e3),
            Kind::Time => format!("{figure:.1}us"),
            Kind::Share => format!("{figure:.4}%"),
            Kind::Bytes => format!("{figure:.1} B"),
            Kind::Number if figure.fract() == 0.0 => format!("{figure:.0}"),
            Kind::Number => format!("{figure:.1}"),
        }
    }

    /// As a condition of failure: why the run fails, if it does. A figure that was not measured fails it: what nobody
    /// looked at did not hold.
    pub(crate) fn failure(&self, report: &Report) -> Option<String> {
        match self.is_so(report) {
            Some(false) => None,
            Some(true) => Some(format!("{self}: it is {}", self.told(report))),
            None => Some(format!("{self}: this run did not measure it")),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A metric by its name, with what it is measured in.
fn metric(name: &str) -> Result<(Metric, Kind), String> {
    if let Some(index) = COUNTS.iter().position(|count| count.0 == name) {
        return Ok((Metric::Count(index), Kind::Number));
    }
    if let Some(index) = FIGURES.iter().position(|figure| figure.0 == name) {
        return Ok((Metric::Figure(index), FIGURES[index].1));
    }
    let (of, point) = match name.split_once('.') {
        Some((of, point)) if TIMES.iter().any(|times| times.0 == of) => (of, point),
        _ => (TIMES[0].0, name),
    };
    let of = TIMES.iter().position(|times| times.0 == of);
    let point = POINTS.iter().position(|known| known.0 == point);
    of.zip(point).map(|(of, point)| (Metric::Time(of, point), Kind::Time)).ok_or_else(|| {
        let names = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(", ");
        format!(
            "`{name}` is no metric; there are {}, of the response time or with one of {} and a dot in front; {}; {}",
            names(&mut POINTS.iter().map(|point| point.0)),
            names(&mut TIMES[1..].iter().map(|times| times.0)),
            names(&mut COUNTS.iter().map(|count| count.0)),
            names(&mut FIGURES.iter().map(|figure| figure.0)),
        )
    })
}

/// A bound of the metric's kind.
fn bound(text: &str, natural: Kind) -> Result<(Kind, f64), String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    let number = number.parse::<f64>().map_err(|_| format!("`{text}` is not a number with a unit"))?;
    let (kind, factor) = match (natural, unit) {
        (Kind::Time, "us" | "µs") => (Kind::Time, 1.0),
        (Kind::Time, "ms") => (Kind::Time, 1e3),
        (Kind::Time, "s") => (Kind::Time, 1e6),
        (Kind::Time, _) => return Err(format!("`{text}` is no time; us, ms or s is wanted behind it")),
        (Kind::Bytes, "" | "B") => (Kind::Bytes, 1.0),
        (Kind::Bytes, "k" | "K" | "KiB") => (Kind::Bytes, 1024.0),
        (Kind::Bytes, "M" | "MiB") => (Kind::Bytes, 1024.0 * 1024.0),
        (Kind::Number, "" | "/s") => (Kind::Number, 1.0),
        (Kind::Number, "k" | "K" | "k/s") => (Kind::Number, 1e3),
        (Kind::Number, "M" | "M/s") => (Kind::Number, 1e6),
        (Kind::Number, "%") => (Kind::Share, 1.0),
        (_, unit) => return Err(format!("`{unit}` does not fit this metric")),
    };
    Ok((kind, number * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let times = Times {
            count: 9,
            min: 7.0,
            mean: 20.0,
            p50: 10.0,
            p90: 90.0,
            p99: 990.0,
            p999: 1e4,
            p9999: 2e6,
            max: 3e6,
        };
        let mut report = Report { connections: 50, response: Some(times), ..Report::default() };
        (report.tally.sent, report.tally.received, report.tally.lost) = (1000, 998, 2);
        report.tally.closed_by_server = 5;
        report.echoes_per_second = 12_500.0;
        report.errors.insert("x".into(), 3);
        report
    }

    #[test]
    fn a_bound_is_held_against_its_figure_in_its_unit() {
        let report = report();
        for (text, is_so, told) in [
            ("p50<11us", Some(true), "10.0us"),
            ("p50 < 10us", Some(false), "10.0us"),
            ("p50<=10us", Some(true), "10.0us"),
            ("response.p99>0.9ms", Some(true), "990.0us"),
            ("p99.9>=10ms", Some(true), "10.000ms"),
            ("p99.99>2s", Some(false), "2.000s"),
            ("max=3s", Some(true), "3.000s"),
            ("mean<1ms", Some(true), "20.0us"),
            ("min>7us", Some(false), "7.0us"),
            ("service.p99>1s", None, "not measured"),
            ("last.max<1s", None, "not measured"),
            ("loss>0", Some(true), "2"),
            ("loss>0.2%", Some(false), "0.2000%"),
            ("loss>0.19%", Some(true), "0.2000%"),
            ("closes>=10%", Some(true), "10.0000%"),
            ("errors=3", Some(true), "3"),
            ("duplicates=0", Some(true), "0"),
            ("duplicates>0", Some(false), "0"),
            ("rate<12.5k", Some(false), "12500"),
            ("rate<0.1M/s", Some(true), "12500"),
            ("cpu>10us", None, "not measured"),
            ("bytes>1KiB", None, "not measured"),
        ] {
            let objective = Objective::parse(text).unwrap();
            assert_eq!((objective.is_so(&report), objective.told(&report).as_str()), (is_so, told), "{text}");
            assert_eq!(objective.failure(&report).is_none(), is_so == Some(false), "{text}");
        }
        let failure = Objective::parse(" p99 > 50us").unwrap().failure(&report).unwrap();
        assert_eq!(failure, "p99>50us: it is 990.0us");
    }

    #[test]
    fn what_is_no_objective_says_what_would_be_one() {
        for (text, words) in [
            ("p99", "compares nothing"),
            ("", "compares nothing"),
            ("p98>1ms", "`p98` is no metric; there are p50, p90"),
            ("lost.p99>1ms", "no metric"),
            ("response>1ms", "no metric"),
            ("p99>50", "`50` is no time; us, ms or s"),
            ("p99>50k", "no time"),
            ("p99>fast", "not a number"),
            ("p99>", "not a number"),
            ("loss>1ms", "`ms` does not fit"),
            ("loss>-1", "not a number"),
            ("rate<5%", "share of nothing"),
            ("bytes>1s", "does not fit"),
            ("loss==0", "not a number"),
        ] {
            let refused = Objective::parse(text).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
