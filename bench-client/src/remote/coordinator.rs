//! The side that has the plan: it gives each worker its part and the time, shows what they do, and merges what they measured.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{Channel, Done, Line, PUBLISHING, VERSION, check};
use crate::clock::{Clock, SECOND};
use crate::openings::Openings;
use crate::progress::Progress;
use crate::report::Report;
use crate::run::Refusal;
use crate::series::{Interval, Series};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::stats::{Stats, Tally};
use crate::summary::{Measured, summarise};
use crate::target::Target;
use crate::trust::Trust;

/// Round trips by which a worker's clock is compared; the shortest counts.
const PINGS: usize = 16;
/// From the last worker's readiness to the first message: time enough for everybody to hear of it.
const AHEAD: u64 = SECOND / 4;

/// Flags of a run over several processes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RemoteFlags {
    /// Have the run carried out by these workers (`bench-client worker`) together: each makes its share of the connections
    /// and of the rate, and this process merges what they measure
    #[arg(long, value_name = "ADDR:PORT,…", value_delimiter = ',')]
    pub(crate) workers: Vec<String>,
}

/// A worker, as the report names it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) threads: usize,
    /// How far its clock may be from this one's: half of the shortest round trip, or less on one machine.
    pub(crate) clock_error_microseconds: f64,
}

struct Worker {
    node: Node,
    channel: Channel,
}

impl Worker {
    /// Connects, hands over the plan and compares the clocks.
    fn new(
        address: &str,
        arguments: &[String],
        index: usize,
        of: usize,
        clock: Clock,
    ) -> Result<Self, String> {
        let wrong = |why: String| format!("worker {address}: {why}");
        let stream = TcpStream::connect(address).and_then(Channel::new);
        let mut channel = stream.map_err(|error| {
            wrong(format!("{error}; is `bench-client worker --listen {address}` running there?"))
        })?;
        let (version, arguments) = (VERSION.to_owned(), arguments.to_vec());
        channel.say(&Line::Plan { version, arguments, index, of }).map_err(wrong)?;
        let its = match channel.hear().map_err(wrong)? {
            Line::Ready(origin) => origin,
            Line::Refused(why) => return Err(wrong(why)),
            other => return Err(wrong(format!("{other:?} was not expected"))),
        };
        let (mut shortest, mut ahead) = (u64::MAX, 0);
        for _ in 0..PINGS {
            let asked = clock.now();
            channel.say(&Line::Ping).map_err(wrong)?;
            let Line::Pong(reads) = channel.hear().map_err(wrong)? else {
                return Err(wrong("it does not know what time it is".into()));
            };
            let took = clock.now() - asked;
            if took < shortest {
                // The answer was given somewhere within the round trip: in its middle, give or take half of it.
                (shortest, ahead) = (took, reads as i64 - (asked + took / 2) as i64);
            }
        }
        let own = clock.origin();
        let mut error = shortest.div_ceil(2);
        if own.is_same_machine(&its) && own.error + its.error < error {
            // Both go by one clock, and nothing has to be guessed.
            (error, ahead) = (own.error + its.error, own.at - its.at);
        }
        channel.say(&Line::Begin { ahead }).map_err(wrong)?;
        let clock_error_microseconds = error as f64 / 1000.0;
        Ok(Self { node: Node { address: address.to_owned(), threads: 0, clock_error_microseconds }, channel })
    }
}

/// Carries out a run over several workers. `stop` ends it early.
///
/// # Errors
/// Why it could not be begun or ended, with the name of the worker.
pub(crate) fn run(mut settings: Settings, stop: &AtomicBool) -> Result<(Report, Stats), Refusal> {
    let addresses = std::mem::take(&mut settings.common.remote.workers);
    check(&settings, addresses.len()).map_err(Refusal::Usage)?;
    let url = settings.common.url.clone().unwrap_or_default();
    let target = Target::resolve(&url).map_err(Refusal::Usage)?;
    let trust = Trust::new(&settings.common.tls, &target).map_err(Refusal::Usage)?;
    let clock = Clock::start();
    let arguments = without_workers(std::env::args());
    if arguments.get(1).is_none_or(|mode| mode != settings.mode) {
        return Err(Refusal::Usage("--workers: a single run can be split, no phases of a file".into()));
    }
    let of = addresses.len();
    let workers = addresses.iter().enumerate();
    let workers = workers.map(|(index, address)| Worker::new(address, &arguments, index, of, clock));
    let workers = workers.collect::<Result<Vec<_>, _>>().map_err(Refusal::Usage)?;
    let mut nodes: Vec<_> = workers.iter().map(|worker| worker.node.clone()).collect();

    let mut progress = Progress::new(settings.common.quiet);
    let mut gathered = gather(workers, &nodes, clock, stop, &mut progress).map_err(Refusal::Usage)?;
    progress.end();
    let (mut measured, mut warnings) = (Measured::default(), Vec::new());
    let window = gathered.done[PUBLISHING].window;
    let mut interrupted = stop.load(Relaxed);
    for (node, done) in nodes.iter_mut().zip(gathered.done) {
        node.threads = done.threads;
        interrupted |= done.interrupted;
        warnings.extend(done.warnings.iter().map(|line| format!("worker {}: {line}", node.address)));
        done.merge(&mut measured).map_err(|why| Refusal::Usage(format!("worker {}: {why}", node.address)))?;
    }
    let mut series = Series::default();
    gathered.intervals.iter_mut().for_each(|intervals| series.beside(intervals));
    measured.series = series;
    let common = &settings.common;
    let openings = Openings::new(&target, None, None, None, &[], None, 1).map_err(Refusal::Usage)?;
    let threads = nodes.iter().map(|node| node.threads).sum();
    let own_tables = common.connections == 0;
    let shared = Shared::new(settings, openings, trust, threads, clock);
    shared.window_from.store(window.0, Relaxed);
    shared.window_to.store(window.1, Relaxed);
    let (mut report, stats) = summarise(&shared, url, own_tables, measured, warnings, interrupted);
    if let Some(broadcast) = &mut report.broadcast {
        broadcast.clock_error_microseconds = apart(&nodes);
    }
    report.nodes = nodes;
    Ok((report, stats))
}

/// How far the clock of the worker that publishes may be from that of any other.
fn apart(nodes: &[Node]) -> f64 {
    let others = nodes.iter().enumerate().filter(|(index, _)| *index != PUBLISHING);
    let farthest = others.map(|(_, node)| node.clock_error_microseconds).fold(0.0, f64::max);
    if farthest > 0.0 { nodes[PUBLISHING].clock_error_microseconds + farthest } else { 0.0 }
}

struct Gathered {
    done: Vec<Done>,
    intervals: Vec<Vec<Interval>>,
}

/// Hears the workers out: says when to start once all are connected, shows each interval that all have told.
fn gather(
    workers: Vec<Worker>,
    nodes: &[Node],
    clock: Clock,
    stop: &AtomicBool,
    progress: &mut Progress,
) -> Result<Gathered, String> {
    let (tell, told) = mpsc::channel();
    let mut streams = Vec::new();
    for (index, Worker { mut channel, .. }) in workers.into_iter().enumerate() {
        let tell = tell.clone();
        streams.push(channel.stream.try_clone().map_err(|error| error.to_string())?);
        thread::spawn(move || {
            loop {
                let line = channel.hear();
                let is_last = !matches!(line, Ok(Line::Connected | Line::Interval(_) | Line::Published(_)));
                if tell.send((index, line)).is_err() || is_last {
                    break;
                }
            }
        });
    }
    let count = streams.len();
    let mut gathered = Gathered { done: Vec::new(), intervals: vec![Vec::new(); count] };
    let mut done: Vec<Option<Done>> = std::iter::repeat_with(|| None).take(count).collect();
    let (mut connected, mut shown, mut sum) = (0, 0, Tally::default());
    let mut is_stopped = false;
    while done.iter().any(Option::is_none) {
        if stop.load(Relaxed) && !is_stopped {
            is_stopped = true;
            // Whoever has ended by itself hears it no more, and its result comes.
            streams.iter_mut().for_each(|stream| drop(super::say(stream, &Line::Stop)));
        }
        let (index, line) = match told.recv_timeout(Duration::from_millis(100)) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Err("no worker is left".into()),
        };
        let wrong = |why: &str| format!("worker {}: {why}", nodes[index].address);
        match line.map_err(|why| wrong(&format!("{why} in the midst of the run")))? {
            Line::Connected => {
                connected += 1;
                if connected == count {
                    let from = Line::Go(clock.now() + AHEAD);
                    for stream in &mut streams {
                        super::say(stream, &from).map_err(|why| wrong(&why))?;
                    }
                }
            }
            Line::Published(count) => {
                for (_, stream) in streams.iter_mut().enumerate().filter(|(other, _)| *other != index) {
                    super::say(stream, &Line::Published(count)).map_err(|why| wrong(&why))?;
                }
            }
            Line::Interval(interval) => {
                gathered.intervals[index].push(*interval);
                if gathered.intervals.iter().all(|intervals| intervals.len() > shown) {
                    let mut whole = gathered.intervals[0][shown].clone();
                    gathered.intervals[1..].iter().for_each(|others| whole.beside(&others[shown]));
                    sum.add(&whole.grown);
                    progress.show(&whole, &sum);
                    shown += 1;
                }
            }
            Line::Done(result) => done[index] = Some(*result),
            Line::Refused(why) => return Err(wrong(&why)),
            other => return Err(wrong(&format!("{other:?} was not expected"))),
        }
    }
    gathered.done = done.into_iter().flatten().collect();
    Ok(gathered)
}

/// The command line as the workers get it.
fn without_workers(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--workers" => drop(arguments.next()),
            argument if argument.starts_with("--workers=") => {}
            _ => kept.push(argument),
        }
    }
    kept
}
