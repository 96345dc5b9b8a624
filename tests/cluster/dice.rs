//! Random choices that a seed repeats (their timing is not repeated).

use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64.
pub struct Dice(u64);

static SEED: AtomicU64 = AtomicU64::new(1);

/// Sets the seed of [`Dice::another`].
pub fn seed(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

impl Dice {
    /// Returns a sequence that differs from all others of this run.
    pub fn another() -> Self {
        Self(SEED.fetch_add(0x5851_f42d_4c95_7f2d, Ordering::Relaxed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Inclusive.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}
