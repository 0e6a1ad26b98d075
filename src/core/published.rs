//! A publication with the compressed forms of it that its receivers have agreed on.
//!
//! A form is made when the first receiver of its window asks for it, by that one's shard, and shared with all others of the
//! window, on all shards. Two shards that ask at the same moment both make it, and one is dropped: none waits for the
//! other. A form refers to no message before it, so it fits every receiver.

use std::sync::{Arc, OnceLock};

use crate::base::slow::Mark;
use crate::proto::ws::deflate::{Deflater, WINDOW_BITS};
use crate::proto::ws::{Message, Opcode, encode};

use super::publication::Publication;

/// How many windows there are.
pub(super) const WINDOWS: usize = (*WINDOW_BITS.end() - *WINDOW_BITS.start()) as usize + 1;

/// The place of a window in tables of them.
pub(super) const fn window_index(bits: u8) -> usize {
    (bits - *WINDOW_BITS.start()) as usize
}

/// A message on its way to many. Cloning costs one atomic increment, or two.
#[derive(Clone, Debug)]
pub struct Published {
    pub(super) plain: Publication,
    pub(super) forms: Option<Arc<Forms>>,
}

/// The compressed forms.
#[derive(Debug)]
pub(super) struct Forms {
    /// By window; `None` where it would be no smaller.
    by_window: [OnceLock<Option<Publication>>; WINDOWS],
    /// Frames of fewer payload bytes stay as they are.
    bytes_min: usize,
}

impl Published {
    /// Encodes `message` for the topic, to be compressed for whom it may be, where it has `deflate_from` bytes or more.
    /// `assembly` is only working space.
    pub fn new(topic: &str, message: Message<'_>, deflate_from: usize, assembly: &mut Vec<u8>) -> Self {
        Self::of(Publication::new(topic, message, assembly), message.len(), deflate_from)
    }

    /// Shares frames that are encoded already, for a service that finds the subscribers by itself: those of `frames` from `frame_at`
    /// on, behind what they are about. The payload of the longest has `longest` bytes.
    pub fn of_frames(frames: &[u8], frame_at: usize, longest: usize, deflate_from: usize) -> Self {
        Self::of(Publication::of_frames(frames, frame_at), longest, deflate_from)
    }

    fn of(plain: Publication, longest: usize, deflate_from: usize) -> Self {
        let forms = (longest >= deflate_from)
            .then(|| Arc::new(Forms { by_window: Default::default(), bytes_min: deflate_from }));
        Self { plain, forms }
    }

    /// The same with this mark.
    #[must_use]
    pub const fn marked(mut self, mark: Mark) -> Self {
        self.plain.set_mark(mark);
        self
    }

    /// What becomes of it where a subscriber reads too slowly.
    #[inline]
    pub const fn mark(&self) -> Mark {
        self.plain.mark()
    }

    /// The mark that it has for those who get only the latest of each topic.
    #[cfg(feature = "socketio")]
    pub(crate) fn topic_mark(&self) -> Mark {
        self.plain.topic_mark()
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        self.plain.topic()
    }

    /// The frames as nobody's agreement changes them.
    pub fn frame(&self) -> &[u8] {
        self.plain.frame()
    }

    /// Bytes it occupies, for the limits of mailboxes. Of the forms, which are smaller, there may be seven more.
    pub fn bytes(&self) -> usize {
        self.plain.bytes()
    }
}

impl Forms {
    /// The form of a window: `None` where it has to be made, `Some(None)` where the plain one is the better.
    pub(super) fn found(&self, window_bits: u8) -> Option<Option<&Publication>> {
        self.by_window[window_index(window_bits)].get().map(Option::as_ref)
    }

    /// Makes the form, and shares it unless another shard has been quicker.
    pub(super) fn make(
        &self,
        plain: &Publication,
        deflater: &mut Deflater,
        window_bits: u8,
    ) -> Option<&Publication> {
        let cell = &self.by_window[window_index(window_bits)];
        let form = deflated(plain, self.bytes_min, deflater);
        // Who was not the first uses the other's: subscribers with the same bytes share a batch.
        drop(
            cell.set(
                form.map(|bytes| Publication::of_frames(&bytes, plain.topic().len()).marked(plain.mark())),
            ),
        );
        cell.get().and_then(Option::as_ref)
    }
}

/// The topic and the frames, each compressed where it is worth it; `None` where none was.
fn deflated(plain: &Publication, bytes_min: usize, deflater: &mut Deflater) -> Option<Vec<u8>> {
    let (mut out, mut payload) = (Vec::with_capacity(plain.bytes()), Vec::new());
    out.extend_from_slice(plain.topic().as_bytes());
    let (mut rest, mut is_smaller) = (plain.frame(), false);
    while let Some((opcode, plain, behind)) = next_frame(rest) {
        payload.clear();
        if plain.len() >= bytes_min && deflater.deflate(plain, false, &mut payload) {
            out.extend_from_slice(encode::compressed_header(opcode, payload.len()).as_bytes());
            out.extend_from_slice(&payload);
            is_smaller = true;
        } else {
            out.extend_from_slice(&rest[..rest.len() - behind.len()]);
        }
        rest = behind;
    }
    is_smaller.then_some(out)
}

/// The first of frames that throng has written: its opcode, its payload, and what is behind it.
fn next_frame(frames: &[u8]) -> Option<(Opcode, &[u8], &[u8])> {
    let (&[first, length], rest) = frames.split_first_chunk()?;
    let (len, rest) = match length {
        126 => rest.split_first_chunk().map(|(len, rest)| (u64::from(u16::from_be_bytes(*len)), rest))?,
        127 => rest.split_first_chunk().map(|(len, rest)| (u64::from_be_bytes(*len), rest))?,
        short => (u64::from(short), rest),
    };
    let (payload, behind) = rest.split_at_checked(len as usize)?;
    let opcode = if first & 0x0f == Opcode::Text as u8 { Opcode::Text } else { Opcode::Binary };
    Some((opcode, payload, behind))
}

#[cfg(all(test, feature = "deflate"))]
mod tests {
    use super::*;
    use crate::base::pool::Pool;
    use crate::proto::ws::deflate::Inflater;

    #[test]
    fn each_window_has_one_form_whoever_asks() {
        let message = "so much of it is the same ".repeat(100);
        let published =
            Published::new("t", Message::Text(&message), 1000, &mut Vec::new()).marked(Mark::OLDEST);
        let forms = published.forms.clone().unwrap();
        for bits in WINDOW_BITS {
            assert!(forms.found(bits).is_none());
            let mut deflater = Deflater::new(1, bits);
            let made = forms.make(&published.plain, &mut deflater, bits).unwrap().clone();
            // Another shard that has looked before this one was done.
            assert!(forms.make(&published.plain, &mut deflater, bits).unwrap().is(&made));
            assert!(forms.found(bits).unwrap().unwrap().is(&made));
            let (_, payload, behind) = next_frame(made.frame()).unwrap();
            assert!(made.frame()[0] == 0xc1 && behind.is_empty());
            assert_eq!((made.topic(), made.mark()), ("t", Mark::OLDEST));
            let (bytes, len) = Inflater::new(15).inflate(payload, 3000, false, &mut Pool::new()).unwrap();
            assert_eq!(&bytes[..len], message.as_bytes());
        }
    }

    #[test]
    fn what_is_short_or_does_not_shrink_stays_plain() {
        assert!(Published::new("t", Message::Text("short"), 6, &mut Vec::new()).forms.is_none());
        let noise: Vec<u8> = std::iter::successors(Some(1_u64), |state| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        })
        .map(|state| (state >> 56) as u8)
        .take(2000)
        .collect();
        let published = Published::new("t", Message::Binary(&noise), 6, &mut Vec::new());
        let forms = published.forms.as_ref().unwrap();
        assert!(forms.make(&published.plain, &mut Deflater::new(1, 9), 9).is_none());
        assert!(forms.found(9).unwrap().is_none());
    }

    /// A packet and its attachments: each frame by itself, in order, whatever form its length has.
    #[test]
    fn frames_are_compressed_one_by_one() {
        let payloads = [vec![b'a'; 70_000], vec![b'b'; 99], vec![b'c'; 100], vec![b'd'; 300], Vec::new()];
        let mut frames = Vec::new();
        for (number, payload) in payloads.iter().enumerate() {
            let text = std::str::from_utf8(payload).unwrap();
            encode::append(
                &mut frames,
                if number == 0 { Message::Text(text) } else { Message::Binary(payload) },
            );
        }
        let made = deflated(&Publication::of_frames(&frames, 0), 100, &mut Deflater::new(6, 15)).unwrap();
        let mut rest = &made[..];
        for payload in &payloads {
            let is_compressed = rest[0] & 0x40 != 0;
            assert_eq!(is_compressed, payload.len() >= 100);
            let (_, sent, behind) = next_frame(rest).unwrap();
            if is_compressed {
                let (bytes, len) = Inflater::new(15).inflate(sent, 70_000, false, &mut Pool::new()).unwrap();
                assert!(bytes[..len] == *payload);
            } else {
                assert!(sent == payload);
            }
            rest = behind;
        }
        assert!(rest.is_empty());
    }
}
