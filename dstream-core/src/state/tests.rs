//! States against a naive fold over everything that ever came.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::{map_with_state::MapWithState, update::UpdateStateByKey, *};
use crate::{
    Rdd, Str,
    batch::{Batch, Missing, Step},
    block::Block,
    table::{GroupPartial, GroupSink, Grouped},
    window::tests::{OP, Store, batch, seconds},
};

type Pairs = Vec<(u8, i64)>;

fn streams() -> impl Strategy<Value = Vec<Pairs>> {
    proptest::collection::vec(proptest::collection::vec((0u8..7, 0i64..40), 0..7), 1..20)
}

fn groups(b: &Batch<'_>, pairs: &Pairs, buckets: usize) -> Step<Grouped<u8, i64>> {
    let tasks = pairs.chunks(3).map(|task| {
        let mut sink = GroupSink::new(b.seed(), buckets);
        task.iter().for_each(|pair| sink.push(*pair));
        sink.finish()
    });
    b.groups(&OP, buckets, Ok(tasks.collect()))
}

/// What each task has for each bucket.
type Tasks = Vec<Vec<GroupPartial<u8, i64>>>;

fn scattered(b: &Batch<'_>, pairs: &Pairs, buckets: usize) -> Step<Tasks> {
    let tasks = pairs.chunks(3).map(|task| {
        let mut sink = GroupSink::new(b.seed(), buckets);
        task.iter().for_each(|pair| sink.push(*pair));
        sink.finish()
    });
    Ok(tasks.collect())
}

fn sorted<T: Clone + Ord>(rdd: Step<Rdd<T>>) -> Vec<T> {
    let mut records = rdd.unwrap().collect();
    records.sort();
    records
}

/// The state as the next stage borrows it, and as an output copies it: the same.
fn shown(view: &Step<StateView<u8, i64>>) -> Vec<(u8, i64)> {
    let mut borrowed = Vec::new();
    for mut block in StateView::blocks(view).unwrap() {
        borrowed.extend(block.records().map(|(key, state)| (*key, *state)));
    }
    borrowed.sort();
    assert_eq!(borrowed, sorted(StateView::rdd(view)));
    borrowed
}

fn message<T>(step: Step<T>) -> String {
    match step {
        Err(Missing::Failed(failure)) => failure.to_string(),
        Err(Missing::NotDue) => "not due".to_owned(),
        Ok(_) => "no failure".to_owned(),
    }
}

/// Not commutative, ages without values, and lets keys go.
fn fold(key: &u8, new: &[i64], old: Option<i64>) -> Option<i64> {
    let state = new.iter().fold(old.unwrap_or(i64::from(*key)), |state, n| (state * 3 + n) % 1_000);
    // Even keys change by themselves, so that a checkpoint must see what no value touched.
    let state = if new.is_empty() && key.is_multiple_of(2) { state - 1 } else { state };
    (state % 5 != 0 && state > 0).then_some(state)
}

proptest! {
    #[test]
    fn update_state_by_key_is_a_fold(
        stream in streams(),
        initial in proptest::collection::vec((0u8..9, 1i64..50), 0..6),
        buckets in 1usize..4,
        (logged_from, restart) in (1usize..10, 1usize..20),
    ) {
        let new = || UpdateStateByKey::<u8, i64>::new(buckets).initial(initial.clone());
        let (mut operator, mut store) = (new(), Store::default());
        let mut naive: BTreeMap<u8, i64> = initial.iter().copied().collect();
        for (k, pairs) in (1..).zip(&stream) {
            let b = batch(k);
            let view = operator.step_keyed(&b, &OP, groups(&b, pairs, buckets), fold);
            let keys: Vec<u8> =
                (0..9).filter(|key| naive.contains_key(key) || pairs.iter().any(|(k, _)| k == key)).collect();
            for key in keys {
                let new: Vec<i64> = pairs.iter().filter(|(k, _)| *k == key).map(|(_, n)| *n).collect();
                if let Some(state) = fold(&key, &new, naive.remove(&key)) {
                    naive.insert(key, state);
                }
            }
            prop_assert_eq!(shown(&view), naive.clone().into_iter().collect::<Vec<_>>());
            drop(view);
            if k >= logged_from || k == restart {
                store.take(&mut operator);
                prop_assert_eq!(store.len(), naive.len());
            }
            if k == restart {
                operator = new();
                store.give(&mut operator);
            }
        }
    }

    #[test]
    fn map_with_state_is_a_fold(
        stream in streams(),
        initial in proptest::collection::btree_map(0u8..9, 1i64..50, 0..6),
        buckets in 1usize..4,
        timeout in proptest::option::of(1usize..5),
        (logged_from, restart) in (1usize..10, 1usize..20),
    ) {
        let pairs: Vec<_> = initial.clone().into_iter().collect();
        let new = || MapWithState::<u8, i64>::new(buckets, timeout.map(seconds))
            .initial(Rdd::parallelize(pairs.clone()));
        let (mut operator, mut store) = (new(), Store::default());
        // State, and the batch that refreshed it.
        let mut naive: BTreeMap<u8, (i64, usize)> =
            initial.iter().map(|(key, state)| (*key, (*state, 1))).collect();
        for (k, pairs) in (1..).zip(&stream) {
            let b = batch(k);
            let (events, view) =
                operator.step_timed(&b, &OP, scattered(&b, pairs, buckets), |time, key, value, state| {
                assert_eq!(time, b.time());
                let before = state.get().copied();
                match value {
                    None => assert!(state.is_timing_out() && state.exists()),
                    Some(n) if n % 4 == 0 => state.remove(),
                    Some(n) if n % 4 == 1 => drop(state.get_mut().map(|state| *state += n)),
                    Some(n) if n % 4 == 2 => state.update(before.unwrap_or(100) * 2 % 1_000 + n),
                    Some(_) => {}
                }
                // Some say nothing.
                (value != Some(7)).then_some((*key, value, before))
            });
            let mut calls = Vec::new();
            for (key, n) in pairs {
                let before = naive.get(key).map(|(state, _)| *state);
                match (n % 4, before) {
                    (0, _) => drop(naive.remove(key)),
                    (1, Some(state)) => drop(naive.insert(*key, (state + n, k))),
                    (2, _) => drop(naive.insert(*key, (before.unwrap_or(100) * 2 % 1_000 + n, k))),
                    (_, Some(state)) if timeout.is_some() => drop(naive.insert(*key, (state, k))),
                    _ => {}
                }
                calls.extend((*n != 7).then_some((*key, Some(*n), before)));
            }
            // Strictly older than the batch minus the timeout.
            let out: Vec<u8> = naive.iter().filter(|(_, (_, seen))| timeout.is_some_and(|d| seen + d < k))
                .map(|(key, _)| *key).collect();
            let mut timeouts: Vec<_> =
                out.into_iter().map(|key| (key, None, naive.remove(&key).map(|(state, _)| state))).collect();
            let mut found = events.unwrap().collect();
            if buckets == 1 {
                // Calls in the order of the records, then time-outs.
                prop_assert_eq!(&found[..calls.len()], &calls[..]);
                found.drain(..calls.len());
            } else {
                timeouts.append(&mut calls);
            }
            found.sort();
            timeouts.sort();
            prop_assert_eq!(found, timeouts);
            prop_assert_eq!(shown(&view),
                naive.iter().map(|(key, (state, _))| (*key, *state)).collect::<Vec<_>>());
            drop(view);
            if k >= logged_from || k == restart {
                store.take(&mut operator);
                prop_assert_eq!(store.len(), naive.len());
            }
            if k == restart {
                operator = new();
                store.give(&mut operator);
            }
        }
    }
}

#[test]
fn the_lecture_starts_with_hello_and_world() {
    let mut operator = UpdateStateByKey::new(2).initial(vec![("hello", 1u64), ("world", 1)]);
    let mut step = |k: usize, words: &[&'static str]| {
        let b = batch(k);
        let mut sink = GroupSink::new(b.seed(), 2);
        words.iter().for_each(|word| sink.push((*word, 1u64)));
        let input = b.groups(&OP, 2, Ok(vec![sink.finish()]));
        let view = operator
            .step(&b, &OP, input, |new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        sorted(StateView::rdd(&view))
    };
    let pair = |word: &str, n: u64| (word.into(), n);
    assert_eq!(step(1, &[]), [pair("hello", 1), pair("world", 1)]);
    assert_eq!(step(2, &["hello", "you"]), [pair("hello", 2), pair("world", 1), pair("you", 1)]);
}

#[test]
fn a_checkpoint_hears_of_what_changed_only() {
    let add = |new: &[i64], old: Option<i64>| Some(old.unwrap_or(0) + new.iter().sum::<i64>());
    let (mut operator, mut store) = (UpdateStateByKey::new(3), Store::default());
    let all: Pairs = (0..200u8).map(|key| (key, 1)).collect();
    let mut step = |k: usize, pairs: &Pairs, store: &mut Store| {
        let b = batch(k);
        assert!(operator.step(&b, &OP, groups(&b, pairs, 3), add).is_ok());
        store.take(&mut operator)
    };
    assert_eq!(step(1, &all, &mut store), 200);
    assert_eq!(step(2, &vec![], &mut store), 0);
    assert_eq!(step(3, &vec![(7, 1), (9, 1), (7, 1), (201, 1)], &mut store), 3);

    let (mut operator, mut store) = (MapWithState::new(3, Some(seconds(2))), Store::default());
    let mut step = |k: usize, pairs: &Pairs, store: &mut Store| {
        let b = batch(k);
        let (events, _) = operator.step(&b, &OP, scattered(&b, pairs, 3), |_, value, state| {
            value.inspect(|n| state.update(*n));
            None::<()>
        });
        assert!(events.is_ok());
        store.take(&mut operator)
    };
    assert_eq!(step(1, &all, &mut store), 200);
    assert_eq!(step(2, &vec![(7, 1), (9, 1), (7, 1)], &mut store), 2);
    assert_eq!(step(3, &vec![], &mut store), 0);
    // 198 time out, and two that were refreshed a batch later.
    assert_eq!((step(4, &vec![], &mut store), store.len()), (198, 2));
    assert_eq!((step(5, &vec![], &mut store), store.len()), (2, 0));
}

#[test]
fn a_broken_state_says_so_until_the_restart() {
    let (mut operator, mut store) = (UpdateStateByKey::new(1), Store::default());
    let add = |new: &[i64], old: Option<i64>| {
        assert!(new != [13], "no 13");
        Some(old.unwrap_or(0) + new.iter().sum::<i64>())
    };
    let mut step = |k: usize, pairs: &Pairs, store: &mut Store| {
        let b = batch(k);
        let view = operator.step(&b, &OP, groups(&b, pairs, 1), add);
        store.take(&mut operator);
        message(view)
    };
    assert_eq!(step(1, &vec![(1, 1), (2, 1)], &mut store), "no failure");
    // The first key is updated before the second one fails.
    let failure = step(2, &vec![(1, 1), (2, 13)], &mut store);
    assert!(failure.contains("`the_operator`") && failure.contains("no 13"), "{failure}");
    assert_eq!(step(3, &vec![(1, 1)], &mut store), failure);

    // Nothing of the failed batch is in the checkpoint.
    let mut operator = UpdateStateByKey::new(1);
    store.give(&mut operator);
    let b = batch(2);
    let view = operator.step(&b, &OP, groups(&b, &vec![(2, 2)], 1), add);
    assert_eq!(shown(&view), [(1, 1), (2, 3)]);
}

/// When most keys have left, the rest are given new places: deadlines and the notes for the checkpoint
/// follow.
#[test]
fn a_table_that_shrinks_loses_nothing() {
    let wide = |b: &Batch<'_>, keys: &[u32]| {
        let mut sink = GroupSink::new(b.seed(), 1);
        keys.iter().for_each(|key| sink.push((*key, u64::from(*key))));
        Ok(vec![sink.finish()])
    };
    let new = || MapWithState::<u32, u64>::new(1, Some(seconds(3)));
    let (mut operator, mut store) = (new(), Store::default());
    let late: Vec<u32> = (5_000..5_040).collect();
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    for k in 1..=12usize {
        let b = batch(k);
        let keys: Vec<u32> = match k {
            1 => (0..3_000).chain(late.clone()).collect(),
            2 => late[..20].to_vec(),
            // The batch in which the many leave.
            5 => late[10..].to_vec(),
            _ => Vec::new(),
        };
        let (events, view) = operator.step(&b, &OP, wide(&b, &keys), |key, value, state| {
            value.inspect(|value| state.update(*value));
            state.is_timing_out().then_some(*key)
        });
        seen.extend(keys.iter().map(|key| (*key, k)));
        let out: Vec<u32> = seen.iter().filter(|(_, seen)| **seen + 3 < k).map(|(key, _)| *key).collect();
        seen.retain(|key, _| !out.contains(key));
        assert_eq!(sorted(events), out, "batch {k}");
        let left = seen.keys().map(|key| (*key, u64::from(*key))).collect::<Vec<_>>();
        assert_eq!(sorted(StateView::rdd(&view)), left, "batch {k}");
        drop(view);
        store.take(&mut operator);
        assert_eq!(store.len(), seen.len());
        let mut other = new();
        store.give(&mut other);
        let (_, view) = other.step(&batch(k), &OP, wide(&b, &[]), |_, _, _| None::<()>);
        assert_eq!(sorted(StateView::rdd(&view)), left, "batch {k}, restored");
    }
}

#[test]
fn an_input_that_is_lost_breaks_the_state_and_one_that_is_not_due_does_not() {
    let mut operator = UpdateStateByKey::<u8, i64>::new(1);
    let mut step = |k: usize, input| {
        message(operator.step(&batch(k), &OP, input, |new: &[i64], old| old.or(new.first().copied())))
    };
    assert_eq!(step(1, Err(Missing::NotDue)), "not due");
    assert_eq!(step(2, groups(&batch(2), &vec![(1, 1)], 1)), "no failure");
    let failure = step(3, Err(batch(3).failed(&OP, "lost".to_owned())));
    assert_eq!(step(4, groups(&batch(4), &vec![(1, 1)], 1)), failure);
}

/// One call of the function for one record, with a key that is there.
fn call(timeout: Option<Duration>, f: impl Fn(&mut State<i64>) + Sync) -> String {
    let mut operator = MapWithState::new(1, timeout).initial(vec![(1u8, 5i64)]);
    let mut found = String::new();
    for (k, pairs) in [(1, vec![(1, 0)]), (9, vec![])] {
        let b = batch(k);
        let (events, _) = operator.step(&b, &OP, scattered(&b, &pairs, 1), |_, _, state| {
            f(state);
            [()]
        });
        found = message(events);
        if found != "no failure" {
            break;
        }
    }
    found
}

#[test]
fn changes_that_cannot_be_made_fail_the_batch() {
    let here = |failure: String, what: &str| {
        assert!(failure.contains("`the_operator`") && failure.contains(what), "{failure}")
    };
    here(
        call(None, |s| {
            s.remove();
            s.update(1)
        }),
        "can't be updated: it has been removed",
    );
    here(
        call(None, |s| {
            s.remove();
            s.remove()
        }),
        "can't be removed: it has been removed",
    );
    here(
        call(Some(seconds(1)), |s| {
            if s.is_timing_out() {
                s.update(1)
            }
        }),
        "can't be updated: it is timing out",
    );
    here(
        call(Some(seconds(1)), |s| {
            if s.is_timing_out() {
                s.remove()
            }
        }),
        "can't be removed: it is timing out",
    );
    assert_eq!(call(Some(seconds(1)), |_| ()), "no failure");
    assert_eq!(
        call(None, |s| {
            s.update(1);
            s.remove()
        }),
        "no failure"
    );
}

/// Also of more keys than a task looks for, and of keys that have no short form.
#[test]
fn calls_are_in_the_order_of_the_records() {
    let word = |n: u32| match n % 30_011 {
        n if n % 5 == 0 => format!("a word of more than fifteen bytes {n}"),
        _ => format!("{n}"),
    };
    let words: Vec<String> =
        (0..60_000u32).map(|n| word(n.wrapping_mul(n) / 7 % 40_009)).chain((0..60_000).map(word)).collect();
    let b = batch(1);
    let tasks = words.chunks(70_000).map(|task| {
        let mut sink = GroupSink::new(b.seed(), 1);
        task.iter().zip(0u32..).for_each(|(word, n)| sink.push((word.as_str(), n)));
        sink.finish()
    });
    let mut operator = MapWithState::<Str, u32>::new(1, None);
    let (events, _) = operator.step(&b, &OP, Ok(tasks.collect()), |word, n, state| {
        let before = state.get().copied().unwrap_or(0);
        state.update(before + 1);
        Some((word.clone(), n, before))
    });
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let calls = words.iter().zip((0..70_000).chain(0..)).map(|(word, n)| {
        let before = seen.entry(word).or_default();
        *before += 1;
        (Str::from(word.as_str()), Some(n), *before - 1)
    });
    assert!(events.unwrap().collect() == calls.collect::<Vec<_>>());
}

/// A key whose state does not outlive the batch leaves nothing behind.
#[test]
fn keys_without_a_state_are_not_kept() {
    let (mut operator, mut store) = (MapWithState::<u8, i64>::new(1, None), Store::default());
    let mut step = |k: usize, pairs: Pairs| {
        let b = batch(k);
        let (events, view) = operator.step(&b, &OP, scattered(&b, &pairs, 1), |_, value, state| {
            match value {
                Some(0) => {}
                Some(1) if state.exists() => state.remove(),
                _ => state.update(7),
            }
            [()]
        });
        assert_eq!(events.unwrap().collect().len(), pairs.len());
        let shown = shown(&view);
        drop(view);
        (shown, store.take(&mut operator))
    };
    assert_eq!(step(1, vec![(1, 0), (2, 2), (3, 2), (3, 1)]), (vec![(2, 7)], 1));
    assert_eq!(step(2, vec![(1, 0), (3, 2), (3, 1), (2, 0)]), (vec![(2, 7)], 0));
    // Removed and set again: one change. Removed: one more.
    assert_eq!(step(3, vec![(2, 1), (2, 2)]), (vec![(2, 7)], 1));
    assert_eq!(step(4, vec![(2, 1), (4, 0)]), (vec![], 1));
}

#[test]
fn a_view_that_is_kept_does_not_change() {
    let mut operator = UpdateStateByKey::new(1);
    let mut step = |k: usize| {
        let b = batch(k);
        operator.step(&b, &OP, groups(&b, &vec![(1, 1)], 1), |new, old| Some(old.unwrap_or(0) + new[0]))
    };
    let first = step(1);
    assert_eq!((shown(&step(2)), shown(&first)), (vec![(1, 2)], vec![(1, 1)]));
}
