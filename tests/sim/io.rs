//! The simulated network as a shard sees it: an `Io`.
//!
//! Poll cannot block, since all shards live on one thread. Where it would, it fails with [`ASLEEP`]: the turn ends there,
//! the shard's bell says that it sleeps, and the world calls `turn` again when an event, a wake or the time is there.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use throng::core::io::{Event, Got, Io, Parcel};

use super::faults::Fault;
use super::net::{End, Net, Shared, Socket};

/// How poll says that the shard sleeps.
pub const ASLEEP: ErrorKind = ErrorKind::TimedOut;

const EMFILE: i32 = 24;
const EPIPE: i32 = 32;
const ENOSPC: i32 = 28;
const ECONNABORTED: i32 = 103;
const ECONNRESET: i32 = 104;

pub struct SimIo {
    pub net: Shared<Net>,
    pub shard: usize,
    /// The fd table this shard's sockets are in.
    pub table: usize,
    /// The listeners by their number here.
    pub listeners: Vec<usize>,
}

/// A connection, held by one shard or one parcel.
pub struct Stream(pub usize);

/// A stream under way.
pub struct Packed(pub usize);

fn refused(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// What a read comes to that finds nothing: to wait, the reset of the connection, once, or its end.
fn nothing_more(one: &mut Socket) -> io::Result<()> {
    let is_news = one.client == End::Reset && one.tell_reset();
    match one.client {
        End::Open => Err(ErrorKind::WouldBlock.into()),
        _ if is_news => Err(refused(ECONNRESET)),
        _ => Ok(()),
    }
}

impl SimIo {
    fn let_go(net: &mut Net, socket: usize) {
        net.unwatch(socket);
        if let Some(table) = net.sockets[socket].table.take() {
            net.fds[table] -= 1;
        }
    }

    fn close_socket(net: &mut Net, socket: usize) {
        Self::let_go(net, socket);
        let cut = net.random.chance(500);
        let one = &mut net.sockets[socket];
        if one.to_server.is_empty() {
            one.server = End::Closed;
        } else {
            // Closing with something unread resets the connection, and what was not taken yet is lost.
            one.server = End::Reset;
            if cut {
                one.to_client.clear();
            }
        }
    }

    fn hold(net: &mut Net, socket: usize, table: usize) {
        net.sockets[socket].table = Some(table);
        net.fds[table] += 1;
    }
}

impl Io for SimIo {
    type Stream = Stream;

    fn now(&mut self) -> u64 {
        let net = &mut *self.net.borrow_mut();
        net.now_us += net.random.below(4) as u64;
        if net.strikes(Fault::SlowTurn) {
            net.now_us += net.random.below(3000) as u64;
        }
        net.now_us
    }

    fn poll(&mut self, timeout_ms: Option<u64>, events: &mut Vec<Event>) -> io::Result<()> {
        let net = &mut *self.net.borrow_mut();
        net.report(self.shard, &self.listeners, events);
        let now_us = net.now_us;
        let poll = &mut net.polls[self.shard];
        let must_wait = events.is_empty() && !poll.is_woken && timeout_ms != Some(0);
        if must_wait && poll.asleep_until.is_none_or(|until| now_us < until) {
            if poll.asleep_until.is_none() {
                let until = timeout_ms.map(|ms| now_us.saturating_add(ms.saturating_mul(1000)));
                poll.asleep_until = Some(until.unwrap_or(u64::MAX));
            }
            return Err(ASLEEP.into());
        }
        poll.asleep_until = None;
        poll.is_woken = false;
        if events.is_empty() && net.strikes(Fault::PollInterrupted) {
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(Stream, SocketAddr)> {
        let net = &mut *self.net.borrow_mut();
        let listener = self.listeners[listener];
        // The kernel takes the fd first: without one it says so even where nobody waits.
        if net.fds[self.table] >= net.fds_max {
            net.faults.count(Fault::FdTableFull, 1);
            return Err(refused(EMFILE));
        }
        let Some(socket) = net.backlogs[listener].queue.pop_front() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        if net.strikes(Fault::AcceptAborted) {
            net.sockets[socket].server = End::Reset;
            return Err(refused(ECONNABORTED));
        }
        if net.strikes(Fault::SlowTurn) {
            // It has come only now, in the midst of a turn.
            net.now_us += net.random.below(3000) as u64;
            let now_us = net.now_us;
            let one = &mut net.sockets[socket];
            (one.began_us, one.read_at_us) = (now_us, now_us);
        }
        Self::hold(net, socket, self.table);
        let uid = net.sockets[socket].uid as u16;
        // Some of them are neighbours.
        let address = if uid.is_multiple_of(3) {
            ([0x2001, 0xdb8, 0, uid % 4, 0, 0, 0, 1 + uid % 2], uid).into()
        } else {
            ([127, 0, 0, 1 + (uid % 8) as u8], uid).into()
        };
        Ok((Stream(socket), address))
    }

    fn shed(&mut self, listener: usize, _answer: &[u8]) -> bool {
        let net = &mut *self.net.borrow_mut();
        let Some(socket) = net.backlogs[self.listeners[listener]].queue.pop_front() else { return false };
        Self::close_socket(net, socket);
        true
    }

    fn listen(&mut self, listener: usize, on: bool) -> io::Result<()> {
        let net = &mut *self.net.borrow_mut();
        let number = listener as u64;
        let listener = self.listeners[listener];
        if on && net.strikes(Fault::ListenRefused) {
            return Err(refused(ENOSPC));
        }
        if net.backlogs[listener].watched_by[self.shard] == on {
            // EEXIST, ENOENT: the shard has lost count.
            return Err(refused(if on { 17 } else { 2 }));
        }
        let is_covered = on && listener != self.shard;
        net.faults.count(Fault::ListenerCovered, u64::from(is_covered));
        if on {
            net.backlogs[listener].watched_by[self.shard] = true;
            net.listener_edge(self.shard, listener, number);
        } else {
            net.forget_listener(self.shard, listener);
        }
        Ok(())
    }

    fn register(&mut self, stream: &mut Stream, token: u64) -> io::Result<()> {
        let net = &mut *self.net.borrow_mut();
        if net.strikes(Fault::RegisterRefused) {
            net.sockets[stream.0].moves = 0;
            return Err(refused(ENOSPC));
        }
        if net.sockets[stream.0].watch.replace((self.shard, token)).is_some() {
            net.violation(format!("socket {} was registered twice", stream.0));
        }
        net.edge(stream.0);
        Ok(())
    }

    fn peek(&mut self, stream: &Stream, into: &mut [u8]) -> io::Result<usize> {
        let net = &mut *self.net.borrow_mut();
        if net.strikes(Fault::InterruptedRead) {
            return Err(ErrorKind::Interrupted.into());
        }
        let one = &mut net.sockets[stream.0];
        let mut most = one.to_server.len().min(into.len());
        if most == 0 {
            return nothing_more(one).map(|()| 0);
        }
        if most > 1 && net.strikes(Fault::ShortRead) {
            most = net.random.within(1, most - 1);
            net.edge(stream.0);
        }
        into.iter_mut().zip(&net.sockets[stream.0].to_server).take(most).for_each(|(to, from)| *to = *from);
        Ok(most)
    }

    fn skip(&mut self, stream: &Stream, bytes: &mut [u8]) -> io::Result<()> {
        let one = &mut self.net.borrow_mut().sockets[stream.0];
        let n = bytes.len();
        bytes.iter_mut().zip(one.to_server.drain(..n)).for_each(|(to, from)| *to = from);
        Ok(())
    }

    fn read(&mut self, stream: &Stream, into: &mut [IoSliceMut<'_>]) -> io::Result<Got> {
        let net = &mut *self.net.borrow_mut();
        if net.strikes(Fault::InterruptedRead) {
            return Err(ErrorKind::Interrupted.into());
        }
        let one = &net.sockets[stream.0];
        let offered = into.iter().map(|slice| slice.len()).sum();
        let mut most = one.to_server.len().min(offered);
        if most > 0 && net.strikes(Fault::LateRead) {
            net.edge(stream.0);
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut is_drained = most < offered;
        if most > 0 && net.strikes(Fault::UnfinishedRead) {
            // As of records that are decrypted: there is more, and no event will say so.
            (most, is_drained) = (net.random.within(1, most), false);
        } else if most > 1 && net.strikes(Fault::ShortRead) {
            (most, is_drained) = (net.random.within(1, most - 1), true);
            net.edge(stream.0);
        }
        let now_us = net.now_us;
        let one = &mut net.sockets[stream.0];
        if most == 0 {
            return nothing_more(one).map(|()| Got { bytes: 0, is_drained: true });
        }
        let mut bytes = one.to_server.drain(..most);
        for slice in into.iter_mut() {
            slice.iter_mut().zip(bytes.by_ref()).for_each(|(to, from)| *to = from);
        }
        drop(bytes);
        one.silence_us = one.silence_us.max(now_us - one.read_at_us);
        one.read_at_us = now_us;
        Ok(Got { bytes: most, is_drained })
    }

    fn write(&mut self, stream: &Stream, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let net = &mut *self.net.borrow_mut();
        let offered: usize = from.iter().map(|slice| slice.len()).sum();
        if net.sockets[stream.0].server != End::Open {
            net.violation(format!("socket {} was written to behind its FIN", stream.0));
        }
        if offered == 0 {
            net.violation(format!("socket {} was written nothing to", stream.0));
        }
        match net.sockets[stream.0].client {
            End::Reset => {
                let is_news = net.sockets[stream.0].tell_reset();
                return Err(refused(if is_news { ECONNRESET } else { EPIPE }));
            }
            End::Closed => {
                // Nobody is there: the answer to this is a reset.
                net.sockets[stream.0].client = End::Reset;
                net.edge(stream.0);
                return Ok(offered);
            }
            End::Open | End::Finished => {}
        }
        let one = &net.sockets[stream.0];
        let mut most =
            if one.is_stuck { 0 } else { offered.min(one.to_client_max.saturating_sub(one.to_client.len())) };
        if most > 0 && net.strikes(Fault::RefusedWrite) {
            most = 0;
            net.sockets[stream.0].is_stuck = true;
        } else if most > 1 && net.strikes(Fault::ShortWrite) {
            most = net.random.within(1, most - 1);
            net.sockets[stream.0].is_stuck = true;
        }
        let one = &mut net.sockets[stream.0];
        one.wants_room |= most < offered;
        if most == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut left = most;
        for slice in from {
            let n = left.min(slice.len());
            one.to_client.extend(&slice[..n]);
            left -= n;
        }
        Ok(most)
    }

    fn finish(&mut self, stream: &Stream) {
        let one = &mut self.net.borrow_mut().sockets[stream.0];
        if one.server == End::Open {
            one.server = End::Finished;
        }
    }

    fn close(&mut self, stream: Stream) {
        Self::close_socket(&mut self.net.borrow_mut(), stream.0);
    }

    fn wake(&mut self, shard: usize) {
        self.net.borrow_mut().polls[shard].is_woken = true;
    }

    fn pack(&mut self, stream: Stream, shard: usize) -> io::Result<Parcel> {
        let net = &mut *self.net.borrow_mut();
        if net.strikes(Fault::PackRefused) {
            Self::close_socket(net, stream.0);
            return Err(refused(ENOSPC));
        }
        if net.fds.len() > 1 && shard != self.shard {
            Self::let_go(net, stream.0);
        } else {
            net.unwatch(stream.0);
        }
        Ok(Box::new(Packed(stream.0)))
    }

    fn unpack(&mut self, parcel: Parcel) -> io::Result<Stream> {
        let net = &mut *self.net.borrow_mut();
        let Ok(packed) = parcel.downcast::<Packed>() else { return Err(ErrorKind::InvalidInput.into()) };
        let socket = packed.0;
        let is_new = net.sockets[socket].table.is_none();
        if net.strikes(Fault::UnpackRefused) || (is_new && net.fds[self.table] >= net.fds_max) {
            Self::close_socket(net, socket);
            return Err(refused(EMFILE));
        }
        if is_new {
            Self::hold(net, socket, self.table);
        }
        net.sockets[socket].moves += 1;
        Ok(Stream(socket))
    }

    fn deafen_listeners(&mut self) {
        let net = &mut *self.net.borrow_mut();
        for &listener in &self.listeners {
            net.backlogs[listener].is_closed = true;
        }
    }

    fn close_listeners(&mut self) {
        let net = &mut *self.net.borrow_mut();
        for &listener in &self.listeners {
            net.forget_listener(self.shard, listener);
            // The last copy of a listener closes it: whoever waits there is reset.
            let is_own = listener == self.shard;
            if is_own {
                net.backlogs[listener].is_closed = true;
                let waiting: Vec<_> = net.backlogs[listener].queue.drain(..).collect();
                waiting.into_iter().for_each(|socket| net.sockets[socket].server = End::Reset);
            }
        }
    }
}
