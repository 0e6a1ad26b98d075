//! bench-client: opens very many WebSocket connections from one machine and tells how fast the server answered.
//!
//! `run` is a run from end to end on the main thread; `worker` is the loop each thread runs, `chores` what it does
//! beside its events. Everything else is one thing each: bytes on the wire (`handshake`, `payload`, `inbound`,
//! `output`, `socketio`; for sessions that poll `session`, `exchange`, `answer`; for what is her own `wording`, `openings`, `template`,
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
mod dialer;
mod disruption;
mod distribution;
mod exchange;
mod handshake;
mod help;
mod hlog;
mod html;
mod inbound;
mod inflight;
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
mod plan;
mod pointer;
mod polling;
mod preflight;
mod printed;
mod probe;
mod progress;
mod random;
mod report;
mod run;
mod sampler;
mod saturation;
mod scenarios;
mod schedule;
mod sending;
mod sequence;
mod series;
mod server;
mod session;
mod settings;
mod share;
mod shared;
mod socketio;
mod spoken;
mod stats;
mod summary;
mod table;
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

use run::{Refusal, Site};
use settings::Settings;
use task::Task;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const SERVER: u8 = 3;
const SATURATED: u8 = 4;

fn main() -> ExitCode {
    match run_all() {
        Ok(code) => code,
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

/// Runs and reports; the exit code says whether every check held, and whether the figures are worth anything.
fn run_all() -> Result<ExitCode, Refusal> {
    let cli = match Task::parse() {
        Task::Run(cli) => *cli,
        Task::Compare(flags) => {
            return compare::run(&flags).map(|()| ExitCode::SUCCESS).map_err(Refusal::Usage);
        }
    };
    let settings = Settings::new(cli).map_err(Refusal::Usage)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down and only raises it, the second one ends the process.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Refusal::Usage(format!("signals cannot be caught: {error}")))?;
    }
    let outputs = settings.common.outputs.clone();
    outputs.prepare().map_err(Refusal::Usage)?;
    let (report, mut stats) = run::run(settings, &mut Site::default(), &stop)?;
    print!("{report}");
    outputs.write(&report, &mut stats).map_err(Refusal::Usage)?;
    // What a saturated client counts as lost it may not have got round to reading.
    Ok(match (report.saturated.is_empty(), report.failures.is_empty()) {
        (false, _) => ExitCode::from(SATURATED),
        (true, false) => ExitCode::from(FAILED),
        (true, true) => ExitCode::SUCCESS,
    })
}
