//! Decisions that are the same for the same seed.

/// A stream of them (SplitMix64).
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of one who decides.
    pub fn new(seed: u64, who: u64) -> Self {
        let mut mixed = Self(seed);
        let start = mixed.next() ^ who.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(start)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// An index.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or_default()
    }

    /// With this many chances in a thousand.
    pub fn one_of(&mut self, thousandths: u64) -> bool {
        self.below(1000) < thousandths
    }
}
