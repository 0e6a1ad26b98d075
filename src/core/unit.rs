//! One message with all its frames, as it waits in an outbox. Its bytes are its connection's own, or shared.

use crate::base::pool::Pool;
use crate::base::slow::Mark;

use super::publication::Publication;

/// One message with all its frames.
#[derive(Debug)]
pub enum Unit {
    /// This connection's own bytes, those of the buffer from `from` on.
    Own {
        /// The buffer.
        bytes: Vec<u8>,
        /// Where the unit begins in it.
        from: usize,
        /// Whether, and for what, it may be dropped.
        mark: Mark,
    },
    /// A publication's frame, shared.
    Shared(Publication),
}

/// What a unit takes besides its bytes: its entry in a queue that may have twice the room it needs, and the head of an allocation.
pub(crate) const UNIT_BYTES: usize = 64;

const _: () = assert!(size_of::<Unit>() <= 40);

impl Unit {
    /// A unit of a whole buffer, never to be dropped.
    pub fn own(bytes: Vec<u8>) -> Self {
        Self::Own { bytes, from: 0, mark: Mark::KEEP }
    }

    /// How many bytes it is.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether it has none: what is left of a unit that was dropped, while others stand before it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether, and for what, it may be dropped.
    pub const fn mark(&self) -> Mark {
        match self {
            Self::Own { mark, .. } => *mark,
            Self::Shared(publication) => publication.mark(),
        }
    }

    /// The same with this mark.
    #[must_use]
    pub fn marked(mut self, mark: Mark) -> Self {
        match &mut self {
            Self::Own { mark: own, .. } => *own = mark,
            Self::Shared(publication) => publication.set_mark(mark),
        }
        self
    }

    /// The mark that it has for those who get only the latest of each topic.
    pub(super) fn topic_mark(&self) -> Mark {
        match self {
            Self::Own { .. } => Mark::direct(),
            Self::Shared(publication) => publication.topic_mark(),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own { bytes, from, .. } => &bytes[*from..],
            Self::Shared(publication) => publication.frame(),
        }
    }

    /// What it makes the shard hold, shared bytes apart.
    pub(crate) const fn cost(&self) -> usize {
        match self {
            Self::Own { bytes, .. } => bytes.capacity() + UNIT_BYTES,
            Self::Shared(_) => UNIT_BYTES,
        }
    }

    /// The same bytes, shared with nobody.
    pub(super) fn into_own(self, pool: &mut Pool) -> Self {
        let Self::Shared(publication) = self else { return self };
        let mut bytes = pool.take(publication.frame().len());
        bytes.extend_from_slice(publication.frame());
        Self::Own { bytes, from: 0, mark: publication.mark() }
    }

    /// Lets go of room that a buffer has beyond its bytes, for a unit that will wait: buffers come in powers of two, so that a
    /// slow reader's would else hold up to twice what is counted.
    pub(super) fn fit(&mut self) {
        if let Self::Own { bytes, .. } = self
            && bytes.len() > JOINED_BYTES_MAX
            && bytes.capacity() > bytes.len() + bytes.len() / 8
        {
            bytes.shrink_to_fit();
        }
    }

    /// Gives its buffer back.
    pub(crate) fn retire(self, pool: &mut Pool) {
        if let Self::Own { bytes, .. } = self {
            pool.give(bytes);
        }
    }
}

/// Bytes up to which a connection's own unit is copied behind the one before it. Apart it would take a buffer of 64 bytes
/// at least and an entry of 40: a peer that sends pings of no payload and reads no answer would be held 52 times what is
/// counted, 7 MB for 130 KB. And a write takes 64 pieces, so two-byte answers would leave 128 bytes at a time.
pub(super) const JOINED_BYTES_MAX: usize = 512;

/// Bytes up to which a publication is copied instead of shared: sharing costs it an entry of its own.
pub(super) const UNSHARED_BYTES_MAX: usize = size_of::<Unit>();

/// Bytes that a buffer of joined units grows to.
pub(super) const TAIL_BYTES_MAX: usize = 4 << 10;
