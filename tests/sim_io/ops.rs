//! What a client does of its own will: what it says, and how it ends.

use throng::io::Reason;

use super::client::{Client, Cx, Packet, Phase, Standing, What};
use super::net::End;
use super::polling::Ask;
use super::rows::Row;
use super::words::{LATER, NOW, ROOMS, SPACES, UNDECIDED, filler};

/// The prefix of a packet for a namespace.
fn prefix(space: usize) -> String {
    if space == NOW { String::new() } else { format!("{},", SPACES[space]) }
}

impl Client {
    /// Asks for a namespace.
    pub fn enter(&mut self, space: usize, wish: &str) {
        let (standing, life) = &mut self.spaces[space];
        if *standing != Standing::Asked {
            *life += 1;
        }
        *standing = Standing::Asked;
        let (uid, life) = (self.uid, *life);
        let auth = format!("{{\"uid\":{uid},\"life\":{life},\"wish\":\"{wish}\"}}");
        self.say(format!("40{}{auth}", prefix(space)), None, What::Connect(space));
    }

    /// Answers a question.
    pub fn answer(&mut self, space: usize, ack: Option<u64>, answer: u32) {
        let ack = ack.unwrap_or_default();
        self.say(format!("43{}{ack}[{answer}]", prefix(space)), None, What::Other);
    }

    /// Asks for a namespace that it is in, or waits for: that ends its session.
    fn enter_twice(&mut self, cx: &mut Cx<'_>, space: usize) {
        self.excuse(cx, &[Reason::ForcedClose]);
        let standing = self.spaces[space];
        self.enter(space, "");
        self.spaces[space] = standing;
        self.is_silenced = true;
        self.is_closing = true;
    }

    fn say_event(&mut self, space: usize, what: &str, arg: u32, bytes: usize) {
        self.said += 1;
        let (uid, number) = (self.uid, self.said);
        let ack = if self.random.chance(300) { number.to_string() } else { String::new() };
        let text = filler(number, bytes);
        let event = format!("42{}{ack}[\"c\",{uid},{number},\"{what}\",{arg},\"{text}\"]", prefix(space));
        self.say(event, Some(number), What::Other);
    }

    fn say_bytes(&mut self, space: usize, bytes: usize) {
        self.said += 1;
        let (uid, number) = (self.uid, self.said);
        let event =
            format!("451-{}[\"cb\",{uid},{number},{{\"_placeholder\":true,\"num\":0}}]", prefix(space));
        self.say(event, None, What::Other);
        let bytes = vec![number as u8; bytes];
        self.queue.push_back(Packet { bytes, is_binary: true, number: Some(number), what: What::Other });
    }

    /// One thing that it does.
    pub fn next(&mut self, cx: &mut Cx<'_>) {
        if self.is_silenced || self.is_lurker || self.queue.len() > 40 {
            return;
        }
        let space = if self.random.chance(700) { NOW } else { LATER };
        let bytes = match self.random.below(20) {
            0 => self.random.within(2000, 5000),
            1..=3 => self.random.within(100, 2000),
            _ => self.random.within(0, 60),
        };
        let standing = self.spaces[space].0;
        if standing != Standing::In {
            if standing == Standing::Out && self.random.chance(500) {
                let wish = match self.random.below(100) {
                    0..=9 => "refuse",
                    10 => "panic",
                    _ => "",
                };
                self.enter(space, wish);
            } else if standing == Standing::Asked
                && space == LATER
                && self.uid.is_multiple_of(UNDECIDED)
                && self.random.chance(50)
            {
                self.enter_twice(cx, space);
            }
            return;
        }
        let room = self.random.below(ROOMS as usize) as u32;
        let many = self.random.within(1, 9) as u32;
        match self.random.below(1000) {
            0..=299 => self.say_event(space, "echo", 0, bytes),
            300..=349 => self.say_event(space, "many", many, bytes),
            350..=399 => self.say_event(space, "binary", 0, bytes),
            400..=439 => self.say_event(space, "volatile", 0, bytes),
            440..=519 => self.say_bytes(space, bytes),
            520..=599 => self.say_event(space, "join", room, 0),
            600..=619 => self.say_event(space, "leave", room, 0),
            620..=699 => self.say_event(space, "others", room, bytes),
            700..=779 => self.say_event(space, "all", room, bytes),
            780..=859 => {
                let timeout_us = self.random.pick(&[0, 500, 5000, 50_000]);
                self.say_event(space, "ask", timeout_us, 0);
            }
            860..=889 => self.say_event(space, "gather", room, 0),
            890..=899 => self.say_event(space, "quit", 0, 0),
            900..=904 => self.say_event(space, "close", 0, 0),
            905..=907 => self.say_event(space, "panic", 0, 0),
            908..=924 => {
                cx.ledger.count(Row::ClientLeaves);
                self.excuse(cx, &[Reason::ClientDisconnect]);
                self.say(format!("41{}", prefix(space)), None, What::Leave(space));
                self.spaces[space].0 = Standing::Out;
            }
            925..=929 => self.enter_twice(cx, space),
            _ => self.say_event(space, "none", 0, bytes),
        }
    }

    /// Ends its session, in one of the ways there are, or falls silent.
    pub fn end(&mut self, cx: &mut Cx<'_>) {
        if self.phase != Phase::Open || self.is_silenced {
            return;
        }
        let is_settled = self.is_on_ws || self.ws.is_none();
        match self.random.below(24) {
            0..=5 => {
                self.is_closing = true;
                self.excuse(cx, &[Reason::TransportClose]);
                self.say("1".into(), None, What::Close);
            }
            6..=8 => {
                self.is_mute = true;
                if self.is_on_ws {
                    // What it does not take may end it first.
                    self.excuse(cx, &[Reason::TransportError]);
                }
            }
            9 | 10 => {
                cx.ledger.count(Row::SilentButPolling);
                self.is_shy = true;
            }
            11 | 12 if is_settled => {
                self.excuse(cx, &[Reason::ParseError]);
                self.is_closing = true;
                let nonsense = self.random.pick(&["x", "4", "42{", "42[\"x\""]);
                self.say(nonsense.into(), None, What::Close);
            }
            13 | 14 if self.is_on_ws => {
                self.excuse(cx, &[Reason::TransportClose]);
                let end = self.random.pick(&[End::Finished, End::Closed, End::Reset]);
                self.ws.iter().for_each(|ws| ws.wire.end(cx.net, end));
                self.over(cx);
            }
            13..=15 => {
                let is_noted = self.is_polling_now();
                self.abort_poll(cx);
                if is_noted && self.random.chance(500) {
                    self.is_mute = true;
                }
            }
            16 if !self.is_on_ws && self.is_polling_now() => {
                cx.ledger.count(Row::TwoPolls);
                self.excuse(cx, &[Reason::TransportError]);
                (self.may_lack, self.is_muddled) = (true, true);
                self.ask(cx, Ask::Poll);
            }
            17 if self.is_on_ws => {
                // A frame that is not masked.
                self.excuse(cx, &[Reason::TransportError]);
                self.is_closing = true;
                self.ws.iter_mut().for_each(|ws| ws.wire.out.extend_from_slice(b"\x81\x02hi"));
            }
            _ => self.ops_left = self.random.below(30),
        }
    }
}
