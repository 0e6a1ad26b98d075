//! A client that offers compression.

use std::io::{Read, Write};
use std::net::TcpStream;

use throng::ConnId;
use throng::proto::ws::deflate::{Agreed, Deflater};
use throng::proto::ws::{Carry, Decoder, Item, Limits, Opcode, Role, Store, encode};

use crate::probe::Fixture;

const LIMITS: Limits = Limits { message_bytes_max: 64 << 20, fragments_max: 1000 };

/// A client that compresses, and sees of what it gets whether it was compressed.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    /// What the server has answered to the offer.
    pub(super) answer: String,
    pub(super) deflater: Option<Deflater>,
    keeps_context: bool,
    /// As the decoder sees it, for which the other side is the client.
    theirs: Agreed,
    store: Store,
    carry: Option<Box<Carry>>,
    /// Bytes that came and were not decoded yet.
    unread: Vec<u8>,
}

impl Peer {
    pub(super) fn connect(fixture: &Fixture, path: &str, offer: &str) -> (Self, ConnId) {
        let mut stream = fixture.stream();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Extensions: {offer}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let answer = answer
            .split_once("Sec-WebSocket-Extensions: ")
            .map_or("", |(_, rest)| rest.lines().next().unwrap());
        let keeps_context = !answer.contains("client_no_context_takeover");
        let theirs = Agreed::windows(15, 15).takeover(false, !answer.contains("server_no_context_takeover"));
        let peer = Self {
            stream,
            answer: answer.to_owned(),
            deflater: (!answer.is_empty()).then(|| Deflater::new(6, 15)),
            keeps_context,
            theirs: if answer.is_empty() { Agreed::NOTHING } else { theirs },
            store: Store::new(),
            carry: None,
            unread: Vec::new(),
        };
        (peer, fixture.opened())
    }

    pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        encode::append_masked(&mut frame, Opcode::Binary, true, payload, [1, 2, 3, 4]);
        frame[0] = first;
        frame
    }

    /// A message, compressed if it can be.
    pub(super) fn compressed(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        let deflater = self.deflater.as_mut().unwrap();
        match deflater.deflate(message, self.keeps_context, &mut payload) {
            true => Self::frame(0xc2, &payload),
            false => Self::frame(0x82, message),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message, and whether its frame was a compressed one; or the code that the server closes with.
    pub(super) fn next(&mut self) -> Result<(Vec<u8>, bool), u16> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            // One frame after the other, so that it is known which one a message came in.
            let whole = frame_len(&self.unread).filter(|&len| len <= self.unread.len());
            let Some(len) = whole else {
                let n = self.stream.read(&mut buffer).unwrap();
                assert!(n > 0, "the server has closed without a word");
                self.unread.extend_from_slice(&buffer[..n]);
                continue;
            };
            let mut frame: Vec<u8> = self.unread.drain(..len).collect();
            let is_compressed = frame[0] & 0x40 != 0;
            let mut decoder =
                Decoder::new(Role::Client, LIMITS, self.carry.take(), &mut frame).agreed(self.theirs);
            let item = match decoder.next(&mut self.store).expect("the server keeps to the rules") {
                Some(Item::Message(message)) => Some(Ok((message.as_bytes().to_vec(), is_compressed))),
                Some(Item::Close { code, .. }) => Some(Err(code.unwrap())),
                _ => None,
            };
            self.carry = decoder.finish(&mut self.store).carry;
            if let Some(item) = item {
                return item;
            }
        }
    }
}

/// How long the first of a server's frames is.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    let len = usize::from(*bytes.get(1)?);
    Some(match len {
        126 => 4 + usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())),
        127 => 10 + u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize,
        len => 2 + len,
    })
}
