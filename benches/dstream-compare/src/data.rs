//! The data: made up from a seed, the same in every run.

use std::{
    collections::HashSet,
    fmt::Write as _,
    fs, io,
    ops::Range,
    path::Path,
    sync::{Arc, OnceLock},
};

use dstream::Bytes;

/// Words in a line.
const WORDS: usize = 10;
/// What a source yields at once, but for the end of a batch.
const BLOCK: usize = 1 << 20;

/// A batch of text, in blocks of whole lines.
pub(crate) type Text = Vec<Bytes>;
/// A batch of records with keys.
pub(crate) type Records = Arc<Vec<(u64, u64)>>;

/// How large the batches are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Lines of a large batch.
    pub(crate) lines: usize,
    /// Different large batches; they come round again.
    pub(crate) batches: usize,
    /// Lines of a small batch.
    pub(crate) small_lines: usize,
    /// Different small batches.
    pub(crate) small_batches: usize,
    /// Different words of the skewed text.
    pub(crate) zipf_words: usize,
    /// Different words of the even text.
    pub(crate) uniform_words: usize,
    /// Records of each side of a join, of half as many keys.
    pub(crate) records: usize,
}

impl Sizes {
    /// The sizes that the targets are about.
    pub(crate) const FULL: Sizes = Sizes {
        lines: 1_000_000,
        batches: 4,
        small_lines: 1_000,
        small_batches: 1_000,
        zipf_words: 200_000,
        uniform_words: 1_000_000,
        records: 200_000,
    };

    /// For a first look.
    pub(crate) const QUICK: Sizes = Sizes { lines: 50_000, batches: 2, small_batches: 100, ..Sizes::FULL };

    /// Small enough for tests.
    #[cfg(test)]
    pub(crate) const TINY: Sizes = Sizes {
        lines: 3_000,
        batches: 3,
        small_lines: 20,
        small_batches: 30,
        zipf_words: 2_000,
        uniform_words: 5_000,
        records: 2_000,
    };
}

/// All data of a run. Each kind is made when it is first asked for.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) sizes: Sizes,
    zipf: OnceLock<Arc<[Text]>>,
    uniform: OnceLock<Arc<[Text]>>,
    small: OnceLock<Arc<[Text]>>,
    pairs: OnceLock<[Records; 2]>,
}

impl Data {
    pub(crate) fn new(sizes: Sizes) -> Data {
        Data {
            sizes,
            zipf: OnceLock::new(),
            uniform: OnceLock::new(),
            small: OnceLock::new(),
            pairs: OnceLock::new(),
        }
    }

    /// Large batches, words by Zipf's law with exponent 1.1.
    pub(crate) fn zipf(&self) -> Arc<[Text]> {
        let make = || texts(&Words::zipf(self.sizes.zipf_words), 1, self.sizes.batches, self.sizes.lines);
        self.zipf.get_or_init(make).clone()
    }

    /// Large batches, all words alike.
    pub(crate) fn uniform(&self) -> Arc<[Text]> {
        let make =
            || texts(&Words::uniform(self.sizes.uniform_words), 2, self.sizes.batches, self.sizes.lines);
        self.uniform.get_or_init(make).clone()
    }

    /// Small batches, words by Zipf's law.
    pub(crate) fn small(&self) -> Arc<[Text]> {
        let (batches, lines) = (self.sizes.small_batches, self.sizes.small_lines);
        self.small.get_or_init(|| texts(&Words::zipf(self.sizes.zipf_words), 3, batches, lines)).clone()
    }

    /// The two sides of a join: keys alike among half as many as there are records, values counting up.
    pub(crate) fn pairs(&self) -> [Records; 2] {
        let side = |seed| {
            let (mut random, n) = (Random(seed), self.sizes.records as u64);
            Arc::new((0..n).map(|value| (random.below(n / 2), value)).collect())
        };
        self.pairs.get_or_init(|| [side(4), side(5)]).clone()
    }

    /// Writes what other programs read: `zipf-N.txt`, `uniform-N.txt`, `small-N.txt`, and the records as
    /// `left.txt` and `right.txt`.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for (name, batches) in [("zipf", self.zipf()), ("uniform", self.uniform()), ("small", self.small())] {
            for (at, batch) in batches.iter().enumerate() {
                fs::write(folder.join(format!("{name}-{at}.txt")), batch.concat())?;
            }
        }
        for (name, records) in ["left", "right"].iter().zip(self.pairs()) {
            let text = records.iter().fold(String::new(), |mut text, (key, value)| {
                let _ = writeln!(text, "{key} {value}");
                text
            });
            fs::write(folder.join(format!("{name}.txt")), text)?;
        }
        Ok(())
    }
}

/// `batches` batches of `lines` lines.
pub(crate) fn texts(words: &Words, seed: u64, batches: usize, lines: usize) -> Arc<[Text]> {
    let mut random = Random(seed);
    (0..batches).map(|_| words.text(&mut random, lines)).collect()
}

/// A vocabulary, and how often each word of it comes.
#[derive(Debug)]
pub(crate) struct Words {
    text: String,
    places: Vec<Range<u32>>,
    /// Walker's alias method: the chance that a draw of a word stays with it, of 2^32, and where it goes to
    /// otherwise.
    alias: Vec<(u32, u32)>,
}

impl Words {
    /// `n` words, of which the k-th most frequent comes as often as 1 / k^1.1.
    pub(crate) fn zipf(n: usize) -> Words {
        Words::new(n, (1..=n).map(|k| (k as f64).powf(-1.1)).collect())
    }

    /// `n` words that come equally often.
    pub(crate) fn uniform(n: usize) -> Words {
        Words::new(n, vec![1.0; n])
    }

    fn new(n: usize, weights: Vec<f64>) -> Words {
        let mut random = Random(0);
        let mut known = HashSet::with_capacity(n);
        let (mut text, mut places) = (String::new(), Vec::with_capacity(n));
        while places.len() < n {
            // What is taken already is drawn again, with another length: there are not many short words.
            let word: String =
                (0..3 + random.below(8)).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
            if !known.contains(&word) {
                let start = text.len() as u32;
                text.push_str(&word);
                places.push(start..text.len() as u32);
                known.insert(word);
            }
        }
        Words { text, places, alias: alias(weights) }
    }

    fn text(&self, random: &mut Random, lines: usize) -> Text {
        let mut out = String::with_capacity(lines * WORDS * 8);
        let mut ends = Vec::new();
        let mut block = 0;
        for _ in 0..lines {
            let start = out.len();
            for word in 0..WORDS {
                let at = random.below(self.places.len() as u64) as usize;
                let (stay, other) = self.alias[at];
                let at = if (random.next() >> 32) as u32 <= stay { at } else { other as usize };
                let place = &self.places[at];
                out.push_str(&self.text[place.start as usize..place.end as usize]);
                out.push(if word + 1 == WORDS { '\n' } else { ' ' });
            }
            if out.len() - block > BLOCK {
                ends.push(start);
                block = start;
            }
        }
        ends.push(out.len());
        let all = Bytes::from(out);
        let mut start = 0;
        ends.into_iter().map(|end| all.slice(std::mem::replace(&mut start, end)..end)).collect()
    }
}

fn alias(mut weights: Vec<f64>) -> Vec<(u32, u32)> {
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    weights.iter_mut().for_each(|weight| *weight /= mean);
    let mut table: Vec<(u32, u32)> = (0..weights.len() as u32).map(|at| (u32::MAX, at)).collect();
    let (mut light, mut heavy): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|at| weights[*at] < 1.0);
    while let (Some(small), Some(&large)) = (light.pop(), heavy.last()) {
        table[small] = ((weights[small] * f64::from(u32::MAX)) as u32, large as u32);
        weights[large] -= 1.0 - weights[small];
        if weights[large] < 1.0 {
            heavy.pop();
            light.push(large);
        }
    }
    table
}

/// SplitMix64.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, all alike.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_data_every_time() {
        let [a, b] = [Data::new(Sizes::TINY), Data::new(Sizes::TINY)];
        assert_eq!(a.zipf(), b.zipf());
        assert_eq!(a.uniform(), b.uniform());
        assert_eq!(a.small(), b.small());
        assert_eq!(a.pairs(), b.pairs());
        // A change of the generator would make figures of different days incomparable.
        let start = String::from_utf8_lossy(&a.zipf()[0][0][..40]).into_owned();
        assert_eq!(start, "fbavkgglin kzslbvgbj nosnmtfvw eikcmplgq");
    }

    #[test]
    fn lines_have_ten_words_of_three_to_ten_letters() {
        let data = Data::new(Sizes::TINY);
        for batch in data.zipf().iter().chain(data.uniform().iter()) {
            let text = String::from_utf8(batch.concat()).unwrap_or_default();
            assert_eq!(text.lines().count(), Sizes::TINY.lines);
            for line in text.lines() {
                let lengths: Vec<usize> = line.split(' ').map(str::len).collect();
                assert_eq!(lengths.len(), WORDS, "{line}");
                assert!(lengths.iter().all(|length| (3..=10).contains(length)), "{line}");
            }
        }
    }

    #[test]
    fn words_come_as_often_as_they_should() {
        let share = |words: &Words, rank: usize| {
            let text = words.text(&mut Random(9), 20_000).concat();
            let text = String::from_utf8(text).unwrap_or_default();
            let place = &words.places[rank];
            let word = &words.text[place.start as usize..place.end as usize];
            text.split_whitespace().filter(|other| *other == word).count() as f64 / 200_000.0
        };
        let total: f64 = (1..=2_000).map(|k| f64::from(k).powf(-1.1)).sum();
        let zipf = Words::zipf(2_000);
        for rank in [0, 1, 9] {
            let expected = ((rank + 1) as f64).powf(-1.1) / total;
            assert!((share(&zipf, rank) / expected - 1.0).abs() < 0.1, "rank {rank}");
        }
        assert!((share(&Words::uniform(10), 3) / 0.1 - 1.0).abs() < 0.1);
    }
}
