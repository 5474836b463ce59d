//! Which part of the values is below which.

use dstream_core::Record;
use serde::{Deserialize, Serialize};

/// How many values the highest level holds.
const K: usize = 200;
/// More levels than there are numbers to count.
const MAX_LEVELS: usize = 60;

/// Quantiles of any number of values, about: the rank of what it gives is within 1.65 % of the one asked for,
/// in 99 of 100 cases. (A KLL sketch, of 200 values at its highest level: about 5 KiB.)
///
/// ```
/// use dstream::{ml::Quantiles, prelude::*};
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let times = queue_stream(vec![(1..=1000u64).map(|n| ("/", n as f64)).collect::<Vec<_>>()]);
///     let sketches = times.map(|(page, time)| (page, Quantiles::of(time)));
///     sketches.reduce_by_key(|a, b| a.merge(b)).flat_map(|(_, quantiles)| quantiles.quantile(0.95))
///         .collect_to(&out);
/// })?;
/// ssc.run_batches(1)?;
/// assert!((930.0..970.0).contains(&out.values()[0][0]));
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Levels", into = "Levels")]
pub struct Quantiles(Levels);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Levels {
    /// A value of level `i` stands for 2^i of them.
    levels: Vec<Vec<f64>>,
    count: u64,
    /// The smallest and the largest value.
    ends: Option<(f64, f64)>,
    /// Tosses coins, the same ones when a batch runs again.
    coin: u64,
}

impl Default for Quantiles {
    fn default() -> Self {
        Quantiles::new()
    }
}

impl Quantiles {
    /// Of no value.
    pub fn new() -> Quantiles {
        Quantiles(Levels { levels: Vec::new(), count: 0, ends: None, coin: 0x9E37_79B9_7F4A_7C15 })
    }

    /// Of one value.
    pub fn of(value: f64) -> Quantiles {
        let mut sketch = Quantiles::new();
        sketch.add(value);
        sketch
    }

    /// Sees a value. `NaN` is larger than all others.
    pub fn add(&mut self, value: f64) {
        let Levels { levels, count, ends, coin } = &mut self.0;
        if levels.is_empty() {
            levels.push(Vec::new());
        }
        levels[0].push(value);
        *count += 1;
        // What is tossed depends on the values, too, so that merged sketches do not toss alike.
        *coin = coin.rotate_left(5) ^ value.to_bits().wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let (low, high) = ends.unwrap_or((value, value));
        *ends = Some((smaller(low, value), larger(high, value)));
        self.compress();
    }

    /// Of the values of both.
    #[must_use]
    pub fn merge(mut self, other: Quantiles) -> Quantiles {
        let (to, from) = (&mut self.0, other.0);
        to.levels.resize(to.levels.len().max(from.levels.len()), Vec::new());
        to.levels.iter_mut().zip(from.levels).for_each(|(to, from)| to.extend(from));
        to.count = to.count.saturating_add(from.count);
        to.coin = to.coin.rotate_left(7) ^ from.coin.wrapping_mul(0xA076_1D64_78BD_642F);
        to.ends = match (to.ends, from.ends) {
            (Some((a, b)), Some((c, d))) => Some((smaller(a, c), larger(b, d))),
            (a, b) => a.or(b),
        };
        self.compress();
        self
    }

    /// Halves levels, from the lowest on, until they fit.
    fn compress(&mut self) {
        let Levels { levels, coin, .. } = &mut self.0;
        while levels.iter().map(Vec::len).sum::<usize>() > capacity_of_all(levels.len()) {
            let height = levels.len();
            let Some(full) = (0..height).find(|at| levels[*at].len() > capacity(height, *at)) else { return };
            if full + 1 == height {
                if height == MAX_LEVELS {
                    return;
                }
                levels.push(Vec::new());
            }
            let mut values = std::mem::take(&mut levels[full]);
            values.sort_by(f64::total_cmp);
            // One is left over where they are odd.
            levels[full] =
                if values.len() % 2 == 1 { values.pop().into_iter().collect() } else { Vec::new() };
            let first = usize::from(toss(coin));
            levels[full + 1].extend(values.into_iter().skip(first).step_by(2));
        }
    }

    /// The value below which this part of all is, from 0.0 (the smallest) to 1.0 (the largest); `None` of no
    /// values, or of a part that is none.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let (low, high) = self.0.ends?;
        if !(0.0..=1.0).contains(&part) {
            return None;
        }
        if part == 0.0 || part == 1.0 {
            return Some(if part == 0.0 { low } else { high });
        }
        let mut all: Vec<(f64, u64)> = self.weighed().collect();
        all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut left = part * all.iter().map(|(_, weight)| weight).sum::<u64>() as f64;
        let found = all.into_iter().find(|(_, weight)| {
            left -= *weight as f64;
            left <= 0.0
        });
        Some(found.map_or(high, |(value, _)| value))
    }

    /// Which part of the values is not above this one; 0.0 of no values.
    pub fn rank(&self, value: f64) -> f64 {
        let (mut below, mut all) = (0, 0);
        for (other, weight) in self.weighed() {
            all += weight;
            if other.total_cmp(&value).is_le() {
                below += weight;
            }
        }
        if all == 0 { 0.0 } else { below as f64 / all as f64 }
    }

    /// How many values were seen.
    pub fn count(&self) -> u64 {
        self.0.count
    }

    fn weighed(&self) -> impl Iterator<Item = (f64, u64)> {
        self.0.levels.iter().zip(0..).flat_map(|(level, at)| level.iter().map(move |value| (*value, 1 << at)))
    }
}

fn smaller(a: f64, b: f64) -> f64 {
    if a.total_cmp(&b).is_le() { a } else { b }
}

fn larger(a: f64, b: f64) -> f64 {
    if a.total_cmp(&b).is_ge() { a } else { b }
}

/// Each level holds two thirds of what the one above holds.
fn capacity(height: usize, level: usize) -> usize {
    let below = i32::try_from(height - level - 1).unwrap_or(i32::MAX);
    ((K as f64 * (2.0f64 / 3.0).powi(below)).ceil() as usize).max(8)
}

fn capacity_of_all(height: usize) -> usize {
    (0..height).map(|level| capacity(height, level)).sum()
}

fn toss(coin: &mut u64) -> bool {
    *coin = coin.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*coin ^ *coin >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ mixed >> 31) & 1 == 1
}

impl From<Quantiles> for Levels {
    fn from(sketch: Quantiles) -> Levels {
        sketch.0
    }
}

impl TryFrom<Levels> for Quantiles {
    type Error = String;

    fn try_from(found: Levels) -> Result<Quantiles, String> {
        match found.levels.len() <= MAX_LEVELS {
            true => Ok(Quantiles(found)),
            false => {
                Err(format!("this is no sketch of up to {MAX_LEVELS} levels: it has {}", found.levels.len()))
            }
        }
    }
}

impl Record for Quantiles {
    type Owned = Quantiles;

    fn own(self) -> Quantiles {
        self
    }
}
