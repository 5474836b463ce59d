//! A look at what operators keep of one key.

use std::{
    fmt,
    sync::{Mutex, TryLockError, Weak},
};

use serde::{Serialize, de::DeserializeOwned};

use super::ContextView;
use crate::{
    Time,
    checkpoint::{KeptBytes, Stateful, decode},
};

/// The operators of a context that keep something, each with its name in the plan.
pub(crate) type KeptOperators = Vec<(String, Weak<Mutex<dyn Stateful>>)>;

/// What an operator keeps of a key, as of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptValue<V> {
    /// The newest batch that the operator has taken in: the value is that behind this batch.
    pub batch: Time,
    /// The batch in which records last came for the key, or in which its value was seen to change.
    pub changed: Option<Time>,
    /// The value; `None` if the key has none.
    pub value: Option<V>,
}

/// Why a key could not be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookUpError {
    /// No operator of this name keeps anything.
    NoOperator {
        /// The name that was asked for.
        asked: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The operator has no values by key that it could be asked for, as a window.
    NoValues(String),
    /// A batch runs through the operator at this moment: ask again.
    Busy,
    /// The context has stopped.
    Stopped,
    /// What else there is, in words: a key of another type, or a state that a failed batch has spoiled.
    Refused(String),
}

impl fmt::Display for LookUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookUpError::NoOperator { asked, known } if known.is_empty() => {
                write!(f, "no operator is called `{asked}`: none of this program keeps anything")
            }
            LookUpError::NoOperator { asked, known } => {
                write!(
                    f,
                    "no operator that keeps something is called `{asked}`: there are {}",
                    known.join(", ")
                )
            }
            LookUpError::NoValues(operator) => write!(
                f,
                "`{operator}` can't be asked for a key: operators with state can, `update_state_by_key` and \
                 `map_with_state`"
            ),
            LookUpError::Busy => f.write_str("a batch runs through the operator at this moment: ask again"),
            LookUpError::Stopped => f.write_str("the context has stopped, and its state is gone"),
            LookUpError::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for LookUpError {}

impl ContextView {
    /// Looks up what an operator with state keeps of `key`, as of one batch. It never waits for a batch, and
    /// no batch waits for it but for the time of one access to a hash table.
    ///
    /// The key is of any type that is serialised as that of the operator is, such as `&str` for `String`. The
    /// value is read as a `V`: the type of the state, or one that takes everything, such as
    /// `serde_json::Value`.
    ///
    /// ```
    /// use dstream::{events::{ContextView, Listener}, prelude::*};
    /// use std::sync::{Arc, OnceLock};
    ///
    /// #[derive(Default)]
    /// struct Looks(OnceLock<ContextView>);
    ///
    /// impl Listener for Looks {
    ///     fn attached(&self, context: &ContextView) -> dstream::Result<()> {
    ///         let _ = self.0.set(context.clone());
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let looks = Arc::new(Looks::default());
    /// let conf = Config::new().volatile_state(true).listener(looks.clone());
    /// let ssc = dstream::stream!(batch = 1s, conf = conf, {
    ///     let pairs = queue_stream(vec![vec![("a", 1u64), ("b", 2), ("a", 3)]]);
    ///     let totals = pairs
    ///         .update_state_by_key(|new: &[u64], old: Option<u64>| {
    ///             Some(old.unwrap_or(0) + new.iter().sum::<u64>())
    ///         });
    ///     totals.print();
    /// })?;
    /// ssc.run_batches(1)?;
    /// let found = looks.0.get().expect("it runs").look_up::<u64>("totals", &"a")?;
    /// assert_eq!(found.value, Some(4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn look_up<V: DeserializeOwned>(
        &self,
        operator: &str,
        key: &impl Serialize,
    ) -> Result<KeptValue<V>, LookUpError> {
        let refused = |what: &str, why: String| LookUpError::Refused(format!("{what}: {why}"));
        let key = rmp_serde::to_vec_named(key)
            .map_err(|error| refused("the key can't be written", error.to_string()))?;
        let KeptBytes { batch, changed, value } = self.ask(operator, &key)?;
        let value = value.as_deref().map(decode).transpose();
        let value = value.map_err(|why| refused("the value is of another type than was asked for", why))?;
        Ok(KeptValue { batch, changed, value })
    }

    fn ask(&self, operator: &str, key: &[u8]) -> Result<KeptBytes, LookUpError> {
        let (_, kept) =
            self.kept().iter().find(|(name, _)| name == operator).ok_or_else(|| LookUpError::NoOperator {
                asked: operator.to_owned(),
                known: self.kept().iter().map(|(name, _)| name.clone()).collect(),
            })?;
        let kept = kept.upgrade().ok_or(LookUpError::Stopped)?;
        let kept = match kept.try_lock() {
            Ok(kept) => kept,
            // What a panic has left is what the next batch finds, too.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(LookUpError::Busy),
        };
        let found = kept.look_up(key).ok_or_else(|| LookUpError::NoValues(operator.to_owned()))?;
        found.map_err(LookUpError::Refused)
    }
}
