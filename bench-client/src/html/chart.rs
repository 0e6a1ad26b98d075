//! One chart as SVG: lines over two axes, drawn for a column of about 400 px, so that its text keeps its size on a phone.
//! Names stand in a legend of HTML above it and never in the drawing, so nothing can overlap. No I/O.

use std::fmt::Write;

use super::scale::{Axis, Span, written};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// Points drawn of a line at most: half of its width.
const POINTS_MAX: usize = 160;

/// One line, or a band between two.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Which of the page's colours.
    pub(crate) colour: usize,
    pub(crate) points: Vec<(f64, f64)>,
    /// Drawn as an area around the line: from, to.
    pub(crate) band: Vec<(f64, f64, f64)>,
    /// What stands for many points where there are more than can be drawn: the largest of them, or the last.
    pub(crate) is_peak: bool,
}

impl Line {
    pub(crate) fn new(name: &str, colour: usize, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), colour, points, band: Vec::new(), is_peak: true }
    }

    /// The points that are drawn.
    fn drawn(&self) -> Vec<(f64, f64)> {
        let every = self.points.len().div_ceil(POINTS_MAX).max(1);
        let one = |points: &[(f64, f64)]| {
            let last = *points.last().expect("a chunk is never empty");
            let peak = points.iter().map(|point| point.1).fold(f64::MIN, f64::max);
            (last.0, if self.is_peak { peak } else { last.1 })
        };
        self.points.chunks(every).map(one).collect()
    }
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    /// What is shown, in a few words.
    pub(crate) about: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    /// Where the measured window begins and ends.
    pub(crate) marks: Vec<f64>,
}

impl Chart {
    /// The chart as a `<figure>`.
    pub(crate) fn html(&self) -> String {
        let mut html =
            format!("<figure><figcaption><h2>{}</h2><p>{}</p>", escaped(self.title), escaped(&self.about));
        html += "<ul class=legend>";
        for line in &self.lines {
            let _ = write!(html, "<li class=c{}>{}</li>", line.colour, escaped(&line.name));
        }
        if !self.marks.is_empty() {
            html += "<li class=mark>measured</li>";
        }
        html += "</ul></figcaption>";
        html += &self.svg();
        html + "</figure>\n"
    }

    fn svg(&self) -> String {
        let drawn: Vec<_> = self.lines.iter().map(Line::drawn).collect();
        let points = || drawn.iter().flatten();
        let bands = || self.lines.iter().flat_map(|line| &line.band);
        let x = self.x.span(points().map(|point| point.0).chain(bands().map(|band| band.0)));
        let y = self.y.span(points().map(|point| point.1).chain(bands().flat_map(|band| [band.1, band.2])));
        let at_x = |value| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
        let at_y = |value| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
        // Writing to a String cannot fail.
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{}\">", escaped(self.title));
        self.axes(&mut svg, &x, &y, &at_x, &at_y);
        for (line, points) in self.lines.iter().zip(&drawn) {
            if !line.band.is_empty() {
                let upper = line.band.iter().map(|band| (band.0, band.2));
                let lower = line.band.iter().rev().map(|band| (band.0, band.1));
                let path = path(upper.chain(lower), &at_x, &at_y);
                let _ = write!(svg, "<path class=\"band c{}\" d=\"{path}Z\"/>", line.colour);
            }
            let path = path(points.iter().copied(), &at_x, &at_y);
            let _ = write!(svg, "<path class=\"line c{}\" d=\"{path}\"/>", line.colour);
            if let [(px, py)] = points[..] {
                let (cx, cy) = (at_x(px), at_y(py));
                let _ = write!(svg, "<circle class=\"dot c{}\" cx={cx:.1} cy={cy:.1} r=3 />", line.colour);
            }
        }
        self.tips(&mut svg, &drawn, &at_x);
        svg + "</svg>"
    }

    fn axes(
        &self,
        svg: &mut String,
        x: &Span,
        y: &Span,
        at_x: &impl Fn(f64) -> f64,
        at_y: &impl Fn(f64) -> f64,
    ) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in y.ticks(4) {
            let (at, text) = (at_y(tick), written(tick, self.y.unit));
            let _ = write!(svg, "<path class=grid d=\"M{LEFT} {at:.1}H{right}\"/>");
            let (left, base) = (LEFT - 6.0, at + 4.0);
            let _ = write!(svg, "<text x={left} y={base:.1} text-anchor=end>{text}</text>");
        }
        for tick in x.ticks(5) {
            let (at, text) = (at_x(tick), written(tick, self.x.unit));
            let _ = write!(svg, "<path class=grid d=\"M{at:.1} {TOP}V{bottom}\"/>");
            // A label at the end stays within the drawing.
            let anchor = if at > WIDTH - 30.0 { "end" } else { "middle" };
            let (px, base) = (if anchor == "end" { WIDTH - 2.0 } else { at }, HEIGHT - 8.0);
            let _ = write!(svg, "<text x={px:.1} y={base} text-anchor={anchor}>{text}</text>");
        }
        for mark in &self.marks {
            let _ = write!(svg, "<path class=mark d=\"M{:.1} {TOP}V{bottom}\"/>", at_x(*mark));
        }
    }

    /// What a pointer is told: a strip for each place along the x axis, with the values of all lines there.
    fn tips(&self, svg: &mut String, drawn: &[Vec<(f64, f64)>], at_x: &impl Fn(f64) -> f64) {
        let mut places: Vec<f64> = drawn.iter().flatten().map(|point| point.0).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        for (index, place) in places.iter().enumerate() {
            let middle = |other: Option<&f64>| other.map(|other| f64::midpoint(at_x(*other), at_x(*place)));
            let from = middle(index.checked_sub(1).map(|before| &places[before])).unwrap_or(LEFT);
            let to = middle(places.get(index + 1)).unwrap_or(WIDTH - RIGHT);
            let mut tip = written(*place, self.x.unit);
            for (line, points) in self.lines.iter().zip(drawn) {
                if let Some((_, value)) = points.iter().find(|point| (point.0 - place).abs() < 1e-12) {
                    let _ = write!(tip, "\n{}: {}", escaped(&line.name), written(*value, self.y.unit));
                }
            }
            let _ = write!(
                svg,
                "<rect class=tip x={from:.1} y={TOP} width={:.1} height={:.1}><title>{tip}</title></rect>",
                (to - from).max(0.1),
                HEIGHT - TOP - BOTTOM
            );
        }
    }
}

fn path(
    points: impl Iterator<Item = (f64, f64)>,
    at_x: &impl Fn(f64) -> f64,
    at_y: &impl Fn(f64) -> f64,
) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let _ = write!(path, "{}{:.1} {:.1}", if path.is_empty() { 'M' } else { 'L' }, at_x(x), at_y(y));
    }
    path
}

/// Text that is no markup.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::scale::{Scale, Unit};
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: "a<b",
            about: "x & y".into(),
            x: Axis::new(Scale::Linear, Unit::Seconds),
            y: Axis::new(Scale::Linear, Unit::Count),
            lines: vec![Line::new("one\"", 0, points)],
            marks: vec![],
        }
    }

    #[test]
    fn a_line_goes_from_corner_to_corner_and_text_is_no_markup() {
        let html = chart(vec![(0.0, 0.0), (10.0, 100.0)]).html();
        assert!(html.contains("M58.0 194.0L386.0 10.0"), "{html}");
        assert!(html.contains("a&lt;b") && html.contains("x &amp; y") && html.contains("one&quot;"));
        assert!(html.contains("<title>10 s\none&quot;: 100</title>"), "{html}");
    }

    #[test]
    fn many_points_are_drawn_as_few_and_a_peak_stays() {
        let points = (0..10_000).map(|n| (f64::from(n), if n == 4321 { 77.0 } else { 1.0 })).collect();
        let line = Line::new("x", 0, points);
        let drawn = line.drawn();
        assert!(drawn.len() <= POINTS_MAX && drawn.iter().any(|point| point.1 == 77.0));
        assert!(Line { is_peak: false, ..line }.drawn().iter().all(|point| point.1 == 1.0));
        for points in [vec![], vec![(1.0, 5.0)]] {
            assert!(!chart(points).html().contains("NaN"));
        }
    }
}
