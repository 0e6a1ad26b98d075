//! A published message: its topic and its frame, encoded once, shared by every subscriber of every shard.
//!
//! One allocation holds both, so a publish costs one whatever the number of subscribers and shards.

use std::sync::Arc;

use crate::proto::ws::{Message, encode};

/// A message on its way to a topic's subscribers. Cloning costs one atomic increment.
#[derive(Clone, Debug)]
pub struct Publication {
    bytes: Arc<[u8]>,
    frame_at: u32,
}

impl Publication {
    /// Encodes `message` for the topic. `assembly` is only working space.
    pub fn new(topic: &str, message: Message<'_>, assembly: &mut Vec<u8>) -> Self {
        assembly.clear();
        assembly.extend_from_slice(topic.as_bytes());
        encode::append(assembly, message);
        let publication = Self { bytes: assembly.as_slice().into(), frame_at: topic.len() as u32 };
        if assembly.capacity() > ASSEMBLY_KEPT_BYTES {
            *assembly = Vec::new();
        }
        publication
    }

    /// Shares frames that are encoded already, for a service that finds the subscribers by itself.
    pub fn of_frames(frames: &[u8]) -> Self {
        Self { bytes: frames.into(), frame_at: 0 }
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
