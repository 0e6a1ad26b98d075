//! Frame headers: read, and judged, before a byte of payload is taken in.
//!
//! [`common`] knows by hand the shapes that nearly all traffic has; [`parse`] asks tungstenite's `FrameHeader`, the
//! authority for the format, and a test holds the two together. Called by the decoder and by the carry.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::message::Opcode;
use super::{Limits, Role};
use crate::base::cause::Cause;

/// Bytes of the longest header: two, eight of length, four of mask.
pub(super) const HEAD_BYTES_MAX: usize = 14;

/// Payload bytes of the longest control frame (RFC 6455 §5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// A header that was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    /// The message is compressed, of which this is the first frame (RFC 7692 §6).
    pub(super) compressed: bool,
    /// The mask; zeros in an unmasked frame, where it changes nothing.
    pub(super) mask: [u8; 4],
    /// Bytes of the header itself.
    pub(super) head_len: usize,
    /// Bytes of the payload, within the limit.
    pub(super) len: usize,
}

/// How far a fragmented message has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Open {
    /// Payload bytes so far.
    pub(super) bytes: usize,
    /// Frames so far.
    pub(super) fragments: u32,
    /// Whether it is compressed.
    pub(super) compressed: bool,
}

/// What a header is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) role: Role,
    pub(super) limits: Limits,
    /// Whether compressed messages were agreed on.
    pub(super) inflates: bool,
    /// The message that is in progress, if one is.
    pub(super) open: Option<Open>,
}

/// A whole frame at the start of `bytes`, if it is an unfragmented data frame with a 7- or 16-bit length, rightly
/// masked, within the limit, and no message is in progress. `None` says nothing: [`parse`] then judges.
#[inline(always)]
pub(super) fn common(bytes: &[u8], role: Role, message_bytes_max: usize) -> Option<Head> {
    let &[first, second, high, low] = bytes.first_chunk()?;
    let opcode = match first {
        0x81 => Opcode::Text,
        0x82 => Opcode::Binary,
        _ => return None,
    };
    // The mask bit that must be there is taken away; one too many or too few makes `short` more than 127.
    let (mask_bit, mask_len) = match role {
        Role::Server => (0x80, 4),
        Role::Client => (0, 0),
    };
    let short = second ^ mask_bit;
    let (len, length_end) = match short {
        0..126 => (usize::from(short), 2),
        126 => (usize::from(u16::from_be_bytes([high, low])), 4),
        _ => return None,
    };
    let head_len = length_end + mask_len;
    if len > message_bytes_max || (length_end == 4 && len < 126) || bytes.len() < head_len + len {
        return None;
    }
    let mask = match role {
        Role::Server => *bytes[length_end..].first_chunk()?,
        Role::Client => [0; 4],
    };
    Some(Head { opcode, fin: true, compressed: false, mask, head_len, len })
}

/// The header at the start of `bytes`, or `None` while it is incomplete.
///
/// # Errors
/// The first rule that it breaks. A length is compared in 64 bits, from the header alone, so nothing is ever
/// buffered for a frame that will not be accepted.
pub(super) fn parse(bytes: &[u8], rules: &Rules) -> Result<Option<Head>, Cause> {
    let bytes = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let mut cursor = Cursor::new(bytes);
    // Its one error on a slice is a reserved opcode.
    let Some((header, len)) = FrameHeader::parse(&mut cursor).map_err(|_| Cause::BadFrame)? else {
        return Ok(None);
    };
    let opcode = match header.opcode {
        OpCode::Data(Data::Continue) => Opcode::Continue,
        OpCode::Data(Data::Text) => Opcode::Text,
        OpCode::Data(Data::Binary) => Opcode::Binary,
        OpCode::Control(Control::Close) => Opcode::Close,
        OpCode::Control(Control::Ping) => Opcode::Ping,
        OpCode::Control(Control::Pong) => Opcode::Pong,
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
            return Err(Cause::BadFrame);
        }
    };
    // §5.2: the shortest encoding of a length is the only one allowed, and 64 bits begin with a 0.
    let length_is_right = match bytes[1] & 0x7f {
        127 => len > u64::from(u16::MAX) && len >> 63 == 0,
        126 => len > 125,
        _ => true,
    };
    let masking_is_right = header.mask.is_some() == (rules.role == Role::Server);
    let order_is_right = match opcode {
        Opcode::Continue => rules.open.is_some(),
        Opcode::Text | Opcode::Binary => rules.open.is_none(),
        Opcode::Close | Opcode::Ping | Opcode::Pong => header.is_final && len <= CONTROL_BYTES_MAX as u64,
    };
    // RFC 7692 §6: it stands on the first frame of a message, and nowhere else.
    let rsv1_is_right = !header.rsv1 || (rules.inflates && matches!(opcode, Opcode::Text | Opcode::Binary));
    if !rsv1_is_right
        || header.rsv2
        || header.rsv3
        || !length_is_right
        || !masking_is_right
        || !order_is_right
    {
        return Err(Cause::BadFrame);
    }
    if !opcode.is_control() {
        let open = rules.open.unwrap_or(Open { bytes: 0, fragments: 0, compressed: header.rsv1 });
        if open.fragments >= rules.limits.fragments_max {
            return Err(Cause::TooManyFragments);
        }
        let most = if open.compressed {
            rules.limits.compressed_bytes_max()
        } else {
            rules.limits.message_bytes_max
        };
        if len > most.saturating_sub(open.bytes) as u64 {
            return Err(Cause::MessageTooBig);
        }
    }
    Ok(Some(Head {
        opcode,
        fin: header.is_final,
        compressed: header.rsv1,
        mask: header.mask.unwrap_or_default(),
        head_len: cursor.position() as usize,
        len: len as usize,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 2] = [Role::Server, Role::Client];

    fn rules(role: Role, message_bytes_max: usize, open: Option<Open>) -> Rules {
        Rules { role, limits: Limits { message_bytes_max, fragments_max: 3 }, inflates: false, open }
    }

    /// All 65,536 first two bytes, with lengths behind them that are right, too short for their form, and too long.
    #[test]
    fn the_fast_path_accepts_only_what_the_authority_accepts_and_reads_it_the_same() {
        let mut agreed = 0;
        for [first, second] in (0..=u16::MAX).map(u16::to_be_bytes) {
            for behind in [0u64, 125, 126, 300, 70_000, u64::MAX] {
                let mut bytes = vec![first, second];
                match second & 0x7f {
                    126 => bytes.extend((behind as u16).to_be_bytes()),
                    127 => bytes.extend(behind.to_be_bytes()),
                    _ if behind > 0 => continue,
                    _ => {}
                }
                bytes.extend([9, 8, 7, 6]);
                bytes.resize(400, 1);
                for role in ROLES {
                    let judged = parse(&bytes, &rules(role, 299, None));
                    if let Some(head) = common(&bytes, role, 299) {
                        assert_eq!(judged, Ok(Some(head)), "{first:#x} {second:#x} {behind}");
                        agreed += 1;
                    } else if let Ok(Some(head)) = judged {
                        let plain = matches!(head.opcode, Opcode::Text | Opcode::Binary) && head.fin;
                        assert!(!plain, "the fast path misses {first:#x} {second:#x} {behind}");
                    }
                }
            }
        }
        // Per role: text and binary, each with 126 short lengths and 126 as the one right 16-bit length, and 125 is
        // not minimal, 300 above the limit.
        assert_eq!(agreed, 2 * 2 * (126 + 1));
    }

    #[test]
    fn the_fast_path_wants_the_whole_frame() {
        let bytes = [0x82, 0x85, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        for end in 0..bytes.len() {
            assert_eq!(common(&bytes[..end], Role::Server, 100), None, "{end} bytes");
        }
        let whole = common(&bytes, Role::Server, 100);
        assert!(whole.is_some_and(|head| head.len == 5 && head.head_len == 6 && head.mask == [1, 2, 3, 4]));
    }

    #[test]
    fn an_incomplete_header_is_no_error_and_no_frame() {
        for bytes in [&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4][..], &[0x82, 0xfe, 1, 0, 1, 2, 3, 4]]
        {
            for end in 0..bytes.len() {
                assert_eq!(
                    parse(&bytes[..end], &rules(Role::Server, 1 << 20, None)),
                    Ok(None),
                    "{end} bytes"
                );
            }
            assert!(matches!(parse(bytes, &rules(Role::Server, 1 << 20, None)), Ok(Some(_))));
        }
    }

    /// Every first byte, with compression agreed on and without.
    #[test]
    fn rsv1_is_for_the_first_frame_of_a_message_where_it_was_agreed_on() {
        let open = Some(Open { bytes: 1, fragments: 1, compressed: true });
        for (first, inflates, open) in (0..=u8::MAX).flat_map(|first| {
            [(first, false, None), (first, true, None), (first, false, open), (first, true, open)]
        }) {
            let rules = Rules { inflates, ..rules(Role::Server, 100, open) };
            let judged = parse(&[first, 0x80, 0, 0, 0, 0], &rules);
            let plain = parse(&[first & !0x40, 0x80, 0, 0, 0, 0], &Rules { inflates: false, ..rules });
            let is_first_of_data = matches!(first & 0x0f, 1 | 2) && open.is_none();
            match plain {
                _ if first & 0x40 == 0 => assert_eq!(judged, plain, "{first:#x}"),
                Ok(Some(plain)) if inflates && is_first_of_data => {
                    assert_eq!(judged, Ok(Some(Head { compressed: true, ..plain })), "{first:#x}");
                }
                _ => assert_eq!(judged, Err(Cause::BadFrame), "{first:#x}"),
            }
        }
    }

    /// What cannot be made smaller becomes a little larger, and is no larger a message for it.
    #[test]
    fn a_compressed_payload_may_be_a_little_longer_than_the_message() {
        let judge = |first: u8, len: u16, open| {
            let [high, low] = len.to_be_bytes();
            let rules = Rules { inflates: true, ..rules(Role::Server, 1024, open) };
            parse(&[first, 0xfe, high, low, 0, 0, 0, 0], &rules).map(|head| head.is_some())
        };
        let most = rules(Role::Server, 1024, None).limits.compressed_bytes_max() as u16;
        assert!((1024 + 6..1400).contains(&most));
        assert_eq!(
            (judge(0xc2, most, None), judge(0xc2, most + 1, None)),
            (Ok(true), Err(Cause::MessageTooBig))
        );
        assert_eq!((judge(0x82, 1024, None), judge(0x82, 1025, None)), (Ok(true), Err(Cause::MessageTooBig)));
        let open = Some(Open { bytes: 500, fragments: 1, compressed: true });
        assert_eq!(
            (judge(0x80, most - 500, open), judge(0x80, most - 499, open)),
            (Ok(true), Err(Cause::MessageTooBig))
        );
    }

    #[test]
    fn the_limit_counts_what_the_message_has_already() {
        let open = |bytes, fragments| Some(Open { bytes, fragments, compressed: false });
        let header = |len: u8| [0x00, 0x80 | len, 0, 0, 0, 0];
        let judge =
            |len, open| parse(&header(len), &rules(Role::Server, 100, open)).map(|head| head.is_some());
        assert_eq!(judge(40, open(60, 1)), Ok(true));
        assert_eq!(judge(41, open(60, 1)), Err(Cause::MessageTooBig));
        assert_eq!(judge(0, open(100, 2)), Ok(true));
        assert_eq!(judge(0, open(0, 3)), Err(Cause::TooManyFragments));
        assert_eq!(judge(0, None), Err(Cause::BadFrame));
    }
}
