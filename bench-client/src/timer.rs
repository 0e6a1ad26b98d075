//! A timer that a loop's poll wakes for with microsecond precision: epoll itself only counts milliseconds.
//!
//! Without it an open-loop schedule could be kept only by spinning, on cores the server under test shares.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use mio::{Poll, Token};

use crate::kernel;

/// A one-shot timer registered with a poll.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: OwnedFd,
}

impl Timer {
    /// Makes a timer whose expiry is an event with `token`.
    pub(crate) fn new(poll: &Poll, token: Token) -> io::Result<Self> {
        let fd = kernel::timer()?;
        kernel::watch(poll.registry().as_fd(), fd.as_fd(), token.0 as u64)?;
        Ok(Self { fd })
    }

    /// Arms it to expire `nanoseconds` from now (at least one); a time set before is forgotten.
    ///
    /// Nothing is ever read from the fd: setting it clears the last expiry, and the next one is a new edge.
    pub(crate) fn arm(&self, nanoseconds: u64) -> io::Result<()> {
        kernel::set_timer(self.fd.as_fd(), nanoseconds.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn every_arming_is_a_new_event_though_none_is_read() {
        let mut poll = mio::Poll::new().unwrap();
        let mut events = mio::Events::with_capacity(4);
        let timer = Timer::new(&poll, Token(9)).unwrap();
        for _ in 0..5 {
            let armed = Instant::now();
            timer.arm(300_000).unwrap();
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [Token(9)]);
            assert!(armed.elapsed() >= Duration::from_micros(300));
        }
    }
}
