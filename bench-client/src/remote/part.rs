//! `bench-client worker`: waits for a coordinator, carries out its part of a run, and waits for the next one.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;

use clap::{Args, FromArgMatches};

use super::{Channel, Done, Line, VERSION, check, cut, say};
use crate::cli::{self, Cli};
use crate::clock::Clock;
use crate::run::{self, Refusal, Site};
use crate::series::Interval;
use crate::settings::Settings;
use crate::shared::NEVER;

/// Flags of a worker.
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
    connected: TcpStream,
    /// Where intervals go.
    pub(crate) intervals: mpsc::Sender<Interval>,
}

impl Gate {
    /// Tells that all connections are open or given up.
    pub(crate) fn connected(&mut self) {
        // A coordinator that is gone ends the run by that.
        drop(say(&mut self.connected, &Line::Connected));
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
    channel.say(&Line::Ready)?;
    let clock = Clock::start();
    let clock = loop {
        match channel.hear()? {
            Line::Ping => channel.say(&Line::Pong(clock.now()))?,
            Line::Begin { ahead } => break clock.set_back(ahead),
            other => return Err(format!("{other:?} was not expected")),
        }
    };
    let clone = || channel.stream.try_clone().map_err(|error| error.to_string());
    let (mut telling, connected) = (clone()?, clone()?);
    let (intervals, told) = mpsc::channel::<Interval>();
    let (go, stop) = (Arc::new(AtomicU64::new(NEVER)), Arc::new(AtomicBool::new(false)));
    let (say_when, say_stop) = (Arc::clone(&go), Arc::clone(&stop));
    let mut hearing = Channel { reader: channel.reader, stream: clone()? };
    let listening = thread::spawn(move || {
        while let Ok(Line::Go(from)) = hearing.hear() {
            say_when.store(from, Relaxed);
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
    let mut site = Site::part(Gate { clock, go, connected, intervals });
    let done = run::measured(settings, &mut site, &stop);
    // The last interval has to be there before the rest is.
    drop(site);
    let line = match done {
        Ok(run) => {
            let threads = run.shared.live.len();
            drop(run.shared);
            telling_thread.join().map_err(|_| "the thread that tells intervals panicked".to_owned())?;
            Line::Done(Box::new(Done::of(run.measured, threads, run.warnings, stop.load(Relaxed))))
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
