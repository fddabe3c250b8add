//! Numbers that nobody else guesses: transaction ids, and how much later than planned to send.

/// A generator (splitmix64), as good as its seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn id(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).unwrap_or_default()
    }

    /// `delay` less or more up to a second (RFC 2131, section 4.1), and less than half of it.
    pub(crate) fn about(&mut self, delay: u64) -> u64 {
        let span = (delay / 2).min(1000);
        (delay - span).saturating_add(self.next() % (2 * span + 1))
    }
}
