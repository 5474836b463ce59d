//! What the loops run over: made up, the same in every run, and yielded without a copy in every batch.

use dstream::{
    Bytes, Time,
    source::{Limits, Source, TextBlock},
};

/// Lines of a batch of text, and words of a line.
pub(crate) const LINES: usize = 10_000;
pub(crate) const WORDS_A_LINE: usize = 10;
/// Records of one side of a join.
pub(crate) const PAIRS: usize = 20_000;

/// Different words, and different keys of a join.
const DISTINCT: usize = 5_000;
const BLOCK_BYTES: usize = 256 * 1024;

/// The same text in every batch.
pub(crate) struct Texts(Vec<Bytes>);

impl Texts {
    pub(crate) fn empty() -> Texts {
        Texts(Vec::new())
    }

    /// Words of so many letters.
    pub(crate) fn of_words(letters: std::ops::Range<usize>) -> Texts {
        let words: Vec<String> = (0..DISTINCT).map(|rank| word(rank, &letters)).collect();
        let (mut blocks, mut text, mut random) = (Vec::new(), String::new(), Random(1));
        for _ in 0..LINES {
            for at in 0..WORDS_A_LINE {
                // Ranks whose logarithms are alike: half of the words are among the 70 most frequent.
                let rank = (DISTINCT as f64).powf(random.unit()) as usize - 1;
                text.push_str(&words[rank]);
                text.push(if at + 1 < WORDS_A_LINE { ' ' } else { '\n' });
            }
            if text.len() >= BLOCK_BYTES {
                blocks.push(std::mem::take(&mut text).into());
            }
        }
        blocks.push(text.into());
        Texts(blocks)
    }
}

impl Source for Texts {
    type Block = TextBlock;
    type Plan = ();

    fn name(&self) -> String {
        "texts".into()
    }

    fn plan(&mut self, _time: Time, _limits: &Limits) -> dstream::Result<Option<()>> {
        Ok(Some(()))
    }

    fn blocks(&mut self, _time: Time, _plan: &()) -> dstream::Result<Vec<TextBlock>> {
        Ok(self.0.iter().map(|block| TextBlock::new(block.clone())).collect())
    }
}

/// A side of a join, one block a batch.
pub(crate) struct Pairs(Vec<(u64, u64)>);

impl Pairs {
    pub(crate) fn new(seed: u64) -> Pairs {
        let mut random = Random(seed);
        Pairs((0..PAIRS as u64).map(|n| (random.next() % DISTINCT as u64, n)).collect())
    }
}

impl Source for Pairs {
    type Block = Vec<(u64, u64)>;
    type Plan = ();

    fn name(&self) -> String {
        "pairs".into()
    }

    fn plan(&mut self, _time: Time, _limits: &Limits) -> dstream::Result<Option<()>> {
        Ok(Some(()))
    }

    fn blocks(&mut self, _time: Time, _plan: &()) -> dstream::Result<Vec<Vec<(u64, u64)>>> {
        Ok(vec![self.0.clone()])
    }
}

fn word(rank: usize, letters: &std::ops::Range<usize>) -> String {
    let mut random = Random(rank as u64 + 1);
    let length = letters.start + rank % letters.len();
    (0..length).map(|_| char::from(b'a' + (random.next() % 26) as u8)).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..1`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
