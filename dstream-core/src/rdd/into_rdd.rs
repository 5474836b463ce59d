//! What the closure of `transform` may return.

use std::error::Error as StdError;

use super::Rdd;
use crate::sealed::Sealed;

/// Any error of the user's.
pub(super) type Fault = Box<dyn StdError + Send + Sync>;

/// What the closure of [`transform`](crate::DStream::transform) may return: an [`Rdd`], a chain of its
/// [operations](super::RddOps), or a `Result` of one of them with any error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an `Rdd`",
    label = "expected an `Rdd`, a chain of its operations, or a `Result` of one",
    note = "an action such as `count()` ends a chain: return the chain before it, or `Rdd::parallelize(vec![..])`"
)]
pub trait IntoRdd: Sealed {
    /// A record of the `Rdd`.
    type Record: Send;

    /// The `Rdd`, once a chain has run.
    ///
    /// # Errors
    ///
    /// What the closure has returned.
    fn into_rdd(self) -> Result<Rdd<Self::Record>, Fault>;
}

impl<R: IntoRdd, E: Into<Fault>> IntoRdd for Result<R, E> {
    type Record = R::Record;

    fn into_rdd(self) -> Result<Rdd<R::Record>, Fault> {
        self.map_err(E::into)?.into_rdd()
    }
}
