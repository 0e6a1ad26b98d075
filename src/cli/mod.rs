//! The binary: flags, environment and file become a [`Config`](throng::Config), that becomes a server, and signals end it.
//!
//! ```text
//!   flags ┐
//!   env   ├─ sources ─► Options ─ prepare ─► Builder ─► Server { routes } ─► startup's lines
//!   file  ┘                                               ▲
//!                                          SIGINT, SIGTERM ┘ signals
//! ```
//!
//! Owns what a person at a terminal sees. Whatever goes wrong is one line on stderr that begins with `throng: `.

mod chat;
mod failure;
mod file;
mod flags;
mod memory;
mod names;
mod nearest;
mod prepare;
mod routes;
mod settings;
mod signals;
mod sources;
mod startup;
mod value;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use throng::{Builder, Server, Tls};

use failure::Failure;
use flags::{Command, Flags};
use prepare::Prepared;
use routes::Routes;
use settings::Own;
use sources::Settled;

/// What the program does from its first line to its exit code: 0, 1 where it failed, 2 where it was told something wrong, 3 where it
/// had to cut connections when it stopped.
pub(crate) fn run() -> ExitCode {
    let done = Flags::read(std::env::args_os()).and_then(|flags| match flags.command {
        Command::Show(text) => {
            show(&text);
            Ok(())
        }
        Command::CheckConfig => check_config(&flags).map_err(Failure::wrong_in_any_case),
        Command::Serve => serve(&flags),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("throng: {}", failure.line));
            ExitCode::from(failure.code)
        }
    }
}

fn check_config(flags: &Flags) -> Result<(), Failure> {
    let settled = sources::settle(flags, &sources::environment())?;
    let (prepared, builder) = build(&settled)?;
    let plan = builder.plan().map_err(|error| settled.name_source(error))?;
    for note in &settled.notes {
        say(&format!("note  {note}"));
    }
    show(&settled.as_file());
    show(&startup::planned(&prepared, plan.shards, plan.max_connections, plan.per_shard));
    Ok(())
}

fn serve(flags: &Flags) -> Result<(), Failure> {
    let settled = sources::settle(flags, &sources::environment())?;
    start_log()?;
    // Before the shards start: with fd tables of their own they must find the signals' pipe in theirs. And before the
    // fds are counted that are left for connections.
    let has_certificates = !settled.options.own.bind_tls.is_empty();
    let signals = signals::catch(has_certificates).map_err(|error| Failure::host("catch signals", error))?;
    let (prepared, builder) = build(&settled)?;
    let server = builder
        .socket_io(chat::describe)
        .health()
        .serve(|_shard| Routes::default())
        .map_err(|error| settled.name_source(error))?;
    for line in startup::lines(&settled, &prepared, &server) {
        say(&line);
    }
    signals::watch(signals, server.handle(), &prepared.config, has_certificates)
        .map_err(|error| Failure::host("watch for signals", error))?;
    memory::watch().map_err(|error| Failure::host("start a thread", error))?;
    wait(server)
}

/// Waits for the end, and says what was done until then.
fn wait(server: Server) -> Result<(), Failure> {
    let (handle, since) = (server.handle(), Instant::now());
    let ended = server.wait();
    say(&startup::totals(&handle.metrics(), since.elapsed()));
    match ended.map_err(Failure::from)? {
        cut if cut.total() == 0 => Ok(()),
        cut => Err(Failure::cut(cut)),
    }
}

fn build(settled: &Settled) -> Result<(Prepared, Builder), Failure> {
    let (config, own) = (&settled.options.config, &settled.options.own);
    let mut builder = Server::builder().configure_io(|io| {
        io.client_dir.clone_from(&own.io_client_dir);
        io.sessions_max = own.io_sessions_max;
        io.sessions_per_ip_max = own.io_sessions_per_ip_max;
        io.connect_timeout = own.io_connect_timeout;
        // The chat promises its clients no more than the server takes.
        io.max_payload = io.max_payload.min(config.body_bytes_max).min(config.message_bytes_max).max(1);
    });
    if own.bind.is_empty() && own.bind_tls.is_empty() {
        let right = "where to listen, such as localhost:3000, or bind_tls must";
        return Err(Failure::wrong(format!("bind is empty; it must be {right}")));
    }
    for name in &own.bind {
        builder = builder.bind(name).map_err(|error| settled.name_source(error))?;
    }
    if let Some(tls) = tls(own)? {
        for name in &own.bind_tls {
            builder = builder.bind_tls(name, &tls).map_err(|error| settled.name_source(error))?;
        }
    }
    prepare::prepare(&settled.options, builder).map_err(|error| settled.name_source(error))
}

/// The certificates to serve TLS with, if any address is to speak it.
fn tls(own: &Own) -> Result<Option<Tls>, Failure> {
    let wrong = |line: &str| Err(Failure::wrong(line.to_owned()));
    match (own.bind_tls.is_empty(), own.tls_cert.len(), own.tls_key.len()) {
        (true, 0, 0) => return Ok(None),
        (true, ..) => {
            return wrong("tls_cert and tls_key are for bind_tls; it must be the address to serve TLS on");
        }
        (false, 0, _) => return wrong("bind_tls needs a tls_cert, and its tls_key"),
        (false, certs, keys) if certs != keys => {
            return Err(Failure::wrong(format!(
                "tls_key is {keys} of them; it must be as many as tls_cert, {certs}"
            )));
        }
        _ => {}
    }
    let mut tls = None;
    for (cert, key) in own.tls_cert.iter().zip(&own.tls_key) {
        let more = match tls {
            None => Tls::from_files(cert, key),
            Some(tls) => Tls::and_files(tls, cert, key),
        };
        tls = Some(more.map_err(Failure::from)?);
    }
    Ok(tls)
}

/// What `THRONG_LOG` lets through goes to stderr: warnings and worse by default.
fn start_log() -> Result<(), Failure> {
    let text = std::env::var("THRONG_LOG").unwrap_or_default();
    let filter = tracing_subscriber::EnvFilter::builder().parse(if text.is_empty() { "warn" } else { &text });
    let right = "a level, such as warn or debug, or levels by module, such as warn,throng::server=info";
    let filter = filter.map_err(|_| Failure::wrong(format!("THRONG_LOG is {text}; it must be {right}")))?;
    // Colours are for people, and a file is none.
    let is_terminal = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(io::stderr).init();
    Ok(())
}

/// A line for the person at the terminal. One that nobody reads is no reason to end.
fn say(line: &str) {
    let _unread = writeln!(io::stderr(), "{line}");
}

/// What was asked for goes to stdout.
fn show(text: &str) {
    let _unread = write!(io::stdout(), "{text}");
}
