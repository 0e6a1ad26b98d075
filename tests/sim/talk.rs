//! What a peer hears: responses and frames, each held against what must come.
//!
//! Frames are read by code of the simulator's own, not by throng's decoder.

use std::collections::{BTreeMap, VecDeque};

use throng::base::cause::Cause;
use throng::proto::ws::{Opcode, encode};

use super::bytes::{Answer, answer, frame};
use super::ledger::Ledger;
use super::net::{End, Net};
use super::peer::{Kind, Peer, Phase};
use super::words::fields;

/// What a peer has heard so far, and what it still has to hear.
#[derive(Default)]
pub struct Heard {
    /// Received, not understood yet.
    pub bytes: Vec<u8>,
    /// Fragments of a message.
    assembled: Vec<u8>,
    pub is_assembling: bool,
    pub echoes: VecDeque<Vec<u8>>,
    pub pongs: VecDeque<u32>,
    /// The last of the numbered messages.
    pub numbered: u32,
    /// The last publication by publisher and topic, and whether those before it must have come too.
    pub published: BTreeMap<(u32, u32), (u32, bool)>,
    pub letters: BTreeMap<u32, u32>,
    /// Topics it is in, as far as it was told.
    topics: BTreeMap<u32, bool>,
    pub responses: u32,
    /// The server has said that no answer follows.
    is_last: bool,
    pub refused: Option<u16>,
    pub sent_code: Option<u16>,
    pub got_code: Option<Option<u16>>,
}

impl Peer {
    /// Understands what has come.
    pub(super) fn listen(&mut self, net: &mut Net, ledger: &mut Ledger) {
        let bytes = std::mem::take(&mut self.heard.bytes);
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let taken = if self.phase == Phase::Head {
                self.response(rest, net, ledger)
            } else {
                self.server_frame(rest, ledger)
            };
            let Some(n) = taken else { break };
            at += n;
        }
        let unread = std::mem::replace(&mut self.heard.bytes, bytes);
        debug_assert!(unread.is_empty());
        self.heard.bytes.drain(..at);
    }

    fn wrong(&self, ledger: &mut Ledger, what: &str) {
        ledger.violation(format!("peer {} ({:?}): {what}", self.uid, self.kind));
    }

    fn response(&mut self, bytes: &[u8], net: &mut Net, ledger: &mut Ledger) -> Option<usize> {
        let Answer { status, body, is_last } = answer(bytes)?;
        let end = body.end;
        if std::mem::replace(&mut self.heard.is_last, is_last) {
            self.wrong(ledger, &format!("was answered {status} behind what was to be the last answer"));
        }
        match status {
            101 if self.kind == Kind::WebSocket && self.heard.responses == 0 => {
                self.phase = Phase::Open;
                return Some(end);
            }
            100 => return Some(end),
            _ => {}
        }
        let body = &bytes[body];
        if status == 200 {
            self.heard.responses += 1;
            let expected = format!("n={};", self.heard.responses);
            if self.kind == Kind::Http && !body.starts_with(expected.as_bytes()) {
                self.wrong(
                    ledger,
                    &format!("got {:?} where {expected} had to come", String::from_utf8_lossy(body)),
                );
            }
        } else if self.heard.refused.replace(status).is_some() {
            self.wrong(ledger, &format!("was answered {status} behind the end"));
        }
        if status == 408
            && u128::from(net.now_us - net.sockets[self.socket].began_us) < net.head_timeout.as_micros()
        {
            self.wrong(ledger, "its head was not given the time it has");
        }
        let is_fair = match status {
            200 | 503 | 500 | 408 => true,
            400 | 431 | 505 | 501 | 413 => self.has_sinned,
            _ => false,
        };
        if !is_fair {
            self.wrong(ledger, &format!("was answered {status}"));
        }
        Some(end)
    }

    fn server_frame(&mut self, bytes: &[u8], ledger: &mut Ledger) -> Option<usize> {
        let frame = match frame(bytes)? {
            Ok(frame) => frame,
            Err(what) => {
                self.wrong(ledger, &what);
                return Some(bytes.len());
            }
        };
        let end = frame.payload.end;
        let payload = &bytes[frame.payload];
        if self.heard.got_code.is_some() {
            self.wrong(ledger, "got a frame behind the close frame");
        }
        let fin = frame.is_final;
        match frame.opcode {
            0 if !self.heard.is_assembling => self.wrong(ledger, "a continuation continues nothing"),
            1 | 2 if self.heard.is_assembling => self.wrong(ledger, "a message stands within another one"),
            0..=2 => {
                self.heard.is_assembling = !fin;
                if fin && self.heard.assembled.is_empty() {
                    self.words(payload, ledger);
                } else {
                    self.heard.assembled.extend_from_slice(payload);
                    if fin {
                        let whole = std::mem::take(&mut self.heard.assembled);
                        self.words(&whole, ledger);
                    }
                }
            }
            8 => self.server_closes(payload, ledger),
            9 => {
                if self.phase == Phase::Open && (self.is_good || self.random.chance(900)) {
                    self.answer_ping(payload);
                }
            }
            10 => {
                let number = payload.try_into().ok().map(u32::from_be_bytes);
                let expected = self.heard.pongs.pop_front();
                if number.is_none() || expected != number {
                    let rest = &self.heard.pongs;
                    self.wrong(
                        ledger,
                        &format!("got pong {number:x?} for ping {expected:x?}, before {rest:x?}"),
                    );
                }
            }
            other => self.wrong(ledger, &format!("frame with opcode {other:x}")),
        }
        Some(end)
    }

    fn server_closes(&mut self, payload: &[u8], ledger: &mut Ledger) {
        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        self.heard.got_code = Some(code);
        let reason = ledger.life(self.uid).reason;
        if let (Some(code), Some(reason)) = (code, reason)
            && reason.cause != Cause::PeerClosed
            && reason.code != code
            && reason.code != 1006
        {
            self.wrong(ledger, &format!("was closed with {code}, the service was told {reason}"));
        }
        if self.phase == Phase::Open {
            self.heard.sent_code = code;
            if self.is_good || self.random.chance(700) {
                let code = code.unwrap_or(1000).to_be_bytes();
                encode::append_masked(&mut self.out, Opcode::Close, true, &code, [9; 4]);
            }
            self.phase = Phase::Closing;
        }
    }

    /// A whole message.
    fn words(&mut self, words: &[u8], ledger: &mut Ledger) {
        match words.first() {
            Some(b'E') => {
                if self.heard.echoes.pop_front().is_none_or(|echo| echo != words) {
                    self.wrong(ledger, "an echo is not the next one");
                }
            }
            Some(b'o') => {
                let Some([uid, number]) = fields(words) else {
                    return self.wrong(ledger, "a numbered message is damaged");
                };
                self.heard.numbered += 1;
                if uid != self.uid || number != self.heard.numbered {
                    self.wrong(
                        ledger,
                        &format!("got {uid}'s message {number}, not its own {}", self.heard.numbered),
                    );
                }
            }
            Some(b's') => {
                let topic = fields::<1>(words).map_or(u32::MAX, |[topic]| topic);
                if !self.heard.topics.insert(topic, true).unwrap_or(false) {
                    self.heard
                        .published
                        .iter_mut()
                        .filter(|one| one.0.1 == topic)
                        .for_each(|one| one.1.1 = false);
                }
            }
            Some(b'u') => {
                let topic = fields::<1>(words).map_or(u32::MAX, |[topic]| topic);
                self.heard.topics.insert(topic, false);
            }
            Some(b'p') => self.publication(words, ledger),
            Some(b't') => {
                let Some([from, to, number]) = fields(words) else {
                    return self.wrong(ledger, "a letter is damaged");
                };
                let last = self.heard.letters.insert(from, number).unwrap_or(0);
                if to != self.uid {
                    self.wrong(ledger, &format!("got a letter to {to}"));
                }
                if number <= last {
                    self.wrong(ledger, &format!("got {from}'s letter {number} behind its {last}th"));
                }
            }
            _ => self.wrong(ledger, "a message of no known kind"),
        }
    }

    fn publication(&mut self, words: &[u8], ledger: &mut Ledger) {
        let Some([topic, from, number]) = fields(words) else {
            return self.wrong(ledger, "a publication is damaged");
        };
        if !self.heard.topics.get(&topic).copied().unwrap_or(false) {
            self.wrong(ledger, &format!("got a publication on topic {topic} and is not in it"));
        }
        let published = ledger.published.get(&(from, topic)).and_then(|all| all.get(number as usize - 1));
        if published.is_some_and(|one| one.except == Some(self.uid)) {
            self.wrong(ledger, "got the publication that it was to be spared");
        }
        let (last, is_whole) =
            self.heard.published.insert((from, topic), (number, true)).unwrap_or((0, false));
        if number <= last {
            self.wrong(
                ledger,
                &format!("got {from}'s publication {number} on topic {topic} behind its {last}th"),
            );
        }
        if is_whole && (last + 1..number).any(|lacking| !ledger.may_lack(from, topic, lacking, self.uid)) {
            self.wrong(ledger, &format!("got {from}'s publication {number} on topic {topic} behind its {last}th, and none was dropped"));
        }
    }

    /// The server has ended the connection: in order, if the peer did all it must.
    pub(super) fn check_end(&mut self, net: &mut Net, ledger: &mut Ledger) {
        let is_reset = net.sockets[self.socket].server == End::Reset;
        let life = ledger.life(self.uid);
        let was_told = life.reason.is_none_or(|reason| reason.cause != Cause::PeerReset);
        if self.phase == Phase::Over
            && self.heard.got_code.is_some()
            && is_reset
            && ledger.is_orderly
            && !self.has_sinned
            && was_told
        {
            let reason = ledger.life(self.uid).reason;
            self.wrong(ledger, &format!("closed in order and was reset: {reason:?}"));
        }
    }

    /// Nothing can happen any more: everything that was owed must have come.
    pub(super) fn check_quiet(&mut self, net: &Net, ledger: &mut Ledger) {
        let is_http_open =
            self.kind == Kind::Http && self.phase == Phase::Head && self.heard.refused.is_none();
        if is_http_open
            && net.sockets[self.socket].client == End::Open
            && self.heard.responses < self.requests
        {
            let (responses, requests) = (self.heard.responses, self.requests);
            return self.wrong(ledger, &format!("waits: {responses} of {requests} requests are answered"));
        }
        if self.phase == Phase::Closing
            && net.sockets[self.socket].client == End::Open
            && self.heard.sent_code.is_some()
            && self.out.is_empty()
        {
            return self.wrong(ledger, "has closed and waits for the end");
        }
        ledger.life(self.uid);
        let life = &ledger.lives[self.uid as usize];
        if self.phase != Phase::Open || !life.is_open() || self.has_sinned {
            return;
        }
        let mut lacks = Vec::new();
        if !self.heard.echoes.is_empty() || !self.heard.pongs.is_empty() {
            lacks.push(format!(
                "lacks {} echoes and {} pongs",
                self.heard.echoes.len(),
                self.heard.pongs.len()
            ));
        }
        if life.said != self.heard.numbered && !self.heard.is_assembling {
            lacks.push(format!("was told {} messages and got {}", life.said, self.heard.numbered));
        }
        if life.heard != self.commands {
            lacks.push(format!("said {} and was heard saying {}", self.commands, life.heard));
        }
        if life.is_pressured {
            lacks.push("is drained, and its service does not know".into());
        }
        for (&(from, topic), published) in &ledger.published {
            let Some(&since) = life.topics.get(&topic) else { continue };
            let last = published
                .iter()
                .rposition(|one| one.at > since && one.is_everywhere && one.except != Some(self.uid));
            let heard = self.heard.published.get(&(from, topic)).map_or(0, |one| one.0);
            if last.is_some_and(|last| last as u32 + 1 > heard) {
                lacks.push(format!("is in topic {topic} and lacks {from}'s last publication, has {heard}"));
            }
        }
        for (&(from, to), letters) in ledger.letters.iter().filter(|letter| letter.0.1 == self.uid) {
            let last = letters.iter().rposition(|&was_taken| was_taken).map_or(0, |last| last as u32 + 1);
            if self.heard.letters.get(&from).copied().unwrap_or(0) < last {
                lacks.push(format!("lacks {from}'s last letter to {to}"));
            }
        }
        if !self.heard.is_assembling && self.heard.bytes.is_empty() {
            lacks.into_iter().for_each(|what| self.wrong(ledger, &what));
        } else {
            self.wrong(ledger, "half a message never came to its end");
        }
    }
}
