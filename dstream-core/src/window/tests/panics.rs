//! What a panic of the user's costs.

use std::cell::Cell;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::Record;

thread_local! {
    /// How many clones of a [`Fragile`] are left until one panics, if any does.
    static CLONES: Cell<Option<usize>> = const { Cell::new(None) };
    /// Whether one did.
    static BROKE: Cell<bool> = const { Cell::new(false) };
}

/// A value whose `Clone` is the user's, and fails.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Fragile(String);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        let left = CLONES.get();
        CLONES.set(left.and_then(|left| left.checked_sub(1)));
        BROKE.set(BROKE.get() || left == Some(0));
        assert_ne!(left, Some(0), "this one breaks");
        Fragile(self.0.clone())
    }
}

impl Record for Fragile {
    type Owned = Fragile;

    fn own(self) -> Fragile {
        self
    }
}

fn join(a: Fragile, b: Fragile) -> Fragile {
    Fragile(a.0 + &b.0)
}

fn part(sum: Fragile, left: Fragile) -> Fragile {
    Fragile(strip(sum.0, left.0))
}

proptest! {
    /// A function that panics fails windows that hold what it panics at, and leaves no trace in others.
    #[test]
    fn panics_pass(stream in streams(), (length, slide) in (1usize..12, 1usize..5), at in "[ab][ab]?") {
        let f = |a: String, b: String| {
            assert!(!(a.contains(&at) || b.contains(&at)), "no {at}, please");
            a + &b
        };
        let inverse = |a: String, b: String| {
            assert!(!b.contains(&at), "no {at} back, please");
            strip(a, b)
        };
        let mut plain = ReduceByKeyAndWindow::new(spec(length, slide), 2);
        let mut inverted = InverseByKeyAndWindow::new(spec(length, slide), 2);
        // Which batches have something to panic at, or fail anyway.
        let bad = |k: usize| stream[k - 1].as_ref()
            .is_none_or(|pairs| pairs.iter().any(|(_, v)| at.contains(v.as_str())));
        for k in 1..=stream.len() {
            let b = batch(k);
            let found = outcome(plain.step(&b, &OP, partials(&b, &stream[k - 1], 2, f), f, |_, _| true));
            let others =
                outcome(inverted.step(&b, &OP, partials(&b, &stream[k - 1], 2, f), f, inverse, |_, _| true));
            let expected = naive(&stream, k, (length, slide), concat);
            let may_fail = (k.saturating_sub(length) + 1..=k).any(bad);
            prop_assert!(found == expected || may_fail && found.is_err(), "{k}: {found:?} {expected:?}");
            // What left just now may still fail the inverse, once.
            let may_fail = (k.saturating_sub(length + slide) + 1..=k).any(bad);
            prop_assert!(others == expected || may_fail && others.is_err(), "{k}: {others:?} {expected:?}");
        }
    }

    /// The same for a `Clone` that panics, wherever it is called, and whether results are held or not: a
    /// batch that was not taken in whole is lost to the windows that it is in.
    #[test]
    fn clones_that_panic_pass(
        stream in streams(),
        (length, slide) in (1usize..12, 1usize..4),
        clones in proptest::collection::vec(proptest::option::weighted(0.3, 0usize..40), 24),
        held in proptest::collection::vec(any::<bool>(), 24),
        restart in 1usize..24,
    ) {
        let fragile = |pairs: Vec<(String, String)>| -> Vec<_> {
            pairs.into_iter().map(|(key, value)| (key, Fragile(value))).collect()
        };
        let stream: Vec<_> = stream.into_iter().map(|pairs| pairs.map(fragile)).collect();
        let case = Case { length, clones, held, restart };
        case.check(
            stream.len(),
            || ReduceByKeyAndWindow::new(spec(length, slide), 2),
            |b, k| partials(b, &stream[k - 1], 2, join),
            |window, b, input| window.step(b, &OP, input, join, |_, _| true),
            |k| naive(&stream, k, (length, slide), join),
        )?;
        case.check(
            stream.len(),
            || InverseByKeyAndWindow::new(spec(length, slide), 2),
            |b, k| partials(b, &stream[k - 1], 2, join),
            |window, b, input| window.step(b, &OP, input, join, part, |_, _| true),
            |k| naive(&stream, k, (length, slide), join),
        )?;
        let single = |pairs: &Vec<(String, Fragile)>| -> Vec<_> {
            pairs.iter().map(|(key, v)| (key.clone(), vec![v.clone()])).collect()
        };
        let singles: Vec<_> = stream.iter().map(|pairs| pairs.as_ref().map(single)).collect();
        case.check(
            stream.len(),
            || GroupByKeyAndWindow::new(spec(length, slide), 2),
            |b, k| groups(b, &stream[k - 1], 2),
            |window, b, input| window.step(b, &OP, input),
            |k| naive(&singles, k, (length, slide), |group, more| [group, more].concat()),
        )?;
    }
}

/// When clones break, which results are held until the next batch, and when the program starts again.
struct Case {
    length: usize,
    clones: Vec<Option<usize>>,
    held: Vec<bool>,
    restart: usize,
}

impl Case {
    fn check<O: Stateful, I, T: Ord + Clone + std::fmt::Debug>(
        &self,
        batches: usize,
        new: impl Fn() -> O,
        input: impl Fn(&Batch<'_>, usize) -> I,
        step: impl Fn(&mut O, &Batch<'_>, I) -> Step<Rdd<T>>,
        expected: impl Fn(usize) -> Outcome<Vec<T>>,
    ) -> Result<(), TestCaseError> {
        let (mut operator, mut broken, mut _held) = (new(), None, None);
        for k in 1..=batches {
            let b = batch(k);
            let input = input(&b, k);
            CLONES.set(self.clones[k - 1]);
            let found = step(&mut operator, &b, input);
            CLONES.set(None);
            broken = if BROKE.take() { Some(k) } else { broken };
            _held = found.clone().ok().filter(|_| self.held[k - 1]);
            let (found, expected) = (outcome(found), expected(k));
            // After a restart only the time of a failed batch is known.
            let may_fail = broken.is_some_and(|at| k < at + self.length) || expected.is_err();
            prop_assert!(found == expected || may_fail && found.is_err(), "{k}: {found:?} {expected:?}");
            if k == self.restart {
                let mut store = Store::default();
                store.take(&mut operator);
                operator = new();
                store.give(&mut operator);
            }
        }
        Ok(())
    }
}
