//! Randomness that nobody guesses, asked of the kernel a block at a time: a call costs about 300 ns, an id 15 bytes.

use rustix::rand::{GetRandomFlags, getrandom};

const BLOCK_BYTES: usize = 1024;

/// A source of random bytes.
#[derive(Debug)]
pub struct Random {
    block: Box<[u8; BLOCK_BYTES]>,
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { block: Box::new([0; BLOCK_BYTES]), used: BLOCK_BYTES }
    }
}

impl Random {
    /// The next bytes, each handed out once.
    ///
    /// # Panics
    /// If the kernel has no randomness to give, which it always has once it has booted.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= BLOCK_BYTES) };
        if self.used + N > BLOCK_BYTES {
            let mut filled = 0;
            while filled < BLOCK_BYTES {
                filled += getrandom(&mut self.block[filled..], GetRandomFlags::empty())
                    .or_else(|error| if error == rustix::io::Errno::INTR { Ok(0) } else { Err(error) })
                    .expect("the kernel gives randomness once it has booted");
            }
            self.used = 0;
        }
        let bytes = self.block[self.used..self.used + N].try_into().expect("the range has N bytes");
        self.used += N;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        let mut random = Random::default();
        let mut seen: Vec<[u8; 15]> = (0..1000).map(|_| random.bytes()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }
}
