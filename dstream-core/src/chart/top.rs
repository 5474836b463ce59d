//! The rows of a batch that a chart shows.

/// The `n` rows with the largest weights, and no more than twice as many while they are added. Of equal
/// weights, those that were added first.
#[derive(Debug)]
pub(crate) struct TopRows<R> {
    limit: usize,
    rows: Vec<(f64, R)>,
    /// What a row must weigh more than, once there are enough.
    floor: f64,
}

impl<R> TopRows<R> {
    pub(crate) fn new(limit: usize) -> TopRows<R> {
        TopRows { limit, rows: Vec::new(), floor: f64::NEG_INFINITY }
    }

    /// Whether it is to hold any rows at all.
    #[inline]
    pub(crate) fn takes_any(&self) -> bool {
        self.limit > 0
    }

    /// Adds a row. `None` as its weight says that it can't be shown.
    #[inline]
    pub(crate) fn push(&mut self, weight: Option<f64>, row: impl FnOnce() -> R) {
        let Some(weight) = weight.filter(|weight| *weight > self.floor && self.takes_any()) else { return };
        self.rows.push((weight, row()));
        if self.rows.len() >= self.limit.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        // The sort is stable: of equal weights the first ones stay in front.
        self.rows.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        self.rows.truncate(self.limit);
        if self.rows.len() == self.limit
            && let Some((least, _)) = self.rows.last()
        {
            self.floor = *least;
        }
    }

    /// The rows, the one with the largest weight first.
    pub(crate) fn finish(mut self) -> Vec<R> {
        self.cut();
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keeps_what_a_sort_would(weights in prop::collection::vec(0u8..20, 0..200), limit in 0usize..12) {
            let mut top = TopRows::new(limit);
            let mut expected: Vec<(u8, usize)> = Vec::new();
            for (at, weight) in weights.into_iter().enumerate() {
                top.push(Some(weight.into()), || (weight, at));
                prop_assert!(top.rows.len() <= 2 * limit);
                expected.push((weight, at));
            }
            top.push(None, || (0, 0));
            expected.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
            expected.truncate(limit);
            prop_assert_eq!(top.finish(), expected);
        }
    }
}
