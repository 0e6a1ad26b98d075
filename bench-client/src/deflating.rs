//! Compressed messages (permessage-deflate, RFC 7692) from the client's side: the flags, what is offered, whether the server has
//! agreed to it, and messages made into compressed frames.
//!
//! Neither side keeps a context: one stream of a worker then serves all of its connections, and a connection costs what it
//! does without. `output` has its frames made here where the flag is given, `handshake` asks about the answer; what comes is
//! inflated by throng's decoder, which `inbound` tells that it may be.

use clap::Args;
use throng::proto::ws::deflate::{Agreed, Deflater, Offers, Terms, WINDOW_BITS};
use throng::proto::ws::mask::unmask;
use throng::proto::ws::{Opcode, encode};

use crate::units;

/// What is offered, as a line behind another one of a request's head.
pub(crate) const OFFER: &[u8] =
    b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; \
                                  server_no_context_takeover";
/// What is agreed on then: the largest windows, of which a server may use less.
pub(crate) const AGREED: Agreed = Agreed::windows(*WINDOW_BITS.end(), *WINDOW_BITS.end());
/// The fastest there is. What a server has to do to inflate a message hardly depends on it.
const LEVEL: u32 = 1;
/// The bit of a frame's first byte that says that its message is compressed (RFC 7692 §6).
const RSV1: u8 = 0x40;

/// Flags about compression.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DeflateFlags {
    /// Offer permessage-deflate (RFC 7692), without context takeover on either side: messages are sent compressed, and those
    /// that come so are inflated. A server that does not agree to it is not measured (exit code 3)
    #[arg(long)]
    deflate: bool,
    /// With --deflate: messages of fewer bytes are sent as they are, as are those that would not be smaller
    #[arg(long, value_name = "BYTES", default_value = "0", requires = "deflate", value_parser = units::bytes)]
    deflate_min: usize,
}

impl DeflateFlags {
    /// The bytes from which messages are compressed, where they are.
    pub(crate) fn from(&self) -> Option<usize> {
        self.deflate.then_some(self.deflate_min)
    }
}

/// Whether the extensions that a server answers with are what was offered: nothing, or the above.
///
/// # Errors
/// What is wrong with them, in words that continue "the server …".
pub(crate) fn check<'a>(
    is_offered: bool,
    fields: impl Iterator<Item = &'a [u8]>,
) -> Result<(), &'static str> {
    let fields: Vec<_> = fields.map(<[u8]>::trim_ascii).filter(|field| !field.is_empty()).collect();
    let terms = Terms { window_bits: *WINDOW_BITS.end(), server_takeover: true, client_takeover: true };
    match fields[..] {
        [] if !is_offered => Ok(()),
        [] => Err(
            "does not agree to compression (permessage-deflate): switch it on there, which for throng is its flag \
                   --deflate too, or measure without --deflate",
        ),
        _ if !is_offered => Err("agreed to an extension that was not offered"),
        [field] if !field.contains(&b',') => {
            let agreed = Offers::parse([field].into_iter()).agree(terms);
            match agreed.is_on() && agreed.client_bits() == AGREED.client_bits() {
                true if agreed.server_takeover() => Err(
                    "agreed to compression without server_no_context_takeover, which it has to say where \
                         that is asked of it (RFC 7692 section 7.1.1.1)",
                ),
                true => Ok(()),
                false => Err("agreed to an extension, or to a window of this client's, that was not offered"),
            }
        }
        _ => Err("agreed to more extensions than were offered"),
    }
}

/// What has come of the messages that were sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Deflated {
    /// Messages that were sent compressed.
    pub(crate) messages: u64,
    /// Their bytes.
    pub(crate) from_bytes: u64,
    /// Bytes of their compressed payloads.
    pub(crate) to_bytes: u64,
}

/// A worker's compressor.
#[derive(Debug)]
pub(crate) struct Deflating {
    stream: Deflater,
    bytes_min: usize,
    /// The message at hand, and what becomes of it.
    message: Vec<u8>,
    payload: Vec<u8>,
    pub(crate) sum: Deflated,
}

impl Deflating {
    /// One for messages from so many bytes on.
    pub(crate) fn new(bytes_min: usize) -> Self {
        let (message, payload) = (Vec::new(), Vec::new());
        let stream = Deflater::new(LEVEL, *WINDOW_BITS.end());
        Self { stream, bytes_min, message, payload, sum: Deflated::default() }
    }

    /// Appends a message with these parts as a compressed frame. False, and nothing is appended, where it is to be sent as it
    /// is: a control frame, a short message, or one that does not become smaller.
    pub(crate) fn append(
        &mut self,
        opcode: Opcode,
        parts: &[&[u8]],
        key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> bool {
        let Self { stream, bytes_min, message, payload, sum } = self;
        message.clear();
        parts.iter().for_each(|part| message.extend_from_slice(part));
        payload.clear();
        let is_message = matches!(opcode, Opcode::Text | Opcode::Binary) && message.len() >= *bytes_min;
        if !is_message || !stream.deflate(message, false, payload) {
            return false;
        }
        let frame = out.len();
        out.extend_from_slice(encode::masked_header(opcode, true, payload.len(), key).as_bytes());
        out[frame] |= RSV1;
        let start = out.len();
        out.extend_from_slice(payload);
        unmask(&mut out[start..], key, 0);
        sum.messages += 1;
        sum.from_bytes += message.len() as u64;
        sum.to_bytes += payload.len() as u64;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_was_offered_or_refused() {
        let ask =
            |is_offered, fields: &[&str]| check(is_offered, fields.iter().map(|field| field.as_bytes()));
        let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for field in [
            both,
            // That the client keeps no context is its own affair (RFC 7692 §7.1.1.2), and a smaller window the server's.
            "permessage-deflate;server_no_context_takeover",
            " permessage-deflate; server_no_context_takeover; server_max_window_bits=10 ",
        ] {
            assert_eq!(ask(true, &[field, ""]), Ok(()), "{field}");
            assert!(ask(false, &[field]).unwrap_err().contains("not offered"));
        }
        assert_eq!(ask(false, &[""]), Ok(()));
        for (fields, word) in [
            (&[][..], "does not agree to compression"),
            (&["", " "], "does not agree to compression"),
            (&["permessage-deflate"], "server_no_context_takeover"),
            (&["permessage-deflate; client_no_context_takeover"], "server_no_context_takeover"),
            (&["x-webkit-deflate-frame"], "not offered"),
            (&["permessage-deflate; server_no_context_takeover; x=1"], "not offered"),
            (&["permessage-deflate; server_no_context_takeover; client_max_window_bits=10"], "not offered"),
            (&[both, both], "more extensions"),
            (&["permessage-deflate; server_no_context_takeover, x"], "more extensions"),
        ] {
            assert!(ask(true, fields).is_err_and(|said| said.contains(word)), "{fields:?}");
        }
    }

    #[test]
    fn the_offer_is_one_that_throng_agrees_to_as_it_stands() {
        let value = OFFER.rsplit(|&byte| byte == b':').next().unwrap();
        let offers = Offers::parse([value].into_iter());
        let terms = Terms { window_bits: 15, server_takeover: true, client_takeover: true };
        assert_eq!(offers.agree(terms), AGREED);
        let mut answer = Vec::new();
        offers.answer(terms, &mut answer);
        assert_eq!(check(true, [&answer[..]].into_iter()), Ok(()));
    }
}
