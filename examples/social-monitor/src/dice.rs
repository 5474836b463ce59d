//! Chance that can be repeated: the same numbers for the same seed.

/// SplitMix64: small, fast, and good enough for a feed that is made up.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The numbers that belong to post `n` of a feed with this seed, whatever was made before.
    pub(crate) fn of(seed: u64, n: u64) -> Dice {
        let mut dice = Dice(seed ^ n.wrapping_mul(0xd129_42d6_8f3b_77a1));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// From 0 to `n`, without `n`; all equally often.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// From 0 to `n`, without `n`, by Zipf's law: the first is the most frequent, and the one with twice the
    /// rank half as frequent. The larger `flat`, the more the first ones are alike.
    pub(crate) fn zipf(&mut self, n: usize, flat: usize) -> usize {
        let (least, most) = ((flat.max(1)) as f64, (flat.max(1) + n) as f64);
        let rank = least * (most / least).powf(self.unit());
        (rank as usize - flat.max(1)).min(n.saturating_sub(1))
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rank_is_the_most_frequent() {
        let mut ranks = [0u32; 10];
        let mut dice = Dice::of(1, 2);
        (0..10_000).for_each(|_| ranks[dice.zipf(10, 1)] += 1);
        assert!(ranks.is_sorted_by(|a, b| a > b), "{ranks:?}");
        assert!(ranks[0] > 4 * ranks[9], "{ranks:?}");
    }
}
