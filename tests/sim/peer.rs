//! A simulated client: what it is, what it does next, and how its bytes come and go.

use super::faults::Fault;
use super::ledger::Ledger;
use super::net::{End, Net};
use super::random::Random;
use super::talk::Heard;

/// What a peer comes for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    WebSocket,
    /// A WebSocket that another server has opened.
    Adopted,
    Http,
    /// Sends what is no HTTP.
    Garbage,
}

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Phase {
    /// HTTP is spoken.
    Head,
    /// WebSocket is open.
    Open,
    /// It sent a close frame, or got one and answered.
    Closing,
    /// It sees nothing more: the server ended the connection, or it did.
    Over,
}

pub struct Peer {
    pub uid: u32,
    pub socket: usize,
    pub kind: Kind,
    pub phase: Phase,
    pub random: Random,
    pub out: Vec<u8>,
    pub heard: Heard,
    pub ops_left: usize,
    pub commands: u32,
    /// Bytes it sends and reads at once, and how often it does, in permille.
    pub send_most: usize,
    pub read_most: usize,
    pub read_rate: usize,
    pub is_mute: bool,
    /// It does what it must at once.
    pub is_good: bool,
    /// It sent something that the server must close it for.
    pub has_sinned: bool,
    pub requests: u32,
    /// The shards there are.
    pub shards: u32,
}

impl Peer {
    pub fn new(uid: u32, socket: usize, kind: Kind, shards: u32, mut random: Random) -> Self {
        let is_stalled = random.chance(120);
        let mut peer = Self {
            uid,
            socket,
            kind,
            phase: if kind == Kind::Adopted { Phase::Open } else { Phase::Head },
            out: Vec::new(),
            heard: Heard::default(),
            ops_left: random.within(0, 40),
            commands: 0,
            send_most: random.pick(&[1, 40, 400, 20_000, 20_000]),
            read_most: random.pick(&[1, 100, 1000, 50_000, 50_000]),
            read_rate: if is_stalled { 0 } else { random.pick(&[100, 500, 1000]) },
            is_mute: false,
            is_good: false,
            has_sinned: false,
            requests: 0,
            shards,
            random,
        };
        peer.greet();
        peer
    }

    /// One small thing. True if anything came of it.
    pub fn act(&mut self, net: &mut Net, ledger: &mut Ledger) -> bool {
        if self.is_mute || self.phase == Phase::Over {
            return false;
        }
        let mut has_done = false;
        if self.phase == Phase::Open && self.random.chance(4) {
            // Out of the blue, whatever is under way.
            self.reset(net);
            return true;
        }
        if self.random.chance(700) {
            has_done |= self.send(net);
        }
        if self.random.chance(self.read_rate) {
            has_done |= self.read(net, ledger);
        }
        if self.out.is_empty() && self.random.chance(500) {
            if self.ops_left > 0 {
                self.ops_left -= 1;
                self.next_command(net);
            } else if self.random.chance(100) {
                self.end(net);
            }
            has_done = true;
        }
        has_done
    }

    /// Everything it can do now. True if anything came of it.
    pub fn act_well(&mut self, net: &mut Net, ledger: &mut Ledger) -> bool {
        if self.is_mute || self.phase == Phase::Over {
            return false;
        }
        self.is_good = true;
        (self.send_most, self.read_most) = (usize::MAX, usize::MAX);
        let mut has_done = false;
        while self.phase != Phase::Over && (self.send(net) | self.read(net, ledger)) {
            has_done = true;
        }
        has_done
    }

    fn send(&mut self, net: &mut Net) -> bool {
        if self.out.is_empty() || net.sockets[self.socket].client != End::Open {
            return false;
        }
        let most = self.out.len().min(self.send_most);
        let some = if self.is_good { most } else { self.random.within(1, most) };
        let n = net.client_send(self.socket, &self.out[..some]);
        self.out.drain(..n);
        n > 0
    }

    fn read(&mut self, net: &mut Net, ledger: &mut Ledger) -> bool {
        let Some(n) = net.client_read(self.socket, self.read_most, &mut self.heard.bytes) else {
            self.over(net, ledger);
            return true;
        };
        if n > 0 {
            self.listen(net, ledger);
        }
        n > 0
    }

    /// The server's FIN or reset came.
    fn over(&mut self, net: &mut Net, ledger: &mut Ledger) {
        self.phase = Phase::Over;
        net.client_end(self.socket, End::Closed);
        self.check_end(net, ledger);
    }

    fn reset(&mut self, net: &mut Net) {
        net.faults.count(Fault::Reset, 1);
        net.client_end(self.socket, End::Reset);
        self.phase = Phase::Over;
    }

    /// Ends the connection in one of the ways there are.
    pub fn end(&mut self, net: &mut Net) {
        let may_be_mute = self.kind != Kind::Http;
        match self.random.below(12) {
            0..=3 if self.phase == Phase::Open => self.send_close(),
            4 | 5 => {
                let is_behind = !net.sockets[self.socket].to_server.is_empty();
                net.faults.count(if is_behind { Fault::FinWithData } else { Fault::Fin }, 1);
                net.client_end(self.socket, End::Finished);
            }
            6 => {
                if self.phase == Phase::Open {
                    // The close frame and the FIN in one go.
                    self.send_close();
                    let frame = std::mem::take(&mut self.out);
                    net.client_send(self.socket, &frame);
                    net.faults.count(Fault::FinWithData, 1);
                    net.client_end(self.socket, End::Finished);
                }
            }
            7 => self.reset(net),
            8 => {
                net.faults.count(Fault::Gone, 1);
                net.client_end(self.socket, End::Closed);
                self.phase = Phase::Over;
            }
            9 if may_be_mute => {
                net.faults.count(Fault::Mute, 1);
                self.is_mute = true;
            }
            // It stays.
            _ => self.ops_left = self.random.below(20),
        }
    }
}
