//! SIGINT and SIGTERM: the first stops the server cleanly, the second at once.

use std::io;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use throng::Handle;

/// Catches both from here on. Called before the shards start.
pub(super) fn catch() -> io::Result<Signals> {
    Signals::new([SIGINT, SIGTERM])
}

/// Stops the server at the first one: WebSockets are closed with 1001 and have `grace` to answer. The second ends the
/// process as the signal would have, with 128 + its number.
pub(super) fn watch(mut signals: Signals, handle: Handle, grace: Duration) -> io::Result<()> {
    let told = move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(128 + signal);
            }
            let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
            super::say(&format!(
                "{name}: stopping; connections have {grace:?} to close, a second signal ends them now"
            ));
            handle.stop(grace);
        }
    };
    std::thread::Builder::new().name("throng-signals".to_owned()).spawn(told)?;
    Ok(())
}
