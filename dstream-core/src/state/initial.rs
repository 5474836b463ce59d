//! What `initial = ..` takes.

use crate::{Key, Rdd, record::Data, sealed::Sealed};

/// The state before the first batch: an [`Rdd`] or a `Vec` of pairs. If a key is there twice, its last pair
/// counts.
///
/// Keys may be given in their borrowed form: `vec![("hello", 1)]` for a stream of words.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an initial state",
    label = "this operator starts from pairs of type `({K}, {S})`",
    note = "give a `Vec` or an `Rdd` of pairs, with keys of the stream's type"
)]
pub trait InitialState<K, S>: Sealed {
    /// The pairs.
    fn into_pairs(self) -> Vec<(K, S)>;
}

impl<T> Sealed for Vec<T> {}

impl<K, Q: Key<Owned = K>, S> InitialState<K, S> for Vec<(Q, S)> {
    fn into_pairs(self) -> Vec<(K, S)> {
        self.into_iter().map(|(key, state)| (key.own(), state)).collect()
    }
}

impl<K: Data, S: Data> InitialState<K, S> for Rdd<(K, S)> {
    fn into_pairs(self) -> Vec<(K, S)> {
        self.into_vecs().into_iter().flatten().collect()
    }
}
