//! A million words pass; what is allocated grows with the distinct words, not with the words.

use std::{alloc::System, hint::black_box};

use dstream::{Bytes, Source, TextBlock, prelude::*};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The same text, batch after batch.
struct Repeat(Bytes);

impl Source for Repeat {
    type Block = TextBlock;

    fn name(&self) -> String {
        "repeat".into()
    }

    fn batch(&mut self, _time: Time) -> dstream::Result<Vec<TextBlock>> {
        Ok(vec![TextBlock::new(self.0.clone())])
    }
}

fn allocations_of_a_batch(words: usize, distinct: usize) -> dstream::Result<usize> {
    let text: String =
        (0..words).map(|n| format!("word{}{}", n % distinct, if n % 10 == 9 { '\n' } else { ' ' })).collect();
    let source = Repeat(text.into());
    let ssc = dstream::stream!(batch = 1s, {
        let pairs = source.flat_map(|line| line.split(' ')).map(|word| (word, 1u64));
        pairs.reduce_by_key(|a, b| a + b).foreach_rdd(|rdd| {
            black_box(rdd.num_partitions());
        });
        pairs.filter(|(word, _)| word.ends_with('7')).count().foreach_rdd(|rdd| {
            black_box(rdd.count());
        });
    })?;
    ssc.run_batches(1)?;
    let region = Region::new(ALLOCATOR);
    ssc.run_batches(1)?;
    Ok(region.change().allocations)
}

#[test]
fn allocations_follow_distinct_words() -> dstream::Result<()> {
    // One test in this binary: another's allocations would be counted too.
    let few = allocations_of_a_batch(1_000_000, 1_000)?;
    let same = allocations_of_a_batch(100_000, 1_000)?;
    let more = allocations_of_a_batch(1_000_000, 50_000)?;
    assert!(few < 3_000, "{few} allocations for 1,000 distinct words among 1,000,000");
    assert!(
        few.abs_diff(same) < 300,
        "{few} for 1,000,000 words, {same} for 100,000, both of 1,000 distinct"
    );
    assert!(more < 150_000, "{more} allocations for 50,000 distinct words");
    Ok(())
}
