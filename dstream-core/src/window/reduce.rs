//! `reduce_by_window`: the keyed windows with a single key.

use serde::de::DeserializeOwned;

use super::{InverseByKeyAndWindow, ReduceByKeyAndWindow, WindowSpec};
use crate::{
    Rdd, Time,
    batch::{Batch, Step},
    checkpoint::{Changes, Stateful},
    plan::OpMeta,
    record::{Data, Portable},
    table::{Entry, MergedBucket, Partials},
};

/// `reduce_by_window(f, ..)`.
#[derive(Debug)]
pub struct ReduceByWindow<T>(ReduceByKeyAndWindow<(), T>);

/// `reduce_by_window(f, inverse, ..)`.
#[derive(Debug)]
pub struct InverseByWindow<T>(InverseByKeyAndWindow<(), T>);

impl<T: Data> ReduceByWindow<T> {
    /// An empty window.
    pub fn new(spec: WindowSpec) -> Self {
        ReduceByWindow(ReduceByKeyAndWindow::new(spec, 1))
    }

    /// Adds the aggregate of a batch. If the window is due, returns the aggregate of its batches, or nothing
    /// if all are empty.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Rdd<T>>,
        f: impl Fn(T, T) -> T + Sync,
    ) -> Step<Rdd<T>> {
        self.0.step(batch, op, single(batch, input), f, |(), _| true).map(without_key)
    }
}

impl<T: Data> InverseByWindow<T> {
    /// An empty window.
    pub fn new(spec: WindowSpec) -> Self {
        InverseByWindow(InverseByKeyAndWindow::new(spec, 1))
    }

    /// As [`ReduceByWindow::step`]; what leaves is subtracted by `inverse`.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Rdd<T>>,
        f: impl Fn(T, T) -> T + Sync,
        inverse: impl Fn(T, T) -> T + Sync,
    ) -> Step<Rdd<T>> {
        self.0.step(batch, op, single(batch, input), f, inverse, |(), _| true).map(without_key)
    }
}

fn single<T: Data>(batch: &Batch<'_>, input: Step<Rdd<T>>) -> Step<Partials<(), T>> {
    // The one key is in the first group, whose owner has the value.
    let value = input?.into_vecs().into_iter().flatten().next();
    let entry = value.map(|value| Entry::new(batch.seed(), (), value));
    Ok(Partials::new(vec![MergedBucket::of(entry.into_iter().collect())]))
}

fn without_key<T: Clone>(pairs: Rdd<((), T)>) -> Rdd<T> {
    let values = |part: Vec<((), T)>| part.into_iter().map(|((), value)| value).collect();
    Rdd::from_partitions(pairs.into_vecs().into_iter().map(values))
}

/// Both are checkpointed as the keyed window.
macro_rules! stateful {
    ($($window:ident),*) => {$(
        impl<T: Portable> Stateful for $window<T> {
            fn fingerprint(&self) -> String {
                self.0.fingerprint()
            }

            fn changes(&mut self, out: &mut Changes) {
                self.0.changes(out);
            }

            fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
                self.0.restore(key, value)
            }

            fn begin_restore(&mut self, fingerprint: &str) {
                self.0.begin_restore(fingerprint);
            }

            fn finish_restore(&mut self) -> Result<(), String> {
                self.0.finish_restore()
            }

            fn is_converted(&self) -> bool {
                self.0.is_converted()
            }

            fn keys(&self) -> Option<u64> {
                self.0.keys()
            }

            fn estimated_bytes(&self) -> Option<u64> {
                self.0.estimated_bytes()
            }

            fn oldest(&mut self) -> Option<Time> {
                self.0.oldest()
            }
        }

        impl<T: Portable> $window<T> {
            /// How the values of an older program, of another type, become those of this one.
            pub fn migrate<Old: DeserializeOwned>(&mut self, f: impl Fn(Old) -> T + Send + 'static) {
                self.0.migrate(f);
            }
        }
    )*};
}

stateful!(ReduceByWindow, InverseByWindow);
