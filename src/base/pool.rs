//! Byte buffers that go round: carries and outbox units are taken here and given back here.
//!
//! One pool per shard, never shared. What it keeps is bounded, and what nobody needed for a while is given up, so a flood's
//! buffers go back to the allocator when the flood is over, whatever else the shard has to do. A fresh 1 MiB buffer costs 256 page faults (about 100 µs); a pooled one none.
//!
//! A buffer is given back with whatever length it has. One that is initialised to its capacity is kept so, and a
//! reader who wants initialised bytes pays no memset for it again (20 to 30 µs for 1 MiB).

/// The smallest and the largest capacity that is kept; the classes are the powers of two between them. A larger
/// buffer is allocated exactly and freed when given back.
const CLASS_BYTES: std::ops::RangeInclusive<usize> = 64..=1 << 20;

/// How many classes there are: 64 B = 2⁶ to 1 MiB = 2²⁰.
const CLASSES: usize = 15;

/// Bytes kept in all while nobody needs them. 16 connections that echo 1 MiB at a time go round in them.
const KEPT_BYTES: usize = 16 << 20;

/// Most buffers kept per class: the small ones would otherwise be tens of thousands of list entries.
const KEPT_BUFFERS_PER_CLASS: usize = 1024;

/// Bytes copied at a time by [`extend`].
const COPY_BYTES: usize = 2 << 10;

/// Appends `bytes`, large ones in pieces.
///
/// From 4 KiB on glibc copies with `rep movsb`, which on AMD Zen 3 is 15 times slower when the destination's offset in
/// its page is a little above the source's: 256 KiB then take 90 µs instead of 6. A frame's header shifts payloads by
/// just that little. In pieces of 2 KiB the same copy takes 6.5 µs at every offset.
#[inline]
pub fn extend(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() <= COPY_BYTES {
        return out.extend_from_slice(bytes);
    }
    out.reserve(bytes.len());
    for piece in bytes.chunks(COPY_BYTES) {
        out.extend_from_slice(piece);
    }
}

/// Copies `from` over all of `to`, which is as long.
///
/// Up to 32 bytes it is two moves that overlap in the middle, where a call to memcpy takes longer than the copying does;
/// large ones go in pieces, as in [`extend`].
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn copy(to: &mut [u8], from: &[u8]) {
    assert_eq!(to.len(), from.len());
    match from.len() {
        16..=32 => ends::<16>(to, from),
        8..16 => ends::<8>(to, from),
        4..8 => ends::<4>(to, from),
        0..4 => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
        _ => to
            .chunks_mut(COPY_BYTES)
            .zip(from.chunks(COPY_BYTES))
            .for_each(|(to, from)| to.copy_from_slice(from)),
    }
}

/// Copies the first and the last `N` bytes: everything, where there are `N` to `2 N`.
#[inline(always)]
fn ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
}

/// A shard's free list of byte buffers, by size class.
#[derive(Debug, Default)]
pub struct Pool {
    free: [Class; CLASSES],
    kept_bytes: usize,
}

#[derive(Debug, Default)]
struct Class {
    /// Buffers of length 0.
    empty: Vec<Vec<u8>>,
    /// Buffers whose length is their capacity.
    filled: Vec<Vec<u8>>,
    /// So many were there all the time since the last sweep: nobody needed them.
    spare: usize,
}

impl Class {
    /// Takes note that one was taken.
    #[inline]
    fn taken(&mut self) {
        self.spare = self.spare.min(self.empty.len() + self.filled.len());
    }
}

impl Pool {
    /// An empty pool; it fills as buffers are given back.
    pub fn new() -> Self {
        Self::default()
    }

    /// The capacity of the buffer that is given out for `bytes`: the next power of two, at least 64, or `bytes`
    /// itself above 1 MiB.
    #[inline]
    pub const fn size_for(bytes: usize) -> usize {
        if bytes > *CLASS_BYTES.end() {
            return bytes;
        }
        let size = bytes.next_power_of_two();
        if size < *CLASS_BYTES.start() { *CLASS_BYTES.start() } else { size }
    }

    /// An empty buffer with room for at least `bytes`.
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        let size = Self::size_for(bytes);
        let Some(class) = self.class(size) else { return Vec::with_capacity(size) };
        let Some(mut buffer) = class.empty.pop().or_else(|| class.filled.pop()) else {
            return Vec::with_capacity(size);
        };
        class.taken();
        buffer.clear();
        self.kept_bytes -= size;
        buffer
    }

    /// A buffer with at least `bytes` bytes in it, of any value: its length is its capacity.
    pub fn take_filled(&mut self, bytes: usize) -> Vec<u8> {
        let size = Self::size_for(bytes);
        let Some(class) = self.class(size) else { return vec![0; size] };
        let Some(mut buffer) = class.filled.pop().or_else(|| class.empty.pop()) else {
            // Fresh pages from the kernel are zero already, so this writes to none of them.
            return vec![0; size];
        };
        class.taken();
        buffer.resize(size, 0);
        self.kept_bytes -= size;
        buffer
    }

    /// Makes room for `additional` more bytes, moving to the next size class where the buffer is too small. Above the largest
    /// class it grows by a quarter at least, in place where the allocator can: bytes that come one by one are copied some
    /// five times each, however many they are, and a buffer is never more than a quarter larger than what is in it.
    pub fn grow(&mut self, buffer: &mut Vec<u8>, additional: usize) {
        let wanted = buffer.len() + additional;
        if wanted > *CLASS_BYTES.end() && wanted > buffer.capacity() {
            return buffer.reserve_exact(additional.max(buffer.len() / 4));
        }
        if wanted > buffer.capacity() {
            let mut larger = self.take(wanted);
            extend(&mut larger, buffer);
            self.give(std::mem::replace(buffer, larger));
        }
    }

    /// Takes a buffer back, whatever it holds. Keeps it only while its class has room.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if self.kept_bytes + capacity > KEPT_BYTES {
            return;
        }
        let Some(class) = self.class(capacity) else { return };
        if class.empty.len() + class.filled.len() >= KEPT_BUFFERS_PER_CLASS {
            return;
        }
        if buffer.len() == capacity {
            class.filled.push(buffer);
        } else {
            buffer.clear();
            class.empty.push(buffer);
        }
        self.kept_bytes += capacity;
    }

    /// Frees the buffers that nobody needed since this was called before; the second time in an idle shard, all of them.
    pub fn sweep(&mut self) {
        for (class, size) in
            self.free.iter_mut().zip((CLASS_BYTES.start().trailing_zeros()..).map(|log| 1 << log))
        {
            let empty = class.spare.min(class.empty.len());
            let filled = class.spare - empty;
            self.kept_bytes -= class.spare * size;
            // Those that were given back last, and are still in the cache, lie at the end.
            for (buffers, spare) in [(&mut class.empty, empty), (&mut class.filled, filled)] {
                buffers.drain(..spare);
                if spare > 0 {
                    buffers.shrink_to_fit();
                }
            }
            class.spare = class.empty.len() + class.filled.len();
        }
    }

    /// Bytes of capacity kept at this moment.
    pub const fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    fn class(&mut self, capacity: usize) -> Option<&mut Class> {
        if !capacity.is_power_of_two() || !CLASS_BYTES.contains(&capacity) {
            return None;
        }
        let index = capacity.trailing_zeros() - CLASS_BYTES.start().trailing_zeros();
        self.free.get_mut(index as usize)
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
    fn a_filled_buffer_stays_filled_and_serves_both_ways() {
        let mut pool = Pool::new();
        for size in [1, 64, 65, 4096, 100_000, 1 << 20, (1 << 20) + 1] {
            let mut buffer = pool.take_filled(size);
            assert_eq!((buffer.len(), buffer.capacity()), (Pool::size_for(size), Pool::size_for(size)));
            buffer.fill(7);
            let address = buffer.as_ptr();
            pool.give(buffer);
            if size > 1 << 20 {
                assert_eq!(pool.kept_bytes(), 0, "above the largest class it is freed");
                continue;
            }
            let again = pool.take_filled(size);
            assert_eq!((again.as_ptr(), again[0], again.len()), (address, 7, Pool::size_for(size)));
            pool.give(again);
            let emptied = pool.take(size);
            assert_eq!((emptied.as_ptr(), emptied.len()), (address, 0));
            pool.give(emptied);
            let refilled = pool.take_filled(size);
            assert_eq!((refilled.as_ptr(), refilled[0]), (address, 0));
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_can_be_freed() {
        let mut pool = Pool::new();
        for size in [64, 1 << 20, 3 << 20] {
            let count = if size == 64 { 5000 } else { 40 };
            let taken: Vec<_> = (0..count)
                .map(|i| if i % 2 == 0 { pool.take(size) } else { pool.take_filled(size) })
                .collect();
            taken.into_iter().for_each(|buffer| pool.give(buffer));
        }
        assert_eq!(pool.kept_bytes(), 1024 * 64 + 15 * (1 << 20));
        pool.sweep();
        assert_eq!(pool.kept_bytes(), 1024 * 64 + 15 * (1 << 20), "some were taken since there were none");
        pool.sweep();
        assert_eq!(pool.kept_bytes(), 0);
    }

    #[test]
    fn what_is_needed_again_and_again_is_kept_and_the_rest_is_freed() {
        let mut pool = Pool::new();
        let flood: Vec<_> =
            (0..10).map(|n| if n % 3 == 0 { pool.take_filled(4096) } else { pool.take(4096) }).collect();
        flood.into_iter().for_each(|buffer| pool.give(buffer));
        for _ in 0..3 {
            for _ in 0..100 {
                let three = [(); 3].map(|()| pool.take(4000));
                three.into_iter().for_each(|buffer| pool.give(buffer));
            }
            pool.sweep();
        }
        assert_eq!(pool.kept_bytes(), 3 * 4096);
        let taken = pool.take(4096);
        pool.sweep();
        assert_eq!(pool.kept_bytes(), 0, "two of the three were not needed");
        pool.give(taken);
        for left in [4096, 0] {
            pool.sweep();
            assert_eq!(pool.kept_bytes(), left);
        }
    }

    #[test]
    fn copying_is_whole_at_every_length() {
        for len in (0..=70).chain([COPY_BYTES - 1, COPY_BYTES, COPY_BYTES + 1, 5 * COPY_BYTES + 3]) {
            let from: Vec<u8> = (0..len).map(|byte| byte as u8 ^ 0x5A).collect();
            let mut to = vec![0; len];
            copy(&mut to, &from);
            assert!(to == from, "{len} bytes");
        }
    }

    #[test]
    fn extending_in_pieces_loses_nothing() {
        for len in [0, 1, COPY_BYTES - 1, COPY_BYTES, COPY_BYTES + 1, 3 * COPY_BYTES, 10_000] {
            let bytes: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
            let mut out = vec![9];
            extend(&mut out, &bytes);
            assert_eq!((out[0], &out[1..]), (9, &bytes[..]));
        }
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

    #[test]
    fn a_large_buffer_grows_in_proportion() {
        let mut pool = Pool::new();
        let mut buffer = pool.take(1);
        let (mut moves, mut copied) = (0, 0);
        for len in 1..=8 << 20 {
            let capacity = buffer.capacity();
            pool.grow(&mut buffer, 1);
            buffer.push(7);
            if buffer.capacity() != capacity {
                moves += 1;
                copied += len;
            }
        }
        assert!(moves < 40 && copied < 6 * (8 << 20), "{moves} moves copy {copied} bytes");
        assert!(buffer.capacity() <= buffer.len() / 4 * 5);
        assert_eq!(pool.kept_bytes(), (1 << 20) - 64, "one of each class that it has left");
    }
}
