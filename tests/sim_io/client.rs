//! A simulated client: what it is, where it stands, and what it does next.

use std::collections::{BTreeMap, VecDeque};

use throng::io::Reason;

use super::ledger::Ledger;
use super::net::{End, Net};
use super::polling::{Ask, Http};
use super::random::Random;
use super::rows::Row;
use super::upgrade::{Probe, Ws};
use super::wire::{AT_ONCE, Pace};
use super::words::SPACES;

/// What a client's acts go to.
pub struct Cx<'a> {
    pub net: &'a mut Net,
    pub ledger: &'a mut Ledger,
    pub times: Times,
}

/// The times that the server gives its clients, in microseconds.
#[derive(Clone, Copy)]
pub struct Times {
    pub ping_interval_us: u64,
    pub ping_timeout_us: u64,
    pub upgrade_us: u64,
    /// The core's own ping; 0 is off.
    pub pong_us: u64,
    /// When the clients began to do all they must.
    pub good_since_us: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Opening,
    Open,
    /// It has no session any more, or knows of none.
    Over,
}

/// Where it stands with a namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    Out,
    Asked,
    In,
    /// Its wish may have been lost.
    Unknown,
}

/// A packet on its way to the server.
#[derive(Clone, Debug)]
pub struct Packet {
    pub bytes: Vec<u8>,
    pub is_binary: bool,
    pub number: Option<u32>,
    pub what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    Pong,
    Connect(usize),
    Leave(usize),
    Close,
    Other,
}

/// The last word to a room that came, and whether those before it must have come too.
pub type Heard = BTreeMap<(u32, usize, u32), (u32, bool)>;

pub struct Client {
    pub uid: u32,
    pub random: Random,
    pub shards: usize,
    pub phase: Phase,
    pub begins_polling: bool,
    pub sid: String,
    pub home: usize,
    pub pace: Pace,
    pub https: Vec<Http>,
    pub ws: Option<Ws>,
    /// WebSockets beside the one that counts.
    pub others: Vec<Ws>,
    pub is_on_ws: bool,
    /// It begins no more requests: its probe was answered.
    pub is_paused: bool,
    pub probes_left: u32,
    pub probe: Probe,
    pub has_probed: bool,
    pub queue: VecDeque<Packet>,
    pub spaces: [(Standing, usize); SPACES.len()],
    pub said: u32,
    pub ops_left: usize,
    /// It does nothing any more, without a word.
    pub is_mute: bool,
    /// It does all it must but answer pings.
    pub is_shy: bool,
    /// It never asks for a namespace.
    pub is_lurker: bool,
    pub is_good: bool,
    /// An answer to it may be lost: what comes next may lack some.
    pub may_lack: bool,
    /// It polled twice at a time: what comes has no order.
    pub is_muddled: bool,
    /// An attachment must come next, of what has this number.
    pub attachment: Option<u32>,
    /// What came by WebSocket while the last poll is not answered.
    pub early: Vec<Result<String, Vec<u8>>>,
    pub heard: Heard,
    pub rooms: BTreeMap<(usize, u32), bool>,
    pub last_ping_us: u64,
    /// When its last pong left by WebSocket; the next ping says that it came.
    pub ponged_us: Option<u64>,
    /// A POST of it was cut off, or it has said what must end it: it says nothing more.
    pub is_silenced: bool,
    pub is_closing: bool,
    pub messages: u64,
    /// It was turned away, and does not come back at once.
    pub rests_until_us: u64,
    /// How often it still comes back to open a session.
    pub tries_left: u32,
}

impl Client {
    pub fn new(uid: u32, shards: usize, mut random: Random, now_us: u64) -> Self {
        let pace = Pace {
            send_most: random.pick(&[7, 100, 20_000, 20_000]),
            read_most: random.pick(&[7, 100, 50_000, 50_000]),
            rate: random.pick(&[200, 600, 1000]),
        };
        Self {
            uid,
            shards,
            phase: Phase::Opening,
            begins_polling: random.chance(750),
            sid: String::new(),
            home: 0,
            pace,
            https: Vec::new(),
            ws: None,
            others: Vec::new(),
            is_on_ws: false,
            is_paused: false,
            probes_left: random.pick(&[0, 1, 1, 2, 3]),
            probe: Probe::default(),
            has_probed: false,
            queue: VecDeque::new(),
            spaces: [(Standing::Out, 0); SPACES.len()],
            said: 0,
            ops_left: random.within(0, 60),
            is_mute: false,
            is_shy: false,
            is_lurker: random.chance(40),
            is_good: false,
            may_lack: false,
            is_muddled: false,
            attachment: None,
            early: Vec::new(),
            heard: BTreeMap::new(),
            rooms: BTreeMap::new(),
            last_ping_us: now_us,
            ponged_us: None,
            is_silenced: false,
            is_closing: false,
            messages: 0,
            rests_until_us: 0,
            tries_left: 50,
            random,
        }
    }

    pub fn wrong(&self, cx: &mut Cx<'_>, what: &str) {
        let (phase, paused, on_ws) = (self.phase, self.is_paused, self.is_on_ws);
        cx.ledger.wrong(self.uid, &format!("{what} ({phase:?}, paused: {paused}, on WebSocket: {on_ws})"));
    }

    /// One small thing. True if anything came of it.
    pub fn act(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.is_mute || self.phase == Phase::Over {
            return false;
        }
        let mut has_done = self.work(cx, self.pace);
        if self.phase != Phase::Over && self.random.chance(600) {
            has_done |= self.pursue(cx);
        }
        if self.phase == Phase::Open && self.random.chance(150) {
            if self.ops_left > 0 {
                self.ops_left -= 1;
                self.next(cx);
            } else if self.random.chance(100) {
                self.end(cx);
            }
            has_done = true;
        }
        has_done
    }

    /// Everything it can do now. True if anything came of it.
    pub fn act_well(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.is_mute || self.phase == Phase::Over {
            return false;
        }
        self.is_good = true;
        let mut has_done = false;
        while self.phase != Phase::Over && self.work(cx, AT_ONCE) {
            has_done = true;
        }
        has_done | self.pursue(cx)
    }

    /// Lets bytes go and come, and understands what has come.
    fn work(&mut self, cx: &mut Cx<'_>, pace: Pace) -> bool {
        let mut has_done = self.work_https(cx, pace);
        if self.phase != Phase::Over {
            has_done |= self.work_sockets(cx, pace);
        }
        has_done
    }

    /// Begins what is to be begun.
    fn pursue(&mut self, cx: &mut Cx<'_>) -> bool {
        if cx.net.now_us < self.rests_until_us {
            return false;
        }
        match self.phase {
            Phase::Opening if self.https.iter().all(|http| http.ask.is_none()) && self.ws.is_none() => {
                cx.ledger.of(self.uid).timeout_from_us =
                    cx.net.now_us + cx.times.ping_interval_us + cx.times.ping_timeout_us - 3000;
                if self.begins_polling {
                    self.ask(cx, Ask::Open);
                } else {
                    self.ws = Some(self.websocket(cx));
                }
                true
            }
            Phase::Open if self.is_on_ws => self.say_by_ws(cx),
            Phase::Open => {
                let has_asked = self.pursue_requests(cx);
                has_asked | self.pursue_upgrade(cx)
            }
            _ => false,
        }
    }

    /// The open packet.
    pub fn opened(&mut self, cx: &mut Cx<'_>, packet: &str) {
        let open: serde_json::Value = serde_json::from_str(&packet[1..]).unwrap_or_default();
        let sid = open["sid"].as_str().unwrap_or_default();
        let Some(id) = throng::io::SessionId::parse(sid) else {
            return self.wrong(cx, &format!("was opened with {packet}"));
        };
        (self.sid, self.home, self.phase) = (sid.to_owned(), usize::from(id.shard), Phase::Open);
        self.last_ping_us = cx.net.now_us;
        cx.ledger.of(self.uid).is_polling = !self.is_on_ws;
        if !self.is_lurker {
            self.enter(0, "");
        }
    }

    /// Queues a packet.
    pub fn say(&mut self, text: String, number: Option<u32>, what: What) {
        self.queue.push_back(Packet { bytes: text.into_bytes(), is_binary: false, number, what });
    }

    /// A pong that left at this moment was taken, not later than now: it may have waited for its connection to be let in.
    pub fn ponged(&mut self, cx: &mut Cx<'_>, sent_us: u64) {
        // A ping is filed up to two milliseconds early, its answer's deadline up to one.
        let from_us = sent_us + cx.times.ping_interval_us + cx.times.ping_timeout_us - 3000;
        let known = cx.ledger.of(self.uid);
        known.timeout_from_us = known.timeout_from_us.max(from_us);
        self.has_time(cx);
    }

    /// A pong leaves, or was taken: it is given as long again.
    pub fn has_time(&self, cx: &mut Cx<'_>) {
        let to_us = cx.net.now_us + cx.times.ping_interval_us + cx.times.ping_timeout_us + 10_000;
        let known = cx.ledger.of(self.uid);
        known.timeout_to_us = known.timeout_to_us.map(|before_us| before_us.max(to_us));
    }

    /// Its session is over: it closes what it has.
    pub fn over(&mut self, cx: &mut Cx<'_>) {
        if self.is_lurker {
            cx.ledger.count(Row::NeverConnected);
        }
        if self.is_polling_now() {
            // It goes while its poll waits.
            self.excuse(cx, &[Reason::TransportError]);
        }
        self.phase = Phase::Over;
        let sockets = self.ws.iter().chain(&self.others).map(|ws| &ws.wire);
        for wire in sockets.chain(self.https.iter().map(|http| &http.wire)) {
            wire.end(cx.net, End::Closed);
        }
        self.https.clear();
        self.others.clear();
        self.ws = None;
    }

    pub fn excuse(&self, cx: &mut Cx<'_>, reasons: &[Reason]) {
        reasons.iter().for_each(|&reason| cx.ledger.excuse(self.uid, reason));
    }

    /// Whether it still has to do with its session.
    pub fn is_alive(&self) -> bool {
        self.phase == Phase::Open && !self.is_mute && !self.is_shy && !self.is_closing
    }
}
