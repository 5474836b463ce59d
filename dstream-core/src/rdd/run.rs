//! Runs one task a partition.

use std::{panic, time::Duration};

use super::RddOps;
use crate::{clock::Stopwatch, exec, panics};

/// Fewer records than this are little work, if what is done with each of them is.
pub(crate) const FEW: usize = 2_000;

/// The records of one partition of `R`.
pub(crate) type RecordsOf<R> = <<R as RddOps>::Part as IntoIterator>::IntoIter;

/// Runs `task` over the records of each partition; the results are in the order of the partitions.
pub(crate) fn run<R: RddOps, O: Send>(rdd: R, task: impl Fn(RecordsOf<R>) -> O + Sync) -> Vec<O> {
    let few = rdd.size_hint() < FEW;
    run_items(rdd.into_parts(), few, |part| task(part.into_iter()))
}

/// Runs `task` for each item.
///
/// With `few` records the caller begins alone, since waking other threads takes longer than most work on so
/// few. What it has not begun after a while is shared out: the user's closure may take a second for each
/// record.
pub(crate) fn run_items<I: Send, O: Send>(items: Vec<I>, few: bool, task: impl Fn(I) -> O + Sync) -> Vec<O> {
    const ALONE: Duration = Duration::from_micros(50);
    let mut outputs = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    if few {
        let start = Stopwatch::start();
        for item in items.by_ref() {
            outputs.push(task(item));
            if start.elapsed() > ALONE {
                break;
            }
        }
    }
    let rest: Vec<I> = items.collect();
    if panics::is_catching() && rest.len() > 1 {
        // Inside a batch a panic is reported, not printed, on whichever thread it happens.
        for output in exec::run(rest, false, |item| panics::catch(|| task(item))) {
            match output {
                Ok(output) => outputs.push(output),
                Err(caught) => panic::resume_unwind(caught.rethrow()),
            }
        }
    } else {
        outputs.extend(exec::run(rest, false, task));
    }
    outputs
}
