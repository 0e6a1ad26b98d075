//! `bench-client worker`: waits for a coordinator, carries out its part of a run, and waits for the next one.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, mpsc};
use std::thread;

use clap::{Args, FromArgMatches};

use super::{Channel, Done, Line, VERSION, check, cut, say};
use crate::cli::{self, Cli};
use crate::clock::Clock;
use crate::run::{self, Refusal, Site};
use crate::series::Interval;
use crate::settings::Settings;
use crate::shared::{NEVER, Shared};

/// Waits for a run that another bench-client spreads over several machines (--workers), and does its part
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// Where to wait for a coordinator. Whoever reaches it can have this machine open connections: keep it off networks that
    /// others are on. Port 0 is any that is free; which one is said
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9911")]
    listen: SocketAddr,
}

/// What joins a part of a run to the whole.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The common clock.
    pub(crate) clock: Clock,
    /// When sending starts; [`NEVER`] until it is known.
    pub(crate) go: Arc<AtomicU64>,
    coordinator: TcpStream,
    /// How much was published, once that is known; [`NEVER`] before.
    published: Arc<AtomicU64>,
    has_told: bool,
    /// Where intervals go.
    pub(crate) intervals: mpsc::Sender<Interval>,
}

impl Gate {
    /// Tells that all connections are open or given up.
    pub(crate) fn connected(&mut self) {
        // A coordinator that is gone ends the run by that.
        drop(say(&mut self.coordinator, &Line::Connected));
    }

    /// Tells how much was published once that is all, where it was here; else takes note of it.
    pub(crate) fn share_published(&mut self, shared: &Shared) {
        if shared.settings.part.publishes {
            if !self.has_told && shared.is_all_published.load(Acquire) {
                self.has_told = true;
                drop(say(&mut self.coordinator, &Line::Published(shared.published.load(Relaxed))));
            }
        } else if self.published.load(Relaxed) != NEVER {
            shared.published.store(self.published.load(Relaxed), Relaxed);
            shared.is_all_published.store(true, Release);
        }
    }
}

/// Works for one coordinator after the other, until the process is ended.
///
/// # Errors
/// That it cannot listen, and why.
pub(crate) fn serve(flags: &Flags) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("cannot listen on {}: {error}", flags.listen);
    let listener = TcpListener::bind(flags.listen).map_err(wrong)?;
    println!("bench-client worker on {}", listener.local_addr().map_err(wrong)?);
    for stream in listener.incoming() {
        let served = stream.map_err(|error| error.to_string()).and_then(work);
        if let Err(why) = served {
            eprintln!("bench-client worker: {why}");
        }
    }
    Ok(())
}

fn work(stream: TcpStream) -> Result<(), String> {
    let mut channel = Channel::new(stream).map_err(|error| error.to_string())?;
    let settings = match planned(channel.hear()?) {
        Ok(settings) => settings,
        Err(why) => {
            channel.say(&Line::Refused(why.clone()))?;
            return Err(why);
        }
    };
    let clock = Clock::start();
    channel.say(&Line::Ready(clock.origin()))?;
    let clock = loop {
        match channel.hear()? {
            Line::Ping => channel.say(&Line::Pong(clock.now()))?,
            Line::Begin { ahead } => break clock.set_back(ahead),
            other => return Err(format!("{other:?} was not expected")),
        }
    };
    let clone = || channel.stream.try_clone().map_err(|error| error.to_string());
    let (mut telling, coordinator) = (clone()?, clone()?);
    let (intervals, told) = mpsc::channel::<Interval>();
    let (go, stop) = (Arc::new(AtomicU64::new(NEVER)), Arc::new(AtomicBool::new(false)));
    let published = Arc::new(AtomicU64::new(NEVER));
    let (say_when, say_stop, say_how_much) = (Arc::clone(&go), Arc::clone(&stop), Arc::clone(&published));
    let mut hearing = Channel { reader: channel.reader, stream: clone()? };
    let listening = thread::spawn(move || {
        loop {
            match hearing.hear() {
                Ok(Line::Go(from)) => say_when.store(from, Relaxed),
                Ok(Line::Published(count)) => say_how_much.store(count, Relaxed),
                Ok(Line::Stop) => say_stop.store(true, Relaxed),
                _ => break,
            }
        }
        // Nobody waits for the result any more, or it was sent.
        say_stop.store(true, Relaxed);
    });
    let telling_thread = thread::spawn(move || {
        for interval in told {
            if say(&mut telling, &Line::Interval(Box::new(interval))).is_err() {
                break;
            }
        }
    });
    let mut site = Site::part(Gate { clock, go, coordinator, published, has_told: false, intervals });
    let done = run::measured(settings, &mut site, &stop);
    // The last interval has to be there before the rest is.
    drop(site);
    let line = match done {
        Ok(run) => {
            let (threads, window) = (run.shared.live.len(), run.shared.window());
            drop(run.shared);
            telling_thread.join().map_err(|_| "the thread that tells intervals panicked".to_owned())?;
            Line::Done(Box::new(Done::of(run.measured, threads, window, run.warnings, stop.load(Relaxed))))
        }
        Err(Refusal::Usage(why) | Refusal::Server(why)) => Line::Refused(why),
    };
    let said = say(&mut channel.stream, &line);
    drop(channel.stream.shutdown(std::net::Shutdown::Both));
    listening.join().map_err(|_| "the thread that listens panicked".to_owned())?;
    said
}

/// The part that a plan asks for.
fn planned(line: Line) -> Result<Settings, String> {
    let Line::Plan { version, arguments, index, of } = line else {
        return Err("a plan was expected".into());
    };
    if version != VERSION {
        return Err(format!("the coordinator is of another version: {version}, and this is {VERSION}"));
    }
    let cli = cli::command().try_get_matches_from(arguments);
    let cli = cli.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| error.to_string())?;
    let mut settings = Settings::new(cli)?;
    check(&settings, of)?;
    cut(&mut settings, index, of);
    Ok(settings)
}
