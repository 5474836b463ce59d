//! `join` and its outer forms: they differ in what a record without a match yields.

/// What a join yields, of values of the left side and of the right one.
pub trait JoinForm<V, W>: Send + Sync {
    /// What stands beside the key.
    type Out: Send;
    /// Whether a record of the left side without a match yields something.
    const LEFT: bool;
    /// The same of the right side.
    const RIGHT: bool;

    /// Of a match.
    fn both(left: V, right: W) -> Self::Out;

    /// Of a record of the left side alone: nothing, unless it is [`LEFT`](JoinForm::LEFT).
    fn left(left: V) -> Option<Self::Out>;

    /// Of a record of the right side alone.
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
