//! By hand, as fast as its author could make it: SIMD, words as numbers, prefetches, both cores, nothing
//! allocated twice.

mod count;
mod join;
mod kept;
mod radix;
mod simd;
mod table;
mod word;

use dstream::Bytes;
use memchr::{memchr, memmem::Finder};
use rayon::{ThreadPool, prelude::*};

pub(crate) use self::count::Tokeniser;
use self::{
    count::{Counter, Summary, Value, count, merge},
    join::Join,
    kept::Kept,
    radix::Radix,
    table::{Add, Max},
    word::LongWords,
};
use crate::{
    data::{Data, Records, Text},
    workload::{Answer, Runner, Workload},
};
use dstream::source::{Block as _, TextBlock};

/// A program for one workload.
#[derive(Debug)]
pub(crate) struct Expert {
    workload: Workload,
    tokeniser: Tokeniser,
    pool: ThreadPool,
    batches: Vec<Text>,
    next: usize,
    pairs: Option<[Records; 2]>,
    kept: State,
    length: usize,
}

/// What is used again from batch to batch.
#[derive(Debug)]
struct State {
    counters: Vec<Counter<Add>>,
    longest: Vec<Counter<Max>>,
    parts: Vec<Kept>,
    join: Join,
    radix: Radix,
    long: LongWords,
    /// Keys of the last batch, from which the way to count the next is chosen.
    keys: u64,
}

/// Above so many keys, tables of whole batches have left the caches.
const MANY_KEYS: u64 = if cfg!(test) { 1_000 } else { 400_000 };

impl Expert {
    pub(crate) fn new(workload: Workload, data: &Data, tokeniser: Tokeniser) -> anyhow::Result<Expert> {
        let expert = Expert::over(workload, workload.texts(data), workload.window(data), tokeniser)?;
        Ok(Expert { pairs: (workload == Workload::W5).then(|| data.pairs()), ..expert })
    }

    /// The program over these batches.
    pub(crate) fn over(
        workload: Workload,
        batches: Vec<Text>,
        length: usize,
        tokeniser: Tokeniser,
    ) -> anyhow::Result<Expert> {
        let pool = rayon::ThreadPoolBuilder::new().build()?;
        // Small batches are one thread's work: a second one gains nothing.
        let threads = match workload {
            Workload::W4Long | Workload::W6 | Workload::W6Empty => 1,
            _ => pool.current_num_threads(),
        };
        let kept = State {
            counters: (0..threads).map(|_| Counter::new(threads)).collect(),
            longest: (0..threads).map(|_| Counter::new(threads)).collect(),
            parts: (0..threads).map(|_| Kept::default()).collect(),
            join: Join::default(),
            radix: Radix::new(threads),
            keys: 0,
            long: LongWords::default(),
        };
        Ok(Expert { workload, tokeniser, pool, batches, next: 0, pairs: None, kept, length })
    }
}

impl Runner for Expert {
    fn run(&mut self, batches: usize) -> anyhow::Result<Answer> {
        let Expert { workload, tokeniser, pool, batches: texts, next, pairs, kept, length } = self;
        let one_thread = kept.counters.len() < 2;
        let mut all = || {
            let mut last = Answer::default();
            for _ in 0..batches {
                last = match pairs {
                    Some([left, right]) => Answer::count(kept.join.count(left, right)),
                    None => {
                        let batch = &texts[*next];
                        *next = (*next + 1) % texts.len();
                        kept.batch(*workload, *tokeniser, batch, *length)
                    }
                };
            }
            last
        };
        Ok(if one_thread { all() } else { pool.install(all) })
    }
}

impl State {
    fn batch(&mut self, workload: Workload, tokeniser: Tokeniser, batch: &[Bytes], length: usize) -> Answer {
        use Workload::*;
        let State { counters, longest, parts, radix, long, keys, .. } = self;
        match workload {
            W2 => return Answer::count(containing(batch, tokeniser)),
            W1Zipf | W1Uniform | W6 | W6Empty if *keys > MANY_KEYS => {
                return Summary::answer(radix.count(batch, tokeniser, long));
            }
            W4Max => count(longest, batch, tokeniser, Value::LengthOfLine, long),
            _ => count(counters, batch, tokeniser, Value::One, long),
        }
        let summaries = match workload {
            W3Update | W3UpdateReduced | W3Map | W3MapReduced => {
                merge(counters, parts, |batch, kept| kept.total(batch, long))
            }
            W4Inverse | W4Long => merge(counters, parts, |batch, kept| kept.slide(batch, length, long)),
            W4Max => merge(longest, parts, |batch, kept| kept.longest(batch, length, long)),
            W7 => return everything(counters, parts, length, long, containing(batch, tokeniser)),
            _ => merge(counters, parts, |batch, _| Summary::of(batch.iter(), long)),
        };
        *keys = summaries.iter().map(|part| part.keys).sum();
        Summary::answer(summaries)
    }
}

/// W7: the words are counted once for all.
fn everything(
    counters: &mut [Counter<Add>],
    parts: &mut [Kept],
    length: usize,
    long: &LongWords,
    lines: u64,
) -> Answer {
    let all = merge(counters, parts, |batch, kept| {
        (Summary::of(batch.iter(), long), kept.total(batch, long), kept.slide(batch, length, long))
    });
    let (mut counts, mut totals, mut windows) = (Vec::new(), Vec::new(), Vec::new());
    for (count, total, window) in all {
        counts.push(count);
        totals.push(total);
        windows.push(window);
    }
    Summary::answer(counts)
        .and(Answer::count(lines))
        .and(Summary::answer(totals))
        .and(Summary::answer(windows))
}

/// W2: the whole block is searched, and a hit skips to the end of its line.
fn containing(blocks: &[Bytes], tokeniser: Tokeniser) -> u64 {
    let finder = Finder::new("abc");
    let count = |block: &Bytes| match tokeniser {
        Tokeniser::Simd => {
            let mut rest = &block[..];
            let mut lines = 0;
            while let Some(at) = finder.find(rest) {
                lines += 1;
                let end = memchr(b'\n', &rest[at..]).map_or(rest.len(), |end| at + end + 1);
                rest = &rest[end..];
            }
            lines
        }
        Tokeniser::LinesAndSplit => {
            let mut block = TextBlock::new(block.clone());
            block.records().filter(|line| line.contains("abc")).count() as u64
        }
    };
    blocks.par_iter().with_max_len(4).map(count).sum()
}
