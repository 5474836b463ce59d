//! Spark's random numbers, bit for bit: which centers and samples a seed gives.

/// `java.util.Random`.
#[derive(Debug, Clone)]
pub(crate) struct JavaRandom(u64);

impl JavaRandom {
    pub(crate) fn new(seed: u64) -> JavaRandom {
        JavaRandom((seed ^ 0x5_DEEC_E66D) & ((1 << 48) - 1))
    }

    fn next_int(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & ((1 << 48) - 1);
        (self.0 >> 16) as u32 as i32
    }

    pub(crate) fn next_long(&mut self) -> u64 {
        let high = (self.next_int() as i64) << 32;
        high.wrapping_add(i64::from(self.next_int())) as u64
    }
}

/// Spark's `XORShiftRandom`.
#[derive(Debug, Clone)]
pub(crate) struct XorShift {
    state: u64,
    gaussian: Option<f64>,
}

impl XorShift {
    pub(crate) fn new(seed: u64) -> XorShift {
        let bytes = seed.to_be_bytes();
        let low = murmur3(&bytes, 0x3c07_4a61);
        let high = murmur3(&bytes, low);
        XorShift { state: u64::from(high) << 32 | u64::from(low), gaussian: None }
    }

    fn next(&mut self, bits: u32) -> u64 {
        self.state ^= self.state << 21;
        self.state ^= self.state >> 35;
        self.state ^= self.state << 4;
        self.state & ((1 << bits) - 1)
    }

    /// From 0.0 to 1.0.
    pub(crate) fn uniform(&mut self) -> f64 {
        let high = self.next(26) << 27;
        (high + self.next(27)) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Of the normal distribution, by the polar method.
    pub(crate) fn gaussian(&mut self) -> f64 {
        if let Some(kept) = self.gaussian.take() {
            return kept;
        }
        loop {
            let (a, b) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = a * a + b * b;
            if s < 1.0 && s != 0.0 {
                let factor = (-2.0 * s.ln() / s).sqrt();
                self.gaussian = Some(b * factor);
                return a * factor;
            }
        }
    }
}

/// MurmurHash3, of 32 bits, over whole words.
fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let mut h = seed;
    for word in bytes.chunks_exact(4) {
        let k = word.iter().rev().fold(0u32, |k, byte| k << 8 | u32::from(*byte));
        h ^= k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    h ^= bytes.len() as u32;
    h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

/// Which records of one partition `RDD.sample` keeps, without replacement.
#[derive(Debug)]
pub(crate) struct Sampler {
    fraction: f64,
    random: XorShift,
    /// How many are passed over before the next one is kept, where few are.
    gap: Option<u64>,
}

impl Sampler {
    pub(crate) fn new(fraction: f64, seed: u64, partition: usize) -> Sampler {
        let mut seeds = JavaRandom::new(seed);
        for _ in 0..partition {
            seeds.next_long();
        }
        let mut sampler = Sampler { fraction, random: XorShift::new(seeds.next_long()), gap: None };
        if fraction > 0.0 && fraction <= 0.4 {
            sampler.gap = Some(sampler.draw_gap());
        }
        sampler
    }

    fn draw_gap(&mut self) -> u64 {
        let u = self.random.uniform().max(5e-11);
        (u.ln() / (-self.fraction).ln_1p()) as u64
    }

    pub(crate) fn keeps(&mut self) -> bool {
        if self.fraction <= 0.0 || self.fraction >= 1.0 {
            return self.fraction > 0.0;
        }
        match self.gap {
            None => self.random.uniform() <= self.fraction,
            Some(0) => {
                self.gap = Some(self.draw_gap());
                true
            }
            Some(left) => {
                self.gap = Some(left - 1);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a JVM: `new java.util.Random(42).nextLong()`.
    #[test]
    fn java_gives_the_same_numbers() {
        let mut random = JavaRandom::new(42);
        assert_eq!(random.next_long() as i64, -5_025_562_857_975_149_833);
        assert_eq!(random.next_long() as i64, -5_843_495_416_241_995_736);
    }
}
