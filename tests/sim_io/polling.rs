//! A client's requests: what opens its session, its polls, its POSTs, on whatever connection and shard.

use throng::io::Reason;

use super::bytes::answer;
use super::client::{Client, Cx, Packet, Phase, Standing, What};
use super::net::{End, Net};
use super::rows::Row;
use super::wire::{Pace, Wire};

/// What a request asks.
#[derive(Debug)]
pub enum Ask {
    Open,
    Poll,
    /// What is in it, and when it left.
    Post(Vec<Packet>, u64),
}

/// A connection for requests, and the one that is not answered.
pub struct Http {
    pub wire: Wire,
    pub ask: Option<Ask>,
    is_last: bool,
    was_answered: bool,
}

impl Client {
    pub fn is_polling_now(&self) -> bool {
        self.https.iter().any(|http| matches!(http.ask, Some(Ask::Poll)))
    }

    /// Whether the server has read a poll that it has not answered.
    pub fn is_held(&self, net: &Net) -> bool {
        let polls = self.https.iter().filter(|http| matches!(http.ask, Some(Ask::Poll)));
        polls.map(|http| &http.wire).any(|wire| wire.is_read(net))
    }

    pub fn is_posting_now(&self) -> bool {
        self.https.iter().any(|http| matches!(http.ask, Some(Ask::Post(..))))
    }

    /// Sends a request, on a connection that is there or on a new one.
    pub fn ask(&mut self, cx: &mut Cx<'_>, ask: Ask) {
        let uid = self.uid;
        let sid = if self.sid.is_empty() { String::new() } else { format!("&sid={}", self.sid) };
        let target = format!("/socket.io/?EIO=4&transport=polling{sid}&uid={uid}");
        let request = match &ask {
            Ask::Open | Ask::Poll => format!("GET {target} HTTP/1.1\r\nHost: sim\r\n\r\n").into_bytes(),
            Ask::Post(packets, _) => {
                let body = payload(packets);
                let head = format!("POST {target} HTTP/1.1\r\nHost: sim\r\n");
                if self.random.chance(300) {
                    let (first, second) = body.split_at(self.random.below(body.len()));
                    let chunk = |part: &str| match part.len() {
                        0 => String::new(),
                        len => format!("{len:x}\r\n{part}\r\n"),
                    };
                    format!(
                        "{head}Transfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
                        chunk(first),
                        chunk(second)
                    )
                    .into_bytes()
                } else {
                    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
                }
            }
        };
        let idle =
            self.https.iter().position(|http| http.ask.is_none() && !http.is_last && !http.wire.is_over);
        let at = match idle {
            Some(at) if self.https.len() >= 4 || self.random.chance(600) => at,
            _ => {
                let listener = self.random.below(self.shards);
                let wire = Wire::connect(cx.net, &mut self.random, self.uid, listener);
                self.https.push(Http { wire, ask: None, is_last: false, was_answered: false });
                self.https.len() - 1
            }
        };
        let http = &mut self.https[at];
        http.wire.out.extend_from_slice(&request);
        if !self.sid.is_empty() && http.wire.listener != self.home {
            cx.ledger.count(if matches!(ask, Ask::Poll) { Row::PollElsewhere } else { Row::PostElsewhere });
        }
        http.ask = Some(ask);
    }

    /// Polls and POSTs, as a client does that has not moved.
    pub fn pursue_requests(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.is_paused {
            return false;
        }
        let mut has_asked = false;
        if !self.is_polling_now() && (self.is_good || self.random.chance(700)) {
            self.ask(cx, Ask::Poll);
            has_asked = true;
        }
        let is_silent = self.queue.is_empty() || self.is_silenced || self.is_posting_now();
        if !is_silent && (self.is_good || self.random.chance(700)) {
            let count = self.random.within(1, self.queue.len().min(6));
            let packets: Vec<_> = self.queue.drain(..count).collect();
            if self.queue.front().is_some_and(|packet| packet.is_binary) {
                cx.ledger.count(Row::AttachmentApart);
            }
            if self.ws.is_some() {
                cx.ledger.count(Row::PostDuringProbe);
            }
            if packets.iter().any(|packet| packet.what == What::Close) {
                if self.is_polling_now() {
                    cx.ledger.count(Row::ClosedDuringPoll);
                }
                if self.ws.is_some() {
                    cx.ledger.count(Row::ClosedDuringProbe);
                }
            }
            if packets.iter().any(|packet| packet.what == What::Pong) {
                self.has_time(cx);
            }
            self.ask(cx, Ask::Post(packets, cx.net.now_us));
            has_asked = true;
        }
        has_asked
    }

    /// Lets requests go, and takes what is answered.
    pub fn work_https(&mut self, cx: &mut Cx<'_>, pace: Pace) -> bool {
        let mut has_done = false;
        let mut at = 0;
        while at < self.https.len() {
            has_done |= self.https[at].wire.work(cx.net, pace, &mut self.random);
            while let Some(http) = self.https.get_mut(at)
                && let Some(found) = answer(&http.wire.heard)
            {
                let body = String::from_utf8_lossy(&http.wire.heard[found.body.clone()]).into_owned();
                http.wire.heard.drain(..found.body.end);
                http.is_last |= found.is_last;
                http.was_answered = true;
                let ask = http.ask.take();
                let began_us = cx.net.sockets[http.wire.socket].began_us;
                self.answered(cx, ask, found.status, &body, began_us);
                self.catch_up(cx);
                if self.phase == Phase::Over {
                    return true;
                }
            }
            let is_spare = self.is_good && self.https.len() > 2 && self.https[at].ask.is_none();
            let http = &mut self.https[at];
            if is_spare || http.wire.is_over || http.is_last {
                let http = self.https.remove(at);
                http.wire.end(cx.net, End::Closed);
                self.unanswered(cx, http);
                has_done = true;
            } else {
                at += 1;
            }
        }
        has_done
    }

    /// What came by WebSocket while the last poll was not over.
    fn catch_up(&mut self, cx: &mut Cx<'_>) {
        if self.is_polling_now() {
            return;
        }
        for early in std::mem::take(&mut self.early) {
            if self.phase == Phase::Over {
                return;
            }
            match early {
                Ok(text) => self.hears(cx, &text),
                Err(bytes) => self.hears_bytes(cx, &bytes),
            }
        }
    }

    /// A connection is over, and with it what it may have been asked.
    fn unanswered(&mut self, cx: &mut Cx<'_>, http: Http) {
        let Some(ask) = http.ask else { return };
        if cx.ledger.is_stopping {
            if self.is_on_ws {
                // It goes, and its WebSocket's turn may not have come yet.
                self.excuse(cx, &[Reason::TransportClose]);
            }
            return self.over(cx);
        }
        self.rest(cx);
        let (heard, socket) = (&http.wire.heard, &cx.net.sockets[http.wire.socket]);
        // Turned away, or too slow, and cut off before it could read so.
        let is_slow = u128::from(socket.read_at_us - socket.began_us) >= cx.net.head_timeout.as_micros();
        let is_refused = is_slow || heard.starts_with(b"HTTP/1.1 503") || heard.starts_with(b"HTTP/1.1 408");
        // Let go for its silence in the moment in which it spoke again, or before anybody had looked at it.
        let is_unheard = heard.is_empty() && (http.was_answered || socket.read_at_us == socket.began_us);
        if http.wire.is_read(cx.net) && !is_refused && !is_unheard {
            return self.wrong(cx, &format!("was never answered {ask:?}"));
        }
        if let Ask::Post(packets, _) = ask {
            self.again(cx, packets);
        }
        self.catch_up(cx);
    }

    /// It does not come back at once, and not for ever.
    pub fn rest(&mut self, cx: &mut Cx<'_>) {
        self.rests_until_us = cx.net.now_us + 2000;
        if self.phase == Phase::Opening {
            match self.tries_left.checked_sub(1) {
                Some(left) => self.tries_left = left,
                None => self.over(cx),
            }
        }
    }

    /// Puts packets back that nobody has read; behind a move they would come out of their order.
    fn again(&mut self, cx: &mut Cx<'_>, packets: Vec<Packet>) {
        if self.is_on_ws {
            return self.was_refused(cx, packets, 0);
        }
        packets.into_iter().rev().for_each(|packet| self.queue.push_front(packet));
    }

    fn answered(&mut self, cx: &mut Cx<'_>, ask: Option<Ask>, status: u16, body: &str, began_us: u64) {
        if status == 408 && u128::from(cx.net.now_us - began_us) < cx.net.head_timeout.as_micros() {
            self.wrong(cx, "its head was not given the time it has");
        }
        if matches!(status, 503 | 408) {
            self.rest(cx);
        }
        match (ask, status) {
            // Turned away, or too slow: nobody has looked at it.
            (Some(Ask::Open | Ask::Poll) | None, 503 | 408) => {}
            (Some(Ask::Post(packets, _)), 503 | 408) => self.again(cx, packets),
            (Some(Ask::Open), 200) => self.opened(cx, body),
            (Some(Ask::Poll), 200) => {
                for packet in body.split('\u{1e}') {
                    match packet.strip_prefix('b') {
                        Some(coded) => match data_encoding::BASE64.decode(coded.as_bytes()) {
                            Ok(bytes) => self.hears_bytes(cx, &bytes),
                            Err(_) => self.wrong(cx, &format!("got {packet:?}")),
                        },
                        None => self.hears(cx, packet),
                    }
                    if self.phase == Phase::Over {
                        return;
                    }
                }
            }
            (Some(Ask::Post(packets, sent_us)), 200) => self.was_taken(cx, &packets, sent_us),
            (Some(Ask::Post(packets, _)), 400 | 500) => self.was_refused(cx, packets, status),
            (Some(Ask::Poll), 400) if self.is_on_ws => cx.ledger.count(Row::PollBehindFive),
            (Some(Ask::Poll), 400) => self.over(cx),
            (ask, status) => self.wrong(cx, &format!("was answered {status} to {ask:?}: {body:?}")),
        }
    }

    /// A POST was answered: everything in it was heard.
    fn was_taken(&mut self, cx: &mut Cx<'_>, packets: &[Packet], sent_us: u64) {
        if packets.iter().any(|packet| packet.what == What::Pong) {
            self.ponged(cx, sent_us);
        }
        let last = packets.iter().filter_map(|packet| packet.number).next_back().unwrap_or(0);
        let known = cx.ledger.of(self.uid);
        let has_ended = known.over.is_some() || known.lives.iter().flatten().any(|life| life.ended.is_some());
        if known.heard < last && !has_ended {
            let heard = known.heard;
            self.wrong(
                cx,
                &format!("its {last} was taken by a POST, and {heard} was the last that was heard"),
            );
        }
    }

    fn was_refused(&mut self, cx: &mut Cx<'_>, packets: Vec<Packet>, status: u16) {
        if !self.is_on_ws || status == 500 {
            return self.over(cx);
        }
        cx.ledger.count(Row::PostBehindFive);
        let heard = cx.ledger.of(self.uid).heard;
        for packet in packets {
            if let Some(number) = packet.number
                && heard >= number
                && !cx.ledger.of(self.uid).doubtful.contains(&number)
            {
                self.wrong(cx, &format!("its {number} was refused, and heard"));
            }
            match packet.what {
                What::Connect(space) | What::Leave(space) => self.spaces[space].0 = Standing::Unknown,
                What::Close => self.is_closing = false,
                What::Pong | What::Other => {}
            }
        }
    }

    /// Cuts off the poll that waits.
    pub fn abort_poll(&mut self, cx: &mut Cx<'_>) {
        let Some(at) = self.https.iter().position(|http| matches!(http.ask, Some(Ask::Poll))) else { return };
        cx.ledger.count(Row::PollAborted);
        let http = self.https.remove(at);
        let end = if self.random.chance(500) { End::Reset } else { End::Closed };
        if !cx.net.sockets[http.wire.socket].to_client.is_empty() || !http.wire.heard.is_empty() {
            cx.ledger.count(Row::AbortedAfterAnswer);
        }
        http.wire.end(cx.net, end);
        self.may_lack = true;
        // With all quiet it waited for certain; else its answer may be on its way.
        let is_waiting = cx.times.good_since_us.is_some() && self.ws.is_none() && http.wire.is_read(cx.net);
        // A ping that is due by now would answer it.
        let is_early = cx.net.now_us < self.last_ping_us + cx.times.ping_interval_us / 2;
        cx.ledger.of(self.uid).is_cut |= is_waiting && is_early && !self.is_muddled;
        self.excuse(cx, &[Reason::TransportError]);
        self.catch_up(cx);
    }
}

/// A request's body.
fn payload(packets: &[Packet]) -> String {
    let packets = packets.iter().map(|packet| {
        if packet.is_binary {
            format!("b{}", data_encoding::BASE64.encode(&packet.bytes))
        } else {
            String::from_utf8_lossy(&packet.bytes).into_owned()
        }
    });
    packets.collect::<Vec<_>>().join("\u{1e}")
}
