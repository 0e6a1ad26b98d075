//! A client's WebSockets: the one that its session begins with or moves to, and those that come to nothing.

use throng::io::Reason;
use throng::proto::ws::{Opcode, encode};

use super::bytes::{answer, frame};
use super::client::{Client, Cx, Packet, Phase, What};
use super::faults::Fault;
use super::net::End;
use super::polling::Ask;
use super::rows::Row;
use super::wire::{Pace, Wire};

/// How an upgrade is to go.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Probe {
    /// As every client does it: once the poll and the POST that are under way are over.
    #[default]
    Patient,
    /// Without waiting for them.
    Hasty,
    Closed,
    Reset,
    Nonsense,
    FiveFirst,
    /// Its probe is answered, and that is all.
    Dozing,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Stage {
    Asked,
    Open,
    Probing,
    Probed,
    Closing,
}

pub struct Ws {
    pub wire: Wire,
    pub stage: Stage,
    pub began_us: u64,
    /// Its probe was answered.
    is_probed: bool,
    is_refused: bool,
    /// The server drains, and it was this connection's turn.
    is_told_to_go: bool,
    assembled: Vec<u8>,
    opcode: u8,
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

impl Client {
    pub fn websocket(&mut self, cx: &mut Cx<'_>) -> Ws {
        let sid = if self.sid.is_empty() { String::new() } else { format!("&sid={}", self.sid) };
        let uid = self.uid;
        let listener = self.random.below(self.shards);
        let mut wire = Wire::connect(cx.net, &mut self.random, self.uid, listener);
        let head =
            format!("GET /socket.io/?EIO=4&transport=websocket{sid}&uid={uid} HTTP/1.1\r\nHost: sim\r\n");
        wire.out.extend_from_slice(format!("{head}{UPGRADE}\r\n").as_bytes());
        Ws {
            wire,
            stage: Stage::Asked,
            began_us: cx.net.now_us,
            is_probed: false,
            is_refused: false,
            is_told_to_go: false,
            assembled: Vec::new(),
            opcode: 0,
        }
    }

    fn frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let mask = (self.random.next() as u32).to_be_bytes();
        let is_cut =
            payload.len() > 1 && matches!(opcode, Opcode::Text | Opcode::Binary) && self.random.chance(100);
        let Some(ws) = &mut self.ws else { return };
        if is_cut {
            let (first, second) = payload.split_at(self.random.below(payload.len()));
            encode::append_masked(&mut ws.wire.out, opcode, false, first, mask);
            encode::append_masked(&mut ws.wire.out, Opcode::Continue, true, second, mask);
        } else {
            encode::append_masked(&mut ws.wire.out, opcode, true, payload, mask);
        }
    }

    /// Everything that is queued goes by WebSocket.
    pub fn say_by_ws(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(ws) = &self.ws else { return false };
        if self.is_silenced || self.queue.is_empty() || ws.stage == Stage::Closing {
            return false;
        }
        while let Some(packet) = self.queue.pop_front() {
            if packet.what == What::Pong {
                self.ponged_us = Some(cx.net.now_us);
                self.has_time(cx);
            }
            self.frame(if packet.is_binary { Opcode::Binary } else { Opcode::Text }, &packet.bytes);
        }
        true
    }

    /// The next step to the WebSocket, if it is time.
    pub fn pursue_upgrade(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(ws) = &mut self.ws else {
            if self.probes_left == 0 || self.is_silenced || !(self.is_good || self.random.chance(60)) {
                return false;
            }
            self.probes_left -= 1;
            self.has_probed = true;
            self.probe = match self.random.below(20) {
                _ if self.is_good => Probe::Patient,
                0 | 1 => Probe::Closed,
                2 => Probe::Reset,
                3 => Probe::Nonsense,
                4 => Probe::FiveFirst,
                5 | 6 => Probe::Dozing,
                7..=9 => Probe::Hasty,
                _ => Probe::Patient,
            };
            self.ws = Some(self.websocket(cx));
            return true;
        };
        if ws.stage == Stage::Open {
            ws.stage = Stage::Probing;
            if self.probe == Probe::FiveFirst {
                self.frame(Opcode::Text, b"5");
            } else {
                self.frame(Opcode::Text, b"2probe");
            }
            return true;
        }
        if self.is_paused && !self.is_polling_now() && !self.is_posting_now() {
            self.five(cx);
            return true;
        }
        if !self.is_good && self.others.len() < 2 && self.random.chance(20) {
            cx.ledger.count(Row::SecondProbe);
            let second = self.websocket(cx);
            self.others.push(second);
        }
        false
    }

    /// It moves.
    fn five(&mut self, cx: &mut Cx<'_>) {
        if self.is_polling_now() {
            cx.ledger.count(Row::FiveRacesPoll);
        }
        let posted = self.https.iter().find_map(|http| match &http.ask {
            Some(Ask::Post(packets, _)) => Some(packets),
            _ => None,
        });
        if let Some(packets) = posted {
            cx.ledger.count(Row::FiveRacesPost);
            let doubtful: Vec<_> = packets.iter().filter_map(|packet| packet.number).collect();
            cx.ledger.of(self.uid).doubtful.extend(doubtful);
            // A namespace that was asked for in it may never be entered.
            self.excuse(cx, &[Reason::ForcedClose]);
        }
        if self.queue.front().is_some_and(|packet| packet.is_binary) {
            cx.ledger.count(Row::AttachmentUpgraded);
        }
        if !cx.ledger.of(self.uid).due.is_empty() {
            cx.ledger.count(Row::UpgradeWithMessages);
        }
        cx.ledger.count(Row::Upgraded);
        let known = cx.ledger.of(self.uid);
        known.is_polling = false;
        known.may_be_unheard = cx.times.pong_us > 0;
        self.frame(Opcode::Text, b"5");
        (self.is_on_ws, self.is_paused) = (true, false);
    }

    /// A packet of which the server may get one half and not the other.
    fn is_halfway(&self) -> bool {
        let is_half = |packet: &Packet| packet.is_binary || packet.bytes.starts_with(b"45");
        let posts = self.https.iter().filter_map(|http| match &http.ask {
            Some(Ask::Post(packets, _)) => Some(packets),
            _ => None,
        });
        posts.flatten().any(is_half)
    }

    /// The probe was answered.
    fn probed(&mut self, cx: &mut Cx<'_>) {
        if self.is_polling_now() {
            cx.ledger.count(Row::PollEndedByProbe);
        }
        match self.probe {
            Probe::Patient => self.is_paused = true,
            Probe::Hasty if self.is_halfway() => self.is_paused = true,
            Probe::Hasty => self.five(cx),
            Probe::Closed => self.frame(Opcode::Close, &1000_u16.to_be_bytes()),
            Probe::Reset => self.ws.iter().for_each(|ws| ws.wire.end(cx.net, End::Reset)),
            Probe::Nonsense if self.random.chance(500) => self.frame(Opcode::Text, b"4nonsense"),
            Probe::Nonsense => self.frame(Opcode::Binary, b"5"),
            Probe::FiveFirst => self.wrong(cx, "was answered a probe that it never sent"),
            Probe::Dozing => {}
        }
    }

    /// Lets WebSockets work. True if anything came of it.
    pub fn work_sockets(&mut self, cx: &mut Cx<'_>, pace: Pace) -> bool {
        let mut has_done = false;
        if let Some(ws) = &mut self.ws {
            has_done |= ws.wire.work(cx.net, pace, &mut self.random);
            while self.phase != Phase::Over && self.understand(cx) {}
            if let Some(ws) = self.ws.take_if(|ws| ws.wire.is_over) {
                ws.wire.end(cx.net, End::Closed);
                self.lost(cx, &ws);
                has_done = true;
            }
        }
        let mut others = std::mem::take(&mut self.others);
        others.retain_mut(|other| {
            has_done |= other.wire.work(cx.net, pace, &mut self.random);
            // It is answered like a first one where that is gone by now; it wants nothing more.
            let is_told =
                answer(&other.wire.heard).is_some_and(|found| other.wire.heard.len() > found.body.end);
            if is_told || other.wire.is_over {
                other.wire.end(cx.net, End::Closed);
                has_done = true;
            } else if other.stage == Stage::Asked && !other.wire.heard.is_empty() {
                other.stage = Stage::Probing;
                encode::append_masked(&mut other.wire.out, Opcode::Text, true, b"2probe", [0; 4]);
            }
            !is_told && !other.wire.is_over
        });
        if self.phase != Phase::Over {
            self.others = others;
        } else {
            others.iter().for_each(|other| other.wire.end(cx.net, End::Closed));
        }
        has_done
    }

    /// The next thing that its WebSocket says, if that has come.
    fn understand(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(ws) = &mut self.ws else { return false };
        if ws.stage == Stage::Asked {
            let Some(found) = answer(&ws.wire.heard) else { return false };
            let moves = cx.net.sockets[ws.wire.socket].moves;
            ws.wire.heard.drain(..found.body.end);
            match found.status {
                101 => {
                    ws.stage = Stage::Open;
                    if moves > 0 {
                        cx.ledger.count(Row::UpgradeMovedShard);
                    }
                }
                503 | 408 => {
                    (ws.wire.is_over, ws.is_refused) = (true, true);
                    if moves > 0 {
                        cx.ledger.count(Row::HomeFull);
                    }
                }
                // Its session is gone.
                400 if !self.sid.is_empty() => (ws.wire.is_over, ws.is_refused) = (true, true),
                status => self.wrong(cx, &format!("asked for a WebSocket and was answered {status}")),
            }
            return true;
        }
        let found = match frame(&ws.wire.heard) {
            None => return false,
            Some(Ok(found)) => found,
            Some(Err(what)) => {
                self.wrong(cx, &what);
                return false;
            }
        };
        let payload = ws.wire.heard[found.payload.clone()].to_vec();
        ws.wire.heard.drain(..found.payload.end);
        match found.opcode {
            0..=2 => {
                if found.opcode != 0 {
                    ws.opcode = found.opcode;
                }
                ws.assembled.extend_from_slice(&payload);
                if found.is_final {
                    let (whole, is_text) = (std::mem::take(&mut ws.assembled), ws.opcode == 1);
                    self.message(cx, whole, is_text);
                }
            }
            8 => {
                ws.is_told_to_go = cx.ledger.is_stopping && payload.starts_with(&1001_u16.to_be_bytes());
                if ws.stage != Stage::Closing {
                    ws.stage = Stage::Closing;
                    self.frame(Opcode::Close, payload.get(..2).unwrap_or_default());
                }
            }
            9 => self.frame(Opcode::Pong, &payload),
            _ => self.wrong(cx, &format!("got a frame with opcode {}", found.opcode)),
        }
        true
    }

    fn message(&mut self, cx: &mut Cx<'_>, bytes: Vec<u8>, is_text: bool) {
        let text = is_text.then(|| String::from_utf8_lossy(&bytes).into_owned());
        let stage = self.ws.as_ref().map(|ws| ws.stage);
        match text {
            Some(text) if self.phase == Phase::Opening => {
                self.is_on_ws = true;
                cx.ledger.of(self.uid).may_be_unheard = cx.times.pong_us > 0;
                self.opened(cx, &text);
            }
            Some(text) if !self.is_on_ws => {
                if text != "3probe" || stage != Some(Stage::Probing) {
                    return self
                        .wrong(cx, &format!("heard {text:?} on a WebSocket that is probed: {stage:?}"));
                }
                self.ws.iter_mut().for_each(|ws| (ws.stage, ws.is_probed) = (Stage::Probed, true));
                self.probed(cx);
            }
            // What the last poll brings was said before.
            text if self.is_polling_now() => self.early.push(text.ok_or(bytes)),
            Some(text) => self.hears(cx, &text),
            None => self.hears_bytes(cx, &bytes),
        }
    }

    /// Its WebSocket is over.
    fn lost(&mut self, cx: &mut Cx<'_>, ws: &Ws) {
        if self.is_on_ws {
            return self.over(cx);
        }
        self.is_paused = false;
        let is_unheard = ws.stage == Stage::Asked && ws.wire.heard.is_empty() && !ws.is_refused;
        // Whoever is turned away is told so by one write, which a kernel that takes it is enough for.
        let counts = &cx.net.faults.counts;
        let has_room = counts[Fault::RefusedWrite as usize] + counts[Fault::ShortWrite as usize] == 0;
        if is_unheard && has_room && cx.net.sockets[ws.wire.socket].moves > 0 && !cx.ledger.is_stopping {
            return self.wrong(cx, "asked for a WebSocket, was moved to another shard, and never answered");
        }
        if self.phase == Phase::Opening {
            return if cx.ledger.is_stopping { self.over(cx) } else { self.rest(cx) };
        }
        let known = cx.ledger.of(self.uid);
        let is_alive = known.over.is_none()
            && known.lives.iter().flatten().any(|life| life.is_connected && life.ended.is_none());
        // Where the core pings as well, a slow one may be given up for that.
        let has_time = cx.net.now_us - ws.began_us < cx.times.upgrade_us && cx.times.pong_us == 0;
        // A drain goes over connections and over sessions that poll each in its own order: the WebSocket may be told before the
        // session is, whose client polls on until then.
        let has_time = has_time && !ws.is_told_to_go;
        let is_good = cx.times.good_since_us.is_some_and(|since| ws.began_us >= since);
        if ws.is_probed && is_alive && has_time && matches!(self.probe, Probe::Patient | Probe::Dozing) {
            return self.wrong(cx, "had time for its upgrade, and its WebSocket was closed");
        }
        if ws.is_probed && is_alive && is_good {
            return self.wrong(cx, "did all it must for its upgrade, and was given up");
        }
        if ws.stage < Stage::Open {
            return;
        }
        cx.ledger.count(match self.probe {
            Probe::Closed => Row::ProbeClosed,
            Probe::Reset => Row::ProbeReset,
            Probe::Nonsense => Row::ProbeNonsense,
            Probe::FiveFirst => Row::FiveWithoutProbe,
            _ if is_alive => Row::UpgradeTimedOut,
            _ => return,
        });
    }
}
