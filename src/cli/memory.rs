//! The program's memory: what a flood took and nobody uses any more is given back to the kernel, by a thread of its own, behind
//! what the shards let go of.
//!
//! Only the program does so: a library's allocator is its host's.

use std::time::Duration;
use std::{io, thread};

use throng::sys::trim;

/// How often, for each shard and for that thread. The shards give up what they do not need every 10 s.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// Gives back from here on, as long as the program runs.
pub(super) fn watch() -> io::Result<()> {
    let watch = || {
        loop {
            thread::sleep(EVERY);
            trim::give_back();
        }
    };
    thread::Builder::new().name("throng-memory".to_owned()).spawn(watch)?;
    Ok(())
}
