//! One run by several processes: what they say to each other. `coordinator` splits a plan and puts the results together,
//! `part` is the side that `bench-client worker` runs.
//!
//! JSON lines over TCP. Nothing is encrypted and nobody is asked who he is, so a worker listens on loopback unless it is told
//! otherwise: on a network it carries out whatever it is sent, which is to open connections wherever the plan says.

pub(crate) mod coordinator;
pub(crate) mod part;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde::{Deserialize, Serialize};

use crate::clock::Origin;
use crate::disruption::{By, Disruption};
use crate::distribution::{decoded, encoded};
use crate::reach::Reach;
use crate::series::Interval;
use crate::settings::{Load, Part, Settings};
use crate::stats::{Stats, Tally};
use crate::summary::Measured;

/// What both sides have to be of.
const VERSION: &str = concat!("throng-bench-worker/2 ", env!("CARGO_PKG_VERSION"));
/// Which of them has the publisher, where there is one.
const PUBLISHING: usize = 0;
/// A line at most: a whole distribution is some 100 KiB, what became of a million publishes some 40 MiB.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Line {
    /// To a worker: which part of which command line is its own.
    Plan { version: String, arguments: Vec<String>, index: usize, of: usize },
    /// From it: it can be done, and what its clock is by its machine's.
    Ready(Origin),
    /// From it: it cannot, or went wrong.
    Refused(String),
    /// To it: what does your clock read?
    Ping,
    /// From it: this, in nanoseconds.
    Pong(u64),
    /// To it: set your clock back by so much, and open your connections.
    Begin { ahead: i64 },
    /// From it: all are open or given up.
    Connected,
    /// To it: sending starts then, on the common clock.
    Go(u64),
    /// From the one that publishes, and to the others: so much was, and that is all.
    Published(u64),
    /// To it: end early.
    Stop,
    /// From it: what happened in an interval.
    Interval(Box<Interval>),
    /// From it: all it knows.
    Done(Box<Done>),
}

/// What a worker measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    tally: Tally,
    /// By the recorder's name, whole.
    times: BTreeMap<String, String>,
    tls: Vec<(String, String, u64)>,
    errors: BTreeMap<String, u64>,
    setbacks: BTreeMap<String, u64>,
    /// By number of publish: when it was to be sent, how long after that the first and the last had it, and how many.
    reach: Vec<(u64, u64, u64, u64)>,
    /// What was measured, on the common clock: from, to.
    window: (u64, u64),
    strange: Option<String>,
    connect_seconds: f64,
    window_seconds: f64,
    own_cpu: Vec<u64>,
    connect_cpu: Vec<u64>,
    /// Threads it ran.
    threads: usize,
    warnings: Vec<String>,
    interrupted: bool,
}

impl Done {
    fn of(
        mut measured: Measured,
        threads: usize,
        window: (u64, u64),
        warnings: Vec<String>,
        interrupted: bool,
    ) -> Self {
        let stats = &mut measured.stats;
        let times = stats.recorders().into_iter();
        let times = times.map(|(name, times)| (name.to_owned(), encoded(times.window()))).collect();
        let tls = stats.tls.iter().map(|((version, suite), n)| (version.to_string(), suite.to_string(), *n));
        Self {
            tally: stats.tally,
            times,
            tls: tls.collect(),
            errors: std::mem::take(&mut stats.errors),
            setbacks: std::mem::take(&mut stats.setbacks),
            reach: stats.reach.iter().map(|reach| reach.spans()).collect(),
            window,
            strange: stats.strange.take(),
            connect_seconds: measured.connect_seconds,
            window_seconds: measured.window_seconds,
            own_cpu: measured.own_cpu,
            connect_cpu: measured.connect_cpu,
            threads,
            warnings,
            interrupted,
        }
    }

    /// Adds it to what others measured. Every count of every distribution is kept.
    ///
    /// # Errors
    /// What of it is no distribution.
    fn merge(self, into: &mut Measured) -> Result<(), String> {
        let mut stats = Stats::new();
        for (name, times) in stats.recorders() {
            if let Some(text) = self.times.get(name) {
                times.restore(&decoded(text)?)?;
            }
        }
        stats.tally = self.tally;
        let tls = self.tls.into_iter().map(|(version, suite, n)| ((version.into(), suite.into()), n));
        (stats.tls, stats.errors, stats.strange) = (tls.collect(), self.errors, self.strange);
        stats.setbacks = self.setbacks;
        stats.reach = self.reach.into_iter().map(Reach::of).collect();
        into.stats.merge(stats);
        into.connect_seconds = into.connect_seconds.max(self.connect_seconds);
        into.window_seconds = into.window_seconds.max(self.window_seconds);
        into.own_cpu.extend(self.own_cpu);
        into.connect_cpu.extend(self.connect_cpu);
        Ok(())
    }
}

/// A connection to the other side.
#[derive(Debug)]
struct Channel {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
}

impl Channel {
    fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream.try_clone()?), stream })
    }

    fn say(&mut self, line: &Line) -> Result<(), String> {
        say(&mut self.stream, line)
    }

    fn hear(&mut self) -> Result<Line, String> {
        let mut text = String::new();
        let read = (&mut self.reader).take(LINE_BYTES_MAX).read_line(&mut text);
        match read {
            Ok(0) => Err("it went away".into()),
            Ok(_) => {
                serde_json::from_str(&text).map_err(|error| format!("it says what nobody knows: {error}"))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

fn say(stream: &mut TcpStream, line: &Line) -> Result<(), String> {
    let mut text = serde_json::to_string(line).expect("numbers, strings and lists are JSON");
    text.push('\n');
    stream.write_all(text.as_bytes()).map_err(|error| error.to_string())
}

/// Part `index` of `of` of a number.
fn part_of(whole: u64, index: usize, of: usize) -> u64 {
    whole / of as u64 + u64::from((index as u64) < whole % of as u64)
}

/// What a run over several workers cannot do.
///
/// # Errors
/// That it is asked for.
fn check(settings: &Settings, workers: usize) -> Result<(), String> {
    let many = settings.common.connections >= workers;
    let has_rate = |rate: u64| rate >= workers as u64;
    let is_cut_by_server = matches!(settings.disruption, Some((Disruption::Cut { by: By::Server, .. }, _)));
    let refused = match settings.load {
        _ if is_cut_by_server => "--workers: when a server cut its connections is noticed by one process",
        _ if settings.slow.is_some() => "--workers: what slow readers got is counted by one process",
        _ if settings.rooms.is_some() => "--workers: what members of rooms hear is counted by one process",
        _ if settings.is_soak => "--workers: a soak is watched by one process",
        _ if settings.rest > 0 => "--workers: memory is measured by one process",
        _ if settings.common.url.is_none() => "--workers: name the server's URL, one that all workers reach",
        Load::Open(rate) if !has_rate(rate) => "--workers: there are more workers than messages a second",
        _ if !many => "--workers: there are more workers than connections",
        _ => return Ok(()),
    };
    Err(refused.into())
}

/// Makes the settings of a whole run those of one part of it.
fn cut(settings: &mut Settings, index: usize, of: usize) {
    let common = &mut settings.common;
    let share = |index| part_of(common.connections as u64, index, of);
    // Numbers are those of the whole run: stamps carry them, and rows of a file go by them.
    settings.part = Part {
        first: (0..index).map(share).sum::<u64>() as u32,
        whole: common.connections,
        publishes: index == PUBLISHING,
    };
    common.connections = share(index) as usize;
    if common.connect_rate > 0 {
        common.connect_rate = part_of(common.connect_rate, index, of).max(1);
    }
    if let Load::Open(rate) = settings.load {
        settings.load = Load::Open(part_of(rate, index, of));
    }
    // Two parts with the same times would send in step.
    settings.seed ^= (index as u64) << 48;
    (common.quiet, common.server_pid) = (true, None);
    common.outputs.only_intervals();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn settings(line: &str) -> Settings {
        let words = std::iter::once("bench-client").chain(line.split(' '));
        Settings::new(Cli::parse_from(words)).unwrap()
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        for (whole, of) in [(10, 3), (2, 2), (1_000_001, 7), (5, 1)] {
            assert_eq!((0..of).map(|index| part_of(whole, index, of)).sum::<u64>(), whole);
        }
        let parts = [0, 1, 2].map(|index| {
            let mut part = settings("echo ws://h/ -c 11 --rate 100 --connect-rate 7 --json x");
            cut(&mut part, index, 3);
            assert_eq!((part.part.whole, part.part.publishes), (11, index == 0));
            (part.part.first, part.common.connections, part.load, part.common.connect_rate)
        });
        let expected = [(0, 4, Load::Open(34), 3), (4, 4, Load::Open(33), 2), (8, 3, Load::Open(33), 2)];
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_one_process_has_to_do_is_refused() {
        for line in
            ["echo ws://h/ -c 2", "broadcast ws://h/", "mixed ws://h/", "churn ws://h/", "reconnect ws://h/"]
        {
            assert_eq!(check(&settings(line), 2), Ok(()), "{line}");
        }
        for line in [
            "slow ws://h/",
            "rooms ws://h/${room}",
            "soak ws://h/",
            "echo -c 5",
            "echo ws://h/ -c 1",
            "echo ws://h/ --rate 1",
            "reconnect ws://h/ --by-server",
        ] {
            assert!(check(&settings(line), 2).unwrap_err().starts_with("--workers: "), "{line}");
        }
    }

    #[test]
    fn what_was_measured_comes_over_whole() {
        let mut measured = Measured { connect_seconds: 2.0, own_cpu: vec![5], ..Measured::default() };
        for value in 1..=3000 {
            measured.stats.response.record(value * 999, true);
        }
        measured.stats.tally.sent = 3000;
        measured.stats.error("x");
        measured.stats.reached(1, 1000, 1700);
        measured.stats.reached(1, 1000, 1900);
        let expected = measured.stats.response.window().clone();
        let line = serde_json::to_string(&Done::of(measured, 2, (5, 9), vec![], false)).unwrap();
        let mut merged = Measured::default();
        for _ in 0..2 {
            serde_json::from_str::<Done>(&line).unwrap().merge(&mut merged).unwrap();
        }
        let reach: Vec<_> = merged.stats.reach.iter().map(|reach| reach.spans()).collect();
        assert_eq!(reach, [(0, 0, 0, 0), (1000, 700, 900, 4)]);
        let times = merged.stats.response.window();
        assert_eq!((times.len(), times.max()), (6000, expected.max()));
        assert!(
            [0.1, 0.5, 0.99].iter().all(|q| times.value_at_quantile(*q) == expected.value_at_quantile(*q))
        );
        assert_eq!((merged.stats.tally.sent, merged.stats.errors["x"], merged.own_cpu.len()), (6000, 2, 2));
    }
}
