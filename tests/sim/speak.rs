//! What a peer says: requests, commands, frames, and what no server may let pass.

use throng::proto::ws::{Opcode, encode};

use super::faults::Fault;
use super::net::Net;
use super::peer::{Kind, Peer, Phase};
use super::words::{TOPICS, message};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

impl Peer {
    /// The first bytes.
    pub(super) fn greet(&mut self) {
        match self.kind {
            Kind::WebSocket => {
                self.requests += 1;
                let path = self.random.pick(&["/", "/", "/", "/move", "/defer", "/panic"]);
                // A planned panic at the door is rare.
                let path = if path == "/panic" && self.random.chance(800) { "/" } else { path };
                let number = self.random.below(3);
                let head = self.head("GET", path, number as u32);
                self.out.extend_from_slice(format!("{head}{UPGRADE}\r\n").as_bytes());
            }
            Kind::Adopted => {}
            Kind::Http => self.request(),
            Kind::Garbage => {
                let garbage = self.random.pick(&[
                    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
                    "hello\r\n\r\n",
                    "GET / HTTP/3.0\r\n\r\n",
                    "",
                ]);
                self.out.extend_from_slice(garbage.as_bytes());
                if garbage.is_empty() {
                    let endless = "X".repeat(20_000);
                    self.out
                        .extend_from_slice(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {endless}").as_bytes());
                }
                self.has_sinned = true;
            }
        }
    }

    fn head(&mut self, method: &str, path: &str, number: u32) -> String {
        let (uid, shard) = (self.uid, self.random.below(self.shards as usize));
        format!("{method} {path}?uid={uid}&n={number}&shard={shard} HTTP/1.1\r\nHost: sim\r\n")
    }

    /// One or more requests at once.
    fn request(&mut self) {
        for _ in 0..self.random.pick(&[1, 1, 1, 1, 3, 12, 150]) {
            self.requests += 1;
            let number = self.requests;
            let path = self.random.pick(&["/", "/", "/move", "/defer", "/defer"]);
            if self.random.chance(700) {
                let head = self.head("GET", path, number);
                self.out.extend_from_slice(format!("{head}\r\n").as_bytes());
                continue;
            }
            let bytes = self.random.pick(&[1, 100, 3000]);
            let head = self.head("POST", "/body", number).replace("&n=", &format!("&len={bytes}&n="));
            let body = "z".repeat(bytes);
            let text = if self.random.chance(500) {
                format!("{head}Content-Length: {bytes}\r\n\r\n{body}")
            } else {
                let (first, second) = body.split_at(bytes / 2);
                let chunk = |part: &str| {
                    if part.is_empty() { String::new() } else { format!("{:x}\r\n{part}\r\n", part.len()) }
                };
                format!("{head}Transfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n", chunk(first), chunk(second))
            };
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    pub(super) fn next_command(&mut self, net: &mut Net) {
        match (self.kind, self.phase) {
            (Kind::Http, _) => self.request(),
            (_, Phase::Open) => {
                for _ in 0..self.random.pick(&[1, 1, 2, 6, 20]) {
                    self.command(net);
                }
            }
            _ => {}
        }
    }

    /// One command, or a control frame, or a sin.
    fn command(&mut self, net: &mut Net) {
        if self.has_sinned {
            return;
        }
        let bytes = match self.random.below(20) {
            0 => self.random.within(3000, 9000),
            1..=3 => self.random.within(300, 3000),
            _ => self.random.within(10, 200),
        };
        let topic = self.random.below(TOPICS as usize) as u32;
        let other = self.random.within(1, self.uid as usize + 2) as u32;
        let (kind, fields): (u8, Vec<u32>) = match self.random.below(100) {
            0..=34 => (b'E', vec![]),
            35..=39 => (b'D', vec![self.random.within(1, 12) as u32, bytes as u32]),
            40..=49 => (b'S', vec![topic]),
            50..=52 => (b'U', vec![topic]),
            53..=69 => (b'P', vec![topic, bytes as u32]),
            70..=77 => (b'T', vec![other]),
            78..=83 => (b'M', vec![other, self.random.below(8) as u32]),
            84..=87 => (b'R', vec![bytes as u32]),
            88..=91 => (b'W', vec![self.random.within(0, 20_000) as u32]),
            92 => (b'C', vec![self.random.pick(&[1000, 1001, 3000, 4999])]),
            93 => (b'X', vec![]),
            94 => return self.sin(net),
            _ => return self.ping(),
        };
        self.commands += 1;
        let mut all = vec![self.commands];
        all.extend(fields);
        let words = message(kind, &all, if kind == b'E' { bytes } else { 0 });
        if kind == b'E' {
            self.heard.echoes.push_back(words.clone());
        }
        self.frames(&words);
    }

    /// A message, whole or in fragments, with a ping between two of them now and then.
    fn frames(&mut self, words: &[u8]) {
        let mut opcode = if self.random.chance(500) { Opcode::Text } else { Opcode::Binary };
        let mut rest = words;
        while self.random.chance(150) && rest.len() > 1 {
            let (part, later) = rest.split_at(self.random.below(rest.len()));
            self.frame(opcode, false, part);
            (opcode, rest) = (Opcode::Continue, later);
            if self.random.chance(200) {
                self.ping();
            }
        }
        self.frame(opcode, true, rest);
    }

    fn frame(&mut self, opcode: Opcode, fin: bool, payload: &[u8]) {
        let mask = (self.random.next() as u32).to_be_bytes();
        encode::append_masked(&mut self.out, opcode, fin, payload, mask);
    }

    fn ping(&mut self) {
        let number = self.random.next() as u32;
        self.heard.pongs.push_back(number);
        self.frame(Opcode::Ping, true, &number.to_be_bytes());
    }

    pub(super) fn send_close(&mut self) {
        let code = self.random.pick(&[1000_u16, 1001, 4000]);
        self.heard.sent_code = Some(code);
        self.frame(Opcode::Close, true, &code.to_be_bytes());
        self.phase = Phase::Closing;
    }

    pub(super) fn answer_ping(&mut self, payload: &[u8]) {
        self.frame(Opcode::Pong, true, payload);
    }

    /// A frame that breaks the protocol; nothing is said behind it.
    fn sin(&mut self, net: &mut Net) {
        net.faults.count(Fault::MalformedFrame, 1);
        self.has_sinned = true;
        self.ops_left = 0;
        let sin: &[u8] = self.random.pick(&[
            b"\x81\x02hi",
            b"\x83\x80\0\0\0\0",
            b"\xc1\x80\0\0\0\0",
            b"\x80\x80\0\0\0\0",
            b"\x81\x82\0\0\0\0\xff\xff",
            b"\x88\x81\0\0\0\0\x03",
            b"\x88\x82\0\0\0\0\x03\xed",
            b"\x82\xff\0\0\0\0\0\xff\xff\xff\0\0\0\0",
        ]);
        self.out.extend_from_slice(sin);
    }
}
