//! Sources of prepared batches, which are yielded without a copy, again and again.

use std::ops::Range;

use dstream::{
    Time,
    source::{Block, Limits, Source, TextBlock},
};

use crate::data::{Records, Text};

/// Batches of text, from their number.
pub(crate) struct Texts {
    make: Box<dyn FnMut(u64) -> Text + Send>,
    next: u64,
}

impl Texts {
    /// These, which come round again.
    pub(crate) fn new(batches: Vec<Text>) -> Texts {
        Texts::made(move |batch| batches[batch as usize % batches.len()].clone())
    }

    pub(super) fn made(make: impl FnMut(u64) -> Text + Send + 'static) -> Texts {
        Texts { make: Box::new(make), next: 0 }
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
        let batch = (self.make)(self.next);
        self.next += 1;
        Ok(batch.into_iter().map(TextBlock::new).collect())
    }
}

/// The same records in every batch.
#[derive(Debug)]
pub(super) struct Pairs(pub(super) Records);

/// A part of them.
#[derive(Debug)]
pub(super) struct Slice(Records, Range<usize>);

impl Source for Pairs {
    type Block = Slice;
    type Plan = ();

    fn name(&self) -> String {
        "pairs".into()
    }

    fn plan(&mut self, _time: Time, _limits: &Limits) -> dstream::Result<Option<()>> {
        Ok(Some(()))
    }

    fn blocks(&mut self, _time: Time, _plan: &()) -> dstream::Result<Vec<Slice>> {
        let step = self.0.len().div_ceil(16).max(1);
        let starts = (0..self.0.len()).step_by(step);
        Ok(starts.map(|start| Slice(self.0.clone(), start..(start + step).min(self.0.len()))).collect())
    }
}

impl Block for Slice {
    type Record<'a> = (u64, u64);

    fn records(&mut self) -> impl Iterator<Item = (u64, u64)> {
        self.0[self.1.clone()].iter().copied()
    }

    fn weight(&self) -> usize {
        self.1.len() * size_of::<(u64, u64)>()
    }
}
