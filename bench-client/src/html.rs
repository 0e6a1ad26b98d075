//! The report as one self-contained page: what a person looks at, sends on and keeps. No script, nothing from elsewhere;
//! light and dark as the reader's system is, from a phone's width on.
//!
//! Pure: a report in, text out. `pictures` says which charts there are, `chart` draws one, `scale` has its axes.

pub(crate) mod chart;
mod pictures;
pub(crate) mod scale;

use std::fmt::Write;

use crate::distribution::Times;
use crate::report::Report;
use chart::escaped;
pub(crate) use pictures::time_axis;
use scale::{Unit, written};

const STYLE: &str = include_str!("html/style.css");

/// A page with this title and this body.
pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style></head>\n<body>\n{body}</body></html>\n",
        escaped(title)
    )
}

/// The page of a run.
pub(crate) fn page(report: &Report) -> String {
    let mut body = header(report);
    body += &tiles(report);
    body += "<main><div class=charts>\n";
    for chart in pictures::charts(report) {
        body += &chart.html();
    }
    body += "</div>\n";
    body += &times(report);
    body += &errors(report);
    body += &machine(report);
    body += "</main>\n";
    let _ = writeln!(
        body,
        "<footer>bench-client {} · {} · seed {}</footer>",
        escaped(report.version),
        escaped(report.schema),
        report.seed
    );
    document(&format!("{}: {}", report.name, report.url), &body)
}

fn header(report: &Report) -> String {
    let (word, is_bad) = match (&report.saturated[..], &report.failures[..]) {
        ([], []) => ("fine", false),
        ([], _) => ("failed", true),
        _ => ("invalid: the client was saturated", true),
    };
    let mut html = format!(
        "<header><h1>{}</h1><p>{} of {}</p><p>{}; measured for {:.1} s</p>\n<p class=\"verdict{}\">{word}</p>\n",
        escaped(&report.name),
        escaped(report.mode),
        escaped(&report.url),
        escaped(&report.load),
        report.window_seconds,
        if is_bad { " bad" } else { "" }
    );
    let bad = report.saturated.iter().chain(&report.failures).map(|line| ("bad", line));
    let lines: Vec<_> = bad.chain(report.warnings.iter().map(|line| ("warn", line))).collect();
    if !lines.is_empty() {
        html += "<ul class=told>";
        for (class, line) in lines {
            let _ = write!(html, "<li class={class}>{}</li>", escaped(line));
        }
        html += "</ul>\n";
    }
    html + "</header>\n"
}

/// The figures that are looked for first.
fn tiles(report: &Report) -> String {
    let mut tiles: Vec<(&str, String)> =
        vec![("connections opened", written(report.tally.opened as f64, Unit::Count))];
    let mut times = |name: [&'static str; 3], times: Option<Times>| {
        if let Some(Times { p50, p99, max, .. }) = times {
            for (name, value) in name.into_iter().zip([p50, p99, max]) {
                tiles.push((name, written(value, Unit::Time)));
            }
        }
    };
    times(["response p50", "response p99", "response max"], report.response);
    times(["delivery p50", "delivery p99", "delivery max"], report.delivery);
    if report.response.is_none() && report.delivery.is_none() {
        times(["connect p50", "connect p99", "connect max"], report.connect.times);
    }
    let rate = report.echoes_per_second + report.deliveries_per_second;
    if rate > 0.0 {
        tiles.push(("messages per second", written(rate, Unit::Count)));
    }
    tiles.push(("lost", written(report.tally.lost as f64, Unit::Count)));
    let server = report.server.as_ref();
    if let Some(cpu) = server.and_then(|server| server.cpu_microseconds_per_message) {
        tiles.push(("server CPU per message", written(cpu, Unit::Time)));
    }
    let user = server.and_then(|server| server.bytes_per_rested_connection.or(server.bytes_per_connection));
    if let Some(bytes) = user {
        tiles.push(("server memory per connection", written(bytes, Unit::Bytes)));
    }
    if let Some(bytes) = report.kernel_slab_bytes_per_connection {
        tiles.push(("kernel memory per connection", written(bytes, Unit::Bytes)));
    }
    tiles.push(("client's busiest thread", format!("{:.0} %", report.client.busiest_thread * 100.0)));
    let mut html = String::from("<div class=tiles>");
    for (name, value) in tiles {
        let _ = write!(html, "<div><span>{name}</span><b>{value}</b></div>");
    }
    html + "</div>\n"
}

/// Every kind of time with its percentiles.
fn times(report: &Report) -> String {
    let kinds = [
        ("response", report.response),
        ("service", report.service),
        ("delivery", report.delivery),
        ("first delivery", report.first_delivery),
        ("last delivery", report.last_delivery),
        ("connect", report.connect.times),
        ("TLS handshake", report.tls.as_ref().and_then(|tls| tls.times)),
        ("sent late by", report.slip),
        ("loop lag", report.loop_lag),
    ];
    let mut html = String::from(
        "<section><h2>Times</h2><div class=wide><table><tr><th></th><th>p50</th><th>p90</th><th>p99</th>\
         <th>p99.9</th><th>p99.99</th><th>max</th><th>mean</th><th>count</th></tr>\n",
    );
    for (name, times) in kinds {
        let Some(Times { count, p50, p90, p99, p999, p9999, max, mean, .. }) = times else { continue };
        let _ = write!(html, "<tr><td>{name}</td>");
        for value in [p50, p90, p99, p999, p9999, max, mean] {
            let _ = write!(html, "<td>{}</td>", written(value, Unit::Time));
        }
        let _ = writeln!(html, "<td>{count}</td></tr>");
    }
    html + "</table></div></section>\n"
}

/// What went wrong, by cause.
fn errors(report: &Report) -> String {
    let tally = &report.tally;
    let counts = [
        ("connections not opened", tally.failed),
        ("connections ended by the server", tally.closed_by_server),
        ("lost", tally.lost),
        ("duplicated", tally.duplicated),
        ("reordered", tally.reordered),
        ("corrupt", tally.corrupt),
        ("unsent", tally.unsent),
        ("timeouts", tally.timeouts),
    ];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    let named = report.errors.iter().map(|(sentence, count)| (sentence.as_str(), *count));
    let rows: Vec<_> = counts.chain(named).collect();
    if rows.is_empty() {
        return "<section><h2>Errors</h2><p>none</p></section>\n".into();
    }
    let mut html = String::from("<section><h2>Errors</h2><div class=wide><table class=wrap>\n");
    for (cause, count) in rows {
        let _ = writeln!(html, "<tr><td>{count}</td><td>{}</td></tr>", escaped(cause));
    }
    html + "</table></div></section>\n"
}

fn machine(report: &Report) -> String {
    let machine = &report.machine;
    let memory = machine.memory_bytes.map_or_else(String::new, |bytes| written(bytes as f64, Unit::Bytes));
    let cores = machine.cores.to_string();
    let mut html = String::from("<section><h2>Machine and command</h2><div class=wide><table class=wrap>\n");
    for (name, value) in
        [("processor", &machine.cpu), ("cores", &cores), ("memory", &memory), ("kernel", &machine.kernel)]
    {
        if !value.is_empty() {
            let _ = writeln!(html, "<tr><td>{name}</td><td>{}</td></tr>", escaped(value));
        }
    }
    let command: Vec<_> = report.command.iter().map(|word| quoted(word)).collect();
    let _ = writeln!(html, "<tr><td>command</td><td><code>{}</code></td></tr>", escaped(&command.join(" ")));
    html + "</table></div></section>\n"
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_=./:,@%+…[]".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_and_shows_nothing_as_markup() {
        let mut report =
            Report { name: "a<script>".into(), url: "ws://h/?a=1&b".into(), ..Report::default() };
        report.command = vec!["bench-client".into(), "--fail-if".into(), "p99>50ms".into(), "it's".into()];
        report.failures.push("loss>0: it is 3".into());
        report.errors.insert("<b>".into(), 4);
        let page = page(&report);
        assert!(!page.contains("<script") && !page.contains("<b>4") && !page.contains("NaN"), "{page}");
        for text in [
            "a&lt;script&gt;",
            "ws://h/?a=1&amp;b",
            "verdict bad\">failed",
            "loss&gt;0: it is 3",
            "bench-client --fail-if 'p99&gt;50ms' 'it'\\''s'",
            "<td>4</td><td>&lt;b&gt;</td>",
            "</html>",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside} in {page}");
        }
        let saturated = Report { saturated: vec!["busy".into()], ..Report::default() };
        assert!(super::page(&saturated).contains("verdict bad\">invalid"));
        assert!(super::page(&Report::default()).contains("verdict\">fine"));
    }
}
