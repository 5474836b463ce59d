//! Inner and outer joins, which differ in what an unmatched record yields.

/// A kind of join: what it yields for matched and for unmatched records.
pub trait JoinForm<V, W>: Send + Sync {
    /// The value of the joined pairs.
    type Out: Send;
    /// Whether an unmatched record of the left side yields a pair.
    const LEFT: bool;
    /// Whether an unmatched record of the right side yields a pair.
    const RIGHT: bool;

    /// The value of a match.
    fn both(left: V, right: W) -> Self::Out;

    /// The value of an unmatched record of the left side; `None` unless [`LEFT`](JoinForm::LEFT).
    fn left(left: V) -> Option<Self::Out>;

    /// The value of an unmatched record of the right side; `None` unless [`RIGHT`](JoinForm::RIGHT).
    fn right(right: W) -> Option<Self::Out>;
}

macro_rules! forms {
    ($($(#[$doc:meta])* $form:ident: $out:ty,
        $both:expr, $left:expr, $right:expr, ($has_left:literal, $has_right:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $form;

        impl<V: Send, W: Send> JoinForm<V, W> for $form {
            type Out = $out;
            const LEFT: bool = $has_left;
            const RIGHT: bool = $has_right;

            #[inline]
            fn both(left: V, right: W) -> $out {
                ($both)(left, right)
            }

            #[inline]
            fn left(left: V) -> Option<$out> {
                ($left)(left)
            }

            #[inline]
            fn right(right: W) -> Option<$out> {
                ($right)(right)
            }
        }
    )*};
}

forms! {
    /// `join`.
    Inner: (V, W), |v, w| (v, w), |_| None, |_| None, (false, false);
    /// `left_outer_join`.
    LeftOuter: (V, Option<W>), |v, w| (v, Some(w)), |v| Some((v, None)), |_| None, (true, false);
    /// `right_outer_join`.
    RightOuter: (Option<V>, W), |v, w| (Some(v), w), |_| None, |w| Some((None, w)), (false, true);
    /// `full_outer_join`.
    FullOuter: (Option<V>, Option<W>), |v, w| (Some(v), Some(w)), |v| Some((Some(v), None)), |w| Some((None, Some(w))),
        (true, true);
}
