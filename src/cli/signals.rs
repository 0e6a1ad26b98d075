//! SIGINT and SIGTERM: the first drains the server, the second ends it at once.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use throng::{Config, Handle};

/// Catches both from here on. Called before the shards start.
pub(super) fn catch() -> io::Result<Signals> {
    Signals::new([SIGINT, SIGTERM])
}

/// Drains the server at the first one, as the settings have it. The second ends the process as the signal would have, with
/// 128 + its number.
pub(super) fn watch(mut signals: Signals, handle: Handle, settings: &Config) -> io::Result<()> {
    let (delay, grace) = (settings.drain_delay, settings.grace());
    let told = move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
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
    std::thread::Builder::new().name("throng-signals".to_owned()).spawn(told)?;
    Ok(())
}
