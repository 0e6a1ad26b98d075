//! Axes: where a value stands, where the ticks are, and how a number is written on them. Pure arithmetic.

/// How values are spread along an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scale {
    Linear,
    /// Each decade takes the same room. Values from 0 on stand where the axis begins.
    Log,
    /// Quantiles: 0.9, 0.99, 0.999 … at equal distances.
    Quantile,
}

/// What a number is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Given in seconds.
    Seconds,
    /// Given in microseconds.
    Time,
    Count,
    Bytes,
    /// Given as a quantile.
    Percent,
}

/// One axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) scale: Scale,
    pub(crate) unit: Unit,
}

/// An axis with its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    axis: Axis,
    /// In the scale's own measure.
    from: f64,
    to: f64,
}

impl Axis {
    pub(crate) const fn new(scale: Scale, unit: Unit) -> Self {
        Self { scale, unit }
    }

    fn measure(self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(1e-9).log10(),
            Scale::Quantile => -(1.0 - value.min(0.999_999_99)).log10(),
        }
    }

    fn value(self, measure: f64) -> f64 {
        match self.scale {
            Scale::Linear => measure,
            Scale::Log => 10f64.powf(measure),
            Scale::Quantile => 1.0 - 10f64.powf(-measure),
        }
    }

    /// The span that holds these values.
    pub(crate) fn span(self, values: impl Iterator<Item = f64>) -> Span {
        let is_shown = |value: &f64| value.is_finite() && (self.scale != Scale::Log || *value > 0.0);
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(is_shown).map(|value| self.measure(value)) {
            (from, to) = (from.min(value), to.max(value));
        }
        if from > to {
            (from, to) = (0.0, 1.0);
        }
        (from, to) = match (self.scale, self.unit) {
            (Scale::Quantile, _) => (0.0, to.max(1.0)),
            (Scale::Log, _) => ((from - 0.05).floor(), (to + 0.02).ceil().max(from.floor() + 1.0)),
            // Seconds are the time of a run; all else begins at nothing.
            (Scale::Linear, Unit::Seconds) => (from.min(0.0), if to > from { to } else { from + 1.0 }),
            (Scale::Linear, _) => {
                let step = step(to.max(1e-9), self.unit, 4);
                (0.0, (to.max(1e-9) / step).ceil() * step)
            }
        };
        Span { axis: self, from, to }
    }
}

impl Span {
    /// Where a value stands: 0 at the beginning of the axis, 1 at its end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        ((self.axis.measure(value) - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// The values that are marked, about `wanted` of them.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<f64> {
        match self.axis.scale {
            Scale::Linear => {
                let step = step(self.to - self.from, self.axis.unit, wanted);
                let first = (self.from / step).ceil() as i64;
                let count = ((self.to - first as f64 * step) / step + 1e-6).floor() as i64;
                (first..=first + count).map(|n| n as f64 * step).collect()
            }
            Scale::Log | Scale::Quantile => {
                let every = ((self.to - self.from) / wanted as f64).ceil().max(1.0) as usize;
                (self.from.ceil() as i64..=(self.to + 1e-6).floor() as i64)
                    .step_by(every)
                    .map(|n| self.axis.value(n as f64))
                    .collect()
            }
        }
    }
}

/// A round step with which at most about `wanted` fit into `length`.
fn step(length: f64, unit: Unit, wanted: usize) -> f64 {
    let rough = length / wanted as f64;
    let base: f64 = if unit == Unit::Bytes { 1024.0 } else { 1.0 };
    // Bytes are round in their own unit: 256 KiB, 2 MiB.
    let unit_size =
        if unit == Unit::Bytes && rough >= 1.0 { base.powf(rough.log(base).floor()) } else { 1.0 };
    let power = 10f64.powf((rough / unit_size).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|digit| digit * power).into_iter();
    let step = step.map(|step| step * unit_size).find(|step| *step >= rough * 0.999).unwrap_or(rough);
    if unit == Unit::Count { step.max(1e-3) } else { step }
}

/// A number without needless digits.
fn short(value: f64) -> String {
    let text = if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A number as it stands at a tick or in a table.
pub(crate) fn written(value: f64, unit: Unit) -> String {
    let scaled = |units: &[(f64, &str)]| {
        let (size, name) = units.iter().rfind(|(size, _)| value.abs() >= *size * 0.9995).unwrap_or(&units[0]);
        format!("{}{name}", short(value / size))
    };
    match unit {
        _ if value == 0.0 => "0".into(),
        Unit::Seconds => clock(value),
        Unit::Time => scaled(&[(1.0, " µs"), (1e3, " ms"), (1e6, " s")]),
        Unit::Count => scaled(&[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")]),
        Unit::Bytes => scaled(&[
            (1.0, " B"),
            (1024.0, " KiB"),
            (1024.0 * 1024.0, " MiB"),
            (1024.0 * 1024.0 * 1024.0, " GiB"),
        ]),
        Unit::Percent => {
            let percent = value * 100.0;
            // As many nines as there are, no more.
            let digits = (-(1.0 - value).max(1e-9).log10()).round().max(2.0) as usize - 2;
            format!("{percent:.digits$} %")
        }
    }
}

/// Seconds of a run: `12 s`, `5:30`, `2:05:00`.
fn clock(seconds: f64) -> String {
    if seconds < 600.0 {
        return format!("{} s", short(seconds));
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: Axis, values: &[f64], wanted: usize) -> Vec<String> {
        let span = axis.span(values.iter().copied());
        let ticks = span.ticks(wanted);
        assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&span.place(*tick))), "{ticks:?}");
        ticks.into_iter().map(|tick| written(tick, axis.unit)).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        use Scale::*;
        for (axis, values, expected) in [
            (Axis::new(Linear, Unit::Count), vec![0.0, 9400.0], vec!["0", "2.5k", "5k", "7.5k", "10k"]),
            (Axis::new(Linear, Unit::Count), vec![3.0], vec!["0", "1", "2", "3"]),
            (Axis::new(Linear, Unit::Seconds), vec![1.0, 12.0], vec!["0", "5 s", "10 s"]),
            (Axis::new(Linear, Unit::Bytes), vec![7e6], vec!["0", "2 MiB", "4 MiB", "6 MiB", "8 MiB"]),
            (Axis::new(Log, Unit::Time), vec![150.0, 2500.0], vec!["100 µs", "1 ms", "10 ms"]),
            (Axis::new(Quantile, Unit::Percent), vec![0.5, 0.9995], vec!["0", "90 %", "99 %", "99.9 %"]),
            (Axis::new(Linear, Unit::Count), vec![], vec!["0", "0.25", "0.5", "0.75", "1"]),
        ] {
            assert_eq!(ticks(axis, &values, 4), expected, "{axis:?} {values:?}");
        }
    }

    #[test]
    fn numbers_are_written_short() {
        for (value, unit, text) in [
            (999.7, Unit::Time, "1 ms"),
            (12_345.0, Unit::Time, "12.3 ms"),
            (0.5, Unit::Time, "0.5 µs"),
            (1_234_567.0, Unit::Count, "1.23M"),
            (0.9999, Unit::Percent, "99.99 %"),
            (0.5, Unit::Percent, "50 %"),
            (630.0, Unit::Seconds, "10:30"),
            (7265.0, Unit::Seconds, "2:01:05"),
            (9.5, Unit::Seconds, "9.5 s"),
            (1536.0, Unit::Bytes, "1.5 KiB"),
        ] {
            assert_eq!(written(value, unit), text);
        }
    }
}
