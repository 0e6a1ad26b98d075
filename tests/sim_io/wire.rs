//! One end of a TCP connection: bytes that are to go, and bytes that have come.

use super::net::{End, Net};
use super::random::Random;

/// How a client sends and reads: how many bytes at once, and how often, in permille.
#[derive(Clone, Copy)]
pub struct Pace {
    pub send_most: usize,
    pub read_most: usize,
    pub rate: usize,
}

/// Everything it can, at once.
pub const AT_ONCE: Pace = Pace { send_most: usize::MAX, read_most: usize::MAX, rate: 1000 };

pub struct Wire {
    pub socket: usize,
    pub listener: usize,
    pub out: Vec<u8>,
    pub heard: Vec<u8>,
    /// The server has ended it.
    pub is_over: bool,
    /// Something was sent to nobody.
    is_cut: bool,
}

impl Wire {
    pub fn connect(net: &mut Net, random: &mut Random, uid: u32, listener: usize) -> Self {
        let to_server_max = random.pick(&[60, 500, 60_000, 60_000]);
        let to_client_max = random.pick(&[60, 500, 60_000, 60_000]);
        let socket = net.socket(uid, to_server_max, to_client_max);
        net.connect(socket, listener);
        Self { socket, listener, out: Vec::new(), heard: Vec::new(), is_over: false, is_cut: false }
    }

    /// Sends and reads. True if anything came of it.
    pub fn work(&mut self, net: &mut Net, pace: Pace, random: &mut Random) -> bool {
        let mut has_done = false;
        if !self.out.is_empty() && net.sockets[self.socket].client == End::Open && random.chance(pace.rate) {
            let most = self.out.len().min(pace.send_most);
            let some = if pace.send_most == usize::MAX { most } else { random.within(1, most) };
            let n = net.client_send(self.socket, &self.out[..some]);
            self.out.drain(..n);
            self.is_cut |= net.sockets[self.socket].server >= End::Closed;
            has_done |= n > 0;
        }
        if !self.is_over && random.chance(pace.rate) {
            match net.client_read(self.socket, pace.read_most, &mut self.heard) {
                Some(n) => has_done |= n > 0,
                None => (self.is_over, has_done) = (true, true),
            }
        }
        has_done
    }

    /// Whether the server has read everything that was ever sent here.
    pub fn is_read(&self, net: &Net) -> bool {
        !self.is_cut && self.out.is_empty() && net.sockets[self.socket].to_server.is_empty()
    }

    pub fn end(&self, net: &mut Net, end: End) {
        net.client_end(self.socket, end);
    }
}
