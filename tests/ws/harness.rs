//! Drives the decoder over a stream that is whole or cut anywhere, and tungstenite over the same bytes.
//!
//! Shared by the tests and the fuzz targets, each of which takes what it needs.
#![allow(dead_code, unreachable_pub)]

use std::io::{self, Read, Write};

use throng::Cause;
use throng::proto::ws::deflate::Agreed;
use throng::proto::ws::{Carry, Decoder, Item, Limits, Message, Role, Store};
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message as TheirMessage};

/// An item that owns what it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Item<'_>> for Event {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Message(Message::Text(text)) => Self::Text(text.to_owned()),
            Item::Message(Message::Binary(bytes)) => Self::Binary(bytes.to_owned()),
            Item::Ping(payload) => Self::Ping(payload.to_owned()),
            Item::Pong(payload) => Self::Pong(payload.to_owned()),
            Item::Close { code, reason } => Self::Close(code, reason.to_owned()),
        }
    }
}

/// What a stream came to: its items, and the cause of its end if it broke a rule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    pub events: Vec<Event>,
    pub end: Option<Cause>,
}

impl Outcome {
    fn is_over(&self) -> bool {
        self.end.is_some() || matches!(self.events.last(), Some(Event::Close(..)))
    }
}

/// A connection's reads, one after the other.
pub struct Reader {
    pub role: Role,
    pub limits: Limits,
    pub agreed: Agreed,
    pub store: Store,
    pub carry: Option<Box<Carry>>,
    pub outcome: Outcome,
    /// Payload and header bytes of the frame in the carry can be no more than this.
    unfinished: usize,
}

impl Reader {
    pub fn new(role: Role, limits: Limits) -> Self {
        let store = Store::new();
        Self {
            role,
            limits,
            agreed: Agreed::NOTHING,
            store,
            carry: None,
            outcome: Outcome::default(),
            unfinished: 0,
        }
    }

    /// One read of `bytes`, the first of them straight into the carry if `direct` says so and it wants them.
    pub fn read(&mut self, bytes: &[u8], direct: bool) {
        if self.outcome.is_over() {
            return;
        }
        self.unfinished += bytes.len();
        let mut bytes = bytes;
        if let Some(carry) = self.carry.as_mut().filter(|_| direct) {
            let want = carry.want(&mut self.store);
            let n = want.len().min(bytes.len());
            want[..n].copy_from_slice(&bytes[..n]);
            carry.filled(n);
            bytes = &bytes[n..];
        }
        let mut scratch = bytes.to_vec();
        let decoder = Decoder::new(self.role, self.limits, self.carry.take(), &mut scratch);
        let mut decoder = decoder.agreed(self.agreed);
        loop {
            match decoder.next(&mut self.store) {
                Ok(Some(item)) => self.outcome.events.push(item.into()),
                Ok(None) => break,
                Err(cause) => {
                    self.outcome.end = Some(cause);
                    break;
                }
            }
        }
        assert!(decoder.rest().is_empty());
        assert_eq!(decoder.next(&mut self.store), Ok(None), "an end stays the end");
        let finished = decoder.finish(&mut self.store);
        self.carry = finished.carry;
        if let Some(buffer) = finished.retired {
            self.store.buffers.give(buffer);
        }
        match &self.carry {
            Some(carry) => {
                assert!(!self.outcome.is_over(), "nothing is carried past the end");
                assert!(
                    carry.capacity() <= 2 * self.unfinished + 4096,
                    "a carry grows with what has arrived"
                );
            }
            None => self.unfinished = 0,
        }
    }

    /// Reads the stream in pieces of these sizes, over and over.
    pub fn cut(mut self, stream: &[u8], sizes: &[usize], direct: bool) -> Outcome {
        let (mut rest, mut sizes) = (stream, sizes.iter().cycle());
        while !rest.is_empty() {
            let size = sizes.next().map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
            let (now, later) = rest.split_at(size);
            self.read(now, direct);
            rest = later;
        }
        self.outcome
    }
}

/// The stream in one read.
pub fn whole(role: Role, limits: Limits, stream: &[u8]) -> Outcome {
    let mut reader = Reader::new(role, limits);
    reader.read(stream, false);
    reader.outcome
}

/// The stream in reads of these sizes, over and over.
pub fn cut(role: Role, limits: Limits, stream: &[u8], sizes: &[usize], direct: bool) -> Outcome {
    Reader::new(role, limits).cut(stream, sizes, direct)
}

/// Serves bytes, then has nothing more for now. What is written is dropped.
struct Memory<'a>(&'a [u8]);

impl Read for Memory<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(into)
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where tungstenite's tolerance begins: the first frame whose length is not in the shortest form, or has its top
/// bit set (RFC 6455 §5.2). tungstenite accepts the one and calls the other too long.
fn first_wrong_length(stream: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        let rest = stream.get(at..)?;
        let (len, length_end, right) = match rest.get(1)? & 0x7f {
            126 => {
                let len = u64::from(u16::from_be_bytes(*rest.get(2..)?.first_chunk()?));
                (len, 4, len > 125)
            }
            127 => {
                let len = u64::from_be_bytes(*rest.get(2..)?.first_chunk()?);
                (len, 10, len > 65_535 && len < 1 << 63)
            }
            short => (u64::from(short), 2, true),
        };
        let head_len = length_end + if rest[1] & 0x80 == 0 { 0 } else { 4 };
        if rest.len() < head_len {
            return None;
        }
        if !right {
            return Some(at);
        }
        at = at.checked_add(head_len)?.checked_add(usize::try_from(len).ok()?)?;
    }
}

/// Asserts that `ours` is what tungstenite makes of the stream, up to where it is meant to differ:
///
/// - it accepts lengths that are not in the shortest form;
/// - it judges a frame when all of it is there, so the stream is padded for it;
/// - it judges a frame's length before its other faults, and a close frame's reason before its code;
/// - it turns a close code that may not be received into 1002.
///
/// Neither may have a limit on fragments for this.
pub fn assert_agrees(role: Role, limits: Limits, stream: &[u8], ours: &Outcome) {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(limits.message_bytes_max))
        // It holds control frames to this too; the limit on messages is not about them.
        .max_frame_size(Some(limits.message_bytes_max.max(125)));
    let their_role = if role == Role::Server { TheirRole::Server } else { TheirRole::Client };
    let mut context = WebSocketContext::new(their_role, Some(config));

    let wrong_length = first_wrong_length(stream);
    let padding = vec![0; limits.message_bytes_max.max(125) + 16];
    let mut padded = false;
    let mut memory = Memory(&stream[..wrong_length.unwrap_or(stream.len())]);
    let mut events = ours.events.iter();
    let fault = loop {
        let theirs = match context.read(&mut memory) {
            Ok(TheirMessage::Text(text)) => Event::Text(text.as_str().to_owned()),
            Ok(TheirMessage::Binary(bytes)) => Event::Binary(bytes.to_vec()),
            Ok(TheirMessage::Ping(bytes)) => Event::Ping(bytes.to_vec()),
            Ok(TheirMessage::Pong(bytes)) => Event::Pong(bytes.to_vec()),
            Ok(TheirMessage::Close(frame)) => match frame {
                Some(frame) => Event::Close(Some(frame.code.into()), frame.reason.as_str().to_owned()),
                None => Event::Close(None, String::new()),
            },
            Ok(TheirMessage::Frame(_)) => unreachable!("tungstenite returns no raw frames"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if wrong_length.is_some() {
                    assert_eq!((ours.end, events.next()), (Some(Cause::BadFrame), None), "a wrong length");
                    return;
                }
                if ours.end.is_none() {
                    assert_eq!(events.next(), None, "tungstenite sees fewer items");
                    return;
                }
                assert!(!padded, "tungstenite accepts it, and we say {:?}", ours.end);
                padded = true;
                memory = Memory(&padding);
                continue;
            }
            Err(fault) => break fault,
        };
        if events.len() == 0 && ours.end == Some(Cause::BadClose) {
            assert_eq!(theirs, Event::Close(Some(1002), "Protocol violation".to_owned()));
            return;
        }
        assert_eq!(events.next(), Some(&theirs), "tungstenite sees another item; we end with {:?}", ours.end);
        if matches!(theirs, Event::Close(..)) {
            assert_eq!((ours.end, events.next()), (None, None), "nothing comes after a close frame");
            return;
        }
    };
    assert_eq!(events.next(), None, "we see more items; tungstenite says {fault}");
    let same = match ours.end {
        Some(Cause::BadFrame) => matches!(fault, Error::Protocol(_) | Error::Capacity(_)),
        Some(Cause::BadClose) => matches!(fault, Error::Protocol(_) | Error::Utf8(_)),
        Some(Cause::BadUtf8) => matches!(fault, Error::Utf8(_)),
        Some(Cause::MessageTooBig) => matches!(fault, Error::Capacity(_)),
        _ => false,
    };
    assert!(same, "we say {:?}, tungstenite says {fault}", ours.end);
}
