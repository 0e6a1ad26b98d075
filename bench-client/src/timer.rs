//! A timer that a loop's poll wakes for with microsecond precision: epoll itself only counts milliseconds.
//!
//! Without it an open-loop schedule could be kept only by spinning, on cores the server under test shares.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// A one-shot timer registered with a poll.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: OwnedFd,
}

impl Timer {
    /// Makes a timer whose expiry is an event with `token`.
    pub(crate) fn new(poll: &Poll, token: Token) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { fd })
    }

    /// Arms it to expire `nanoseconds` from now (at least one); a time set before is forgotten.
    ///
    /// Nothing is ever read from the fd: setting it clears the last expiry, and the next one is a new edge.
    pub(crate) fn arm(&self, nanoseconds: u64) -> io::Result<()> {
        let nanoseconds = nanoseconds.max(1) as i64;
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let after = Timespec { tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000 };
        let once = Itimerspec { it_interval: never, it_value: after };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
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
