//! bench-client: opens very many WebSocket connections from one machine and tells how fast the server answered.
//!
//! `run` is a run from end to end on the main thread; `worker` is the loop each thread runs, `chores` what it does
//! beside its events. Everything else is one thing each: bytes on the wire (`handshake`, `payload`, `inbound`,
//! `output`, `deflating`, `socketio`; for sessions that poll `session`, `exchange`, `answer`; for what is her own `wording`, `openings`, `script`, `template`,
//! `matching`; under all of it `wire` and `tls`), bookkeeping (`sequence`, `schedule`, `stats`), what the host is asked (`plan`, `preflight`),
//! what is told (`progress`, `report`, `printed`, `distribution`), judged (`objective`) and written
//! (`outputs`). Frames are throng's own, in the client's role.

mod answer;
mod argument;
mod asked;
mod backoff;
mod chores;
mod cli;
mod clock;
mod comeback;
mod compare;
mod conn;
mod connector;
mod curve;
mod decimal;
mod deflating;
mod dialer;
mod disruption;
mod distribution;
mod drift;
mod exchange;
mod handshake;
mod help;
mod hlog;
mod html;
mod inbound;
mod inflight;
mod jobs;
mod kind;
mod machine;
mod matching;
mod moments;
mod objective;
mod openings;
mod outbound;
mod output;
mod outputs;
mod pace;
mod packets;
mod payload;
mod phases;
mod plan;
mod pointer;
mod polling;
mod preflight;
mod printed;
mod probe;
mod progress;
mod random;
mod reach;
mod remote;
mod report;
mod rooms;
mod run;
mod sampler;
mod saturation;
mod scenarios;
mod schedule;
mod script;
mod scripted;
mod search;
mod sending;
mod sequence;
mod series;
mod server;
mod session;
mod settings;
mod share;
mod shared;
mod slow;
mod socketio;
mod spoken;
mod stats;
mod summary;
mod table;
mod talk;
mod target;
mod task;
mod template;
mod timer;
mod tls;
mod traffic;
mod trust;
mod units;
mod watch;
mod wire;
mod worded;
mod wording;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use jobs::{SERVER, USAGE};
use remote::part;
use run::{Refusal, Site};
use task::Task;

fn main() -> ExitCode {
    match run_all() {
        Ok(code) => ExitCode::from(code),
        Err(refusal) => {
            let (code, line) = match refusal {
                Refusal::Usage(line) => (USAGE, line),
                Refusal::Server(line) => (SERVER, line),
            };
            eprintln!("bench-client: {line}");
            ExitCode::from(code)
        }
    }
}

/// Does what was asked for; the exit code says how it went.
fn run_all() -> Result<u8, Refusal> {
    match Task::parse() {
        Task::Run(cli) => jobs::carry_out(*cli, &mut Site::default(), &told_to_stop()?),
        Task::Phases(flags) => phases::run(&flags, &told_to_stop()?),
        Task::Compare(flags) => compare::run(&flags).map(|()| 0).map_err(Refusal::Usage),
        // A signal ends it as any process: it reports nothing, and whose part it did says that it went away.
        Task::Work(flags) => part::serve(&flags).map(|()| 0).map_err(Refusal::Usage),
    }
}

/// What a run ends by, with its report: raised by the first signal. The second one ends the process.
fn told_to_stop() -> Result<Arc<AtomicBool>, Refusal> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down and only raises it, the second one ends the process.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Refusal::Usage(format!("signals cannot be caught: {error}")))?;
    }
    Ok(stop)
}
