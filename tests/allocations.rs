//! A million words pass; what is allocated grows with the distinct words, not with the words. And no match of
//! a join is allocated that is only counted, or seen in passing.

use std::{alloc::System, hint::black_box, time::Duration};

use dstream::{
    Bytes,
    prelude::*,
    source::{Limits, Source, TextBlock},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The same text, batch after batch.
struct Repeat(Bytes);

impl Source for Repeat {
    type Block = TextBlock;
    type Plan = ();

    fn name(&self) -> String {
        "repeat".into()
    }

    fn plan(&mut self, _time: Time, _limits: &Limits) -> dstream::Result<Option<()>> {
        Ok(Some(()))
    }

    fn blocks(&mut self, _time: Time, _plan: &()) -> dstream::Result<Vec<TextBlock>> {
        Ok(vec![TextBlock::new(self.0.clone())])
    }
}

/// Of the second batch: the first makes tables.
fn allocations_of_the_second(ssc: &StreamingContext) -> dstream::Result<usize> {
    ssc.run_batches(1)?;
    let region = Region::new(ALLOCATOR);
    ssc.run_batches(1)?;
    Ok(region.change().allocations)
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
    allocations_of_the_second(&ssc)
}

/// Each side has this many records, of ten keys; keys and values are too long for a text that needs no
/// allocation.
fn allocations_of_a_join(records: usize) -> dstream::Result<(u64, usize)> {
    let text: String = (0..records).map(|n| format!("a value of a record that is long: {n}\n")).collect();
    let (left, right) = (Repeat(text.clone().into()), Repeat(text.into()));
    let counts = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let left = left.map(|line| (line.len() as u64 + line.ends_with('7') as u64, line));
        let right = right.map(|line| (line.len() as u64 + line.ends_with('7') as u64, line));
        left.join(right).count().collect_to(&counts);
    })?;
    let allocations = allocations_of_the_second(&ssc)?;
    Ok((counts.values()[1][0], allocations))
}

/// Words that don't fit into their owned form without an allocation, which a state has already.
fn allocations_of_a_state(words: usize, distinct: usize) -> dstream::Result<usize> {
    let text: String = (0..words)
        .map(|n| format!("a_word_of_many_letters_{}{}", n % distinct, if n % 10 == 9 { '\n' } else { ' ' }))
        .collect();
    let source = Repeat(text.into());
    let ssc = StreamingContext::with_config(Duration::from_secs(1), Config::new().volatile_state(true))?;
    let ssc = dstream::stream!(ssc, {
        let pairs = source.flat_map(|line| line.split(' ')).map(|word| (word, 1u64));
        let (events, totals) = pairs.map_with_state(|_word, n: Option<u64>, total: &mut State<u64>| {
            total.update(total.get().copied().unwrap_or(0) + n.unwrap_or(0));
            None::<u64>
        });
        events.count().foreach_rdd(|rdd| {
            black_box(rdd.count());
        });
        totals.count().foreach_rdd(|rdd| {
            black_box(rdd.count());
        });
    })?;
    allocations_of_the_second(&ssc)
}

#[test]
fn allocations_follow_distinct_words_and_records() -> dstream::Result<()> {
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

    let (matches, allocations) = allocations_of_a_join(1_000)?;
    assert!(matches > 300_000);
    // The values of both sides are owned where they leave their stages.
    assert!((2_000..4_000).contains(&allocations), "{allocations} allocations for {matches} matches");
    let state = allocations_of_a_state(100_000, 1_000)?;
    assert!(state < 4_000, "{state} allocations for a state of 1,000 words, of which 100,000 came");
    Ok(())
}
