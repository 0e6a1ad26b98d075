//! A published message: its topic and its frame, encoded once, shared by every subscriber of every shard.
//!
//! One allocation holds both, so a publish costs one whatever the number of subscribers and shards.

use std::sync::Arc;

use crate::base::slow::Mark;
use crate::proto::ws::{Message, encode};

/// A message on its way to a topic's subscribers. Cloning costs one atomic increment.
#[derive(Clone, Debug)]
pub struct Publication {
    bytes: Arc<[u8]>,
    frame_at: u32,
    mark: Mark,
}

impl Publication {
    /// Encodes `message` for the topic. `assembly` is only working space.
    pub fn new(topic: &str, message: Message<'_>, assembly: &mut Vec<u8>) -> Self {
        assembly.clear();
        assembly.extend_from_slice(topic.as_bytes());
        encode::append(assembly, message);
        let bytes = assembly.as_slice().into();
        let publication = Self { bytes, frame_at: topic.len() as u32, mark: Mark::UNSET };
        if assembly.capacity() > ASSEMBLY_KEPT_BYTES {
            *assembly = Vec::new();
        }
        publication
    }

    /// Shares frames that are encoded already, for a service that finds the subscribers by itself: those of `bytes` from
    /// `frame_at` on, behind what they are about.
    pub fn of_frames(bytes: &[u8], frame_at: usize) -> Self {
        Self { bytes: bytes.into(), frame_at: frame_at as u32, mark: Mark::UNSET }
    }

    /// The same with this mark.
    #[must_use]
    pub const fn marked(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }

    pub(super) const fn set_mark(&mut self, mark: Mark) {
        self.mark = mark;
    }

    /// What becomes of it where a subscriber reads too slowly.
    #[inline]
    pub const fn mark(&self) -> Mark {
        self.mark
    }

    /// The mark that it has for those who get only the latest of each topic.
    pub(crate) fn topic_mark(&self) -> Mark {
        Mark::latest("", self.topic())
    }

    /// Where it lies: no two that are alive have the same.
    pub(super) fn address(&self) -> usize {
        self.bytes.as_ptr() as usize
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.frame_at as usize]).expect("it was made from a str")
    }

    /// The frame, ready to be sent.
    #[inline]
    pub fn frame(&self) -> &[u8] {
        &self.bytes[self.frame_at as usize..]
    }

    /// Bytes it occupies, for the limits of mailboxes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether both are the same publication, not merely equal.
    #[inline]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
    }
}

/// Working space above this is given back: one large publish should not cost its size for ever.
const ASSEMBLY_KEPT_BYTES: usize = 256 << 10;
