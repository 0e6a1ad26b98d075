//! SIGINT and SIGTERM: the first drains the server, the second ends it at once. SIGHUP: certificates are read again.

use std::io::{self, IsTerminal};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use throng::{Config, Handle};

/// Catches those that end it from here on, and SIGHUP: a service is told so to read again what it can. Only at a terminal, and with
/// no certificates, that ends the program with its terminal, as ever. Called before the shards start.
pub(super) fn catch(has_certificates: bool) -> io::Result<Signals> {
    let signals = Signals::new([SIGINT, SIGTERM])?;
    if has_certificates || !io::stderr().is_terminal() {
        signals.handle().add_signal(SIGHUP)?;
    }
    Ok(signals)
}

/// Drains the server at the first one, as the settings have it. The second ends the process as the signal would have, with
/// 128 + its number.
pub(super) fn watch(
    mut signals: Signals,
    handle: Handle,
    settings: &Config,
    has_certificates: bool,
) -> io::Result<()> {
    let (delay, grace) = (settings.drain_delay, settings.grace());
    let told = move || {
        let mut stops = 0;
        for signal in signals.forever() {
            if signal == SIGHUP {
                if has_certificates {
                    reload(&handle);
                } else {
                    super::say("SIGHUP: there are no certificates to read again");
                }
                continue;
            }
            stops += 1;
            if stops > 1 {
                std::process::exit(128 + signal);
            }
            let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
            let serving = if delay.is_zero() { String::new() } else { format!("; serving {delay:?} longer") };
            super::say(&format!(
                "{name}: stopping{serving}; connections have {grace:?} in all, a second signal ends them now"
            ));
            handle.drain();
        }
    };
    thread::Builder::new().name("throng-signals".to_owned()).spawn(told)?;
    Ok(())
}

/// A file that cannot be used is said, and nothing else changes. On a thread of its own, since a file system that hangs must not keep
/// the next signal waiting.
fn reload(handle: &Handle) {
    let handle = handle.clone();
    let read = move || match handle.reload_tls() {
        Ok(()) => super::say("SIGHUP: new TLS connections get the certificates that the files hold now"),
        Err(error) => super::say(&format!("SIGHUP: the certificates stay as they were: {error}")),
    };
    if let Err(error) = thread::Builder::new().name("throng-reload".to_owned()).spawn(read) {
        super::say(&format!(
            "SIGHUP: the certificates stay as they were: no thread could be started: {error}"
        ));
    }
}
