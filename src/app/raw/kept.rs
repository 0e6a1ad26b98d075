//! What is kept of a connection for a handler: its data, and the timers that end with it.
//!
//! The core has 16 bytes for it in the connection's cache line. Data of up to 8 bytes lies there by itself; most
//! connections have no timers of their own, and one that has shares a box with its data. Never looks at either.

#[cfg(feature = "socketio")]
use crate::app::io::Handshake;
use crate::core::timers::TimerId;

/// What is kept of a connection.
#[derive(Debug, Default)]
pub(crate) enum Kept<D> {
    /// Nothing: it is at the door, or was never admitted.
    #[default]
    Nothing,
    /// The handler's data.
    Data(D),
    /// The handler's data, and timers.
    Timed(Box<Timed<D>>),
    /// It is a WebSocket of Socket.IO's: of the session in this slot.
    #[cfg(feature = "socketio")]
    Session(u32),
    /// It is about to be one.
    #[cfg(feature = "socketio")]
    Opening(u32, Option<Box<Handshake>>),
}

#[derive(Debug)]
pub(crate) struct Timed<D> {
    data: D,
    timers: Vec<TimerId>,
}

/// With data of 8 bytes and less, a connection is one cache line.
const _: () =
    assert!(size_of::<Kept<u64>>() == 16 && size_of::<Kept<Box<u8>>>() <= 16 && size_of::<Kept<()>>() <= 16);

impl<D> Kept<D> {
    /// The handler's data, once it has admitted the connection.
    #[inline]
    pub(super) fn data(&mut self) -> Option<&mut D> {
        match self {
            Self::Data(data) => Some(data),
            Self::Timed(timed) => Some(&mut timed.data),
            _ => None,
        }
    }

    pub(super) const fn has_data(&self) -> bool {
        matches!(self, Self::Data(_) | Self::Timed(_))
    }

    /// Takes note of a timer. Where the list would grow, those that `is_set` no longer knows make room, so a connection
    /// may set one with every message.
    pub(super) fn add_timer(&mut self, timer: TimerId, is_set: impl Fn(TimerId) -> bool) {
        let mut timed = match std::mem::take(self) {
            Self::Data(data) => Box::new(Timed { data, timers: Vec::new() }),
            Self::Timed(timed) => timed,
            other => return *self = other,
        };
        if timed.timers.len() == timed.timers.capacity() {
            timed.timers.retain(|&timer| is_set(timer));
        }
        timed.timers.push(timer);
        *self = Self::Timed(timed);
    }

    /// The timers that have not all rung, which are to be cancelled.
    pub(super) fn take_timers(&mut self) -> Vec<TimerId> {
        match self {
            Self::Timed(timed) => std::mem::take(&mut timed.timers),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::timers::Timers;

    #[test]
    fn timers_come_beside_the_data_and_those_that_rang_make_room() {
        let (mut kept, mut timers) = (Kept::default(), Timers::default());
        assert!(kept.data().is_none() && !kept.has_data());
        kept.add_timer(timers.set(1, 0, ()), |_| true);
        assert!(kept.take_timers().is_empty(), "what is not admitted has no timers");
        kept = Kept::Data("data".to_owned());
        for n in 0..1000 {
            kept.add_timer(timers.set(n, 0, ()), |timer| timers.is_set(timer));
            if n % 100 > 3 {
                timers.next_due(n);
            }
        }
        assert_eq!(kept.data().map(|data| data.as_str()), Some("data"));
        let left = kept.take_timers();
        assert!(left.len() < 100, "{}", left.len());
        assert_eq!(left.iter().filter(|&&timer| timers.is_set(timer)).count(), timers.len());
        assert!(kept.has_data() && kept.take_timers().is_empty());
    }
}
