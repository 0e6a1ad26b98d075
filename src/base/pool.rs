//! Byte buffers that go round: carries and outbox units are taken here and given back here.
//!
//! One pool per shard, never shared. What it keeps is bounded per size class, so a flood's buffers go back to the
//! allocator when the flood is over. A fresh 1 MiB buffer costs 256 page faults (about 100 µs); a pooled one none.

/// The capacities a pool keeps, in bytes. A larger buffer is allocated exactly and freed when given back.
const CLASSES: [usize; 7] = [64, 256, 1 << 10, 4 << 10, 16 << 10, 128 << 10, 1 << 20];

/// Bytes kept per size class while nobody needs them.
const KEPT_BYTES_PER_CLASS: usize = 2 << 20;

/// Most buffers kept per class: the small ones would otherwise be tens of thousands of list entries.
const KEPT_BUFFERS_PER_CLASS: usize = 1024;

/// A shard's free list of byte buffers, by size class.
#[derive(Debug, Default)]
pub struct Pool {
    free: [Vec<Vec<u8>>; CLASSES.len()],
}

impl Pool {
    /// An empty pool; it fills as buffers are given back.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for at least `bytes`.
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        let Some(class) = CLASSES.iter().position(|&size| size >= bytes) else {
            return Vec::with_capacity(bytes);
        };
        self.free[class].pop().unwrap_or_else(|| Vec::with_capacity(CLASSES[class]))
    }

    /// Makes room for `additional` more bytes, moving to the next size class where the buffer is too small.
    pub fn grow(&mut self, buffer: &mut Vec<u8>, additional: usize) {
        let wanted = buffer.len() + additional;
        if wanted > buffer.capacity() {
            let mut larger = self.take(wanted);
            larger.extend_from_slice(buffer);
            self.give(std::mem::replace(buffer, larger));
        }
    }

    /// Takes a buffer back, whatever it holds. Keeps it only while its class has room.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        let Some(class) = CLASSES.iter().position(|&size| size == capacity) else { return };
        let kept = &mut self.free[class];
        let most = (KEPT_BYTES_PER_CLASS / CLASSES[class]).min(KEPT_BUFFERS_PER_CLASS);
        if kept.len() < most {
            buffer.clear();
            kept.push(buffer);
        }
    }

    /// Frees every buffer that is kept; called when a shard has been idle.
    pub fn shrink(&mut self) {
        for kept in &mut self.free {
            *kept = Vec::new();
        }
    }

    /// Bytes of capacity kept at this moment.
    pub fn kept_bytes(&self) -> usize {
        self.free.iter().zip(CLASSES).map(|(kept, size)| kept.len() * size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_given_back_is_the_one_taken_next() {
        let mut pool = Pool::new();
        let buffer = pool.take(900);
        assert_eq!(buffer.capacity(), 1024);
        let address = buffer.as_ptr();
        pool.give(buffer);
        let again = pool.take(1000);
        assert_eq!(again.as_ptr(), address);
    }

    #[test]
    fn what_is_kept_is_bounded_and_can_be_freed() {
        let mut pool = Pool::new();
        for size in [64, 1 << 20, 3 << 20] {
            let taken: Vec<_> =
                (0..5000).take(if size == 64 { 5000 } else { 8 }).map(|_| pool.take(size)).collect();
            taken.into_iter().for_each(|buffer| pool.give(buffer));
        }
        assert_eq!(pool.kept_bytes(), 1024 * 64 + 2 * (1 << 20));
        pool.shrink();
        assert_eq!(pool.kept_bytes(), 0);
    }

    #[test]
    fn growing_keeps_the_bytes() {
        let mut pool = Pool::new();
        let mut buffer = pool.take(4);
        buffer.extend_from_slice(b"abcd");
        pool.grow(&mut buffer, 100_000);
        assert_eq!(buffer, b"abcd");
        assert!(buffer.capacity() >= 100_004);
    }
}
