//! Random numbers that are the same for the same seed: what a run did can be done again. 8 bytes of state each.

/// A stream of numbers (SplitMix64: a counter, mixed).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of a seed. Seeds that differ in one bit give streams that have nothing to do with each other.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        Self(random.number())
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 on, below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(limit)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly_and_are_those_of_their_seed() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            (0..10_000).map(|_| random.below(10)).collect::<Vec<_>>()
        };
        for digit in 0..10 {
            let count = numbers(7).iter().filter(|&&number| number == digit).count();
            assert!((900..1100).contains(&count), "{count} × {digit}");
        }
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(6));
        let mut random = Random::new(0);
        assert!((0..1000).map(|_| random.fraction()).all(|fraction| (0.0..1.0).contains(&fraction)));
    }
}
