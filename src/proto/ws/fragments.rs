//! A fragmented message in progress: assembled by tungstenite's `WebSocketContext`, or gathered to be inflated.
//!
//! A compressed message is inflated when it is whole, so that a connection without a context of its own needs none for the
//! length of a message either. The context of tungstenite lives for the length of one message. It is fed whole data frames only, so it holds nothing of a
//! frame when it returns the message, and can be dropped. It never sees a control frame, so it never has anything
//! to reply. Called by the decoder, which has checked every header before.

use std::io::{self, Read, Write};

use tungstenite::protocol::{Message as Assembled, Role as ContextRole, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, error::CapacityError};

use super::head::{Head, Open};
use super::message::{Message, Opcode};
use super::{Limits, encode};
use crate::base::cause::Cause;
use crate::base::pool::{Pool, extend};

/// Bytes the context reads at a time. It zeroes that much before every read, so 1 KiB is dearest to nobody: 15 ns
/// for a fragment of 20 bytes, 16 reads for one of 16 KiB.
const READ_BUFFER_BYTES: usize = 1 << 10;

/// A message of which the last frame is still to come, or has just come.
#[expect(
    clippy::large_enum_variant,
    reason = "a carry holds it boxed, and only while a message is in pieces"
)]
#[derive(Debug)]
pub(super) enum Partial {
    Plain(Fragments),
    Compressed(Gathered),
}

impl Partial {
    /// For the message that begins with a frame of this header.
    pub(super) fn new(first: &Head, limits: Limits) -> Self {
        if first.compressed {
            return Self::Compressed(Gathered { opcode: first.opcode, bytes: Vec::new(), fragments: 0 });
        }
        Self::Plain(Fragments::new(limits))
    }

    pub(super) fn open(&self) -> Open {
        match self {
            Self::Plain(fragments) => fragments.open,
            Self::Compressed(Gathered { bytes, fragments, .. }) => {
                Open { bytes: bytes.len(), fragments: *fragments, compressed: true }
            }
        }
    }

    /// Bytes of buffers, at most: the context's own cannot be asked for, and grow by doubling.
    pub(super) fn bytes_held(&self) -> usize {
        match self {
            Self::Plain(fragments) => READ_BUFFER_BYTES + 2 * fragments.open.bytes,
            Self::Compressed(gathered) => gathered.bytes.capacity(),
        }
    }

    /// The whole message, once [`add`](Self::add) has said that it is complete. A compressed one is the decoder's to inflate.
    pub(super) fn message(&self) -> Option<Message<'_>> {
        match self {
            Self::Plain(fragments) => fragments.message(),
            Self::Compressed(_) => None,
        }
    }

    /// Adds a frame. Returns whether the message is complete.
    ///
    /// # Errors
    /// `BadUtf8` as soon as text that is not compressed is wrong.
    pub(super) fn add(&mut self, head: &Head, payload: &[u8], buffers: &mut Pool) -> Result<bool, Cause> {
        match self {
            Self::Plain(fragments) => fragments.add(head, payload),
            Self::Compressed(gathered) => {
                gathered.fragments += 1;
                buffers.grow(&mut gathered.bytes, payload.len());
                extend(&mut gathered.bytes, payload);
                Ok(head.fin)
            }
        }
    }
}

/// The payload of a compressed message, as far as it has come.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) opcode: Opcode,
    pub(super) bytes: Vec<u8>,
    fragments: u32,
}

#[derive(Debug)]
pub(super) struct Fragments {
    context: WebSocketContext,
    open: Open,
    assembled: Option<Assembled>,
}

impl Fragments {
    fn new(limits: Limits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(limits.message_bytes_max))
            .max_frame_size(Some(limits.message_bytes_max));
        // Masks are checked and taken away before a frame gets here, whichever side sent it. So the context reads
        // what a server sends, and that is the client's role.
        let context = WebSocketContext::new(ContextRole::Client, Some(config));
        Self { context, open: Open::default(), assembled: None }
    }

    /// Adds a frame. Returns whether the message is complete.
    ///
    /// # Errors
    /// `BadUtf8` as soon as the text is wrong.
    fn add(&mut self, head: &Head, payload: &[u8]) -> Result<bool, Cause> {
        self.open.fragments += 1;
        self.open.bytes += payload.len();
        let header = encode::header(head.opcode, head.fin, payload.len());
        match self.context.read(&mut Feed { header: header.as_bytes(), payload }) {
            Ok(message @ (Assembled::Text(_) | Assembled::Binary(_))) => {
                self.assembled = Some(message);
                Ok(true)
            }
            // The frame is used up and the message goes on.
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(Error::Utf8(_)) => Err(Cause::BadUtf8),
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => Err(Cause::MessageTooBig),
            _ => Err(Cause::BadFrame),
        }
    }

    fn message(&self) -> Option<Message<'_>> {
        match self.assembled.as_ref()? {
            Assembled::Text(text) => Some(Message::Text(text)),
            Assembled::Binary(bytes) => Some(Message::Binary(bytes)),
            _ => None,
        }
    }
}

/// The context's stream: one frame to read, then nothing more for now. What it writes goes nowhere.
struct Feed<'a> {
    header: &'a [u8],
    payload: &'a [u8],
}

impl Read for Feed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from_header = self.header.read(into)?;
        let n = from_header + self.payload.read(&mut into[from_header..])?;
        if n == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(n)
    }
}

impl Write for Feed<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
