//! The checkpoint of a context that starts: opened, and found to be the program's own.

use std::{collections::BTreeMap, ops::Deref, sync::Arc, time::Duration};

use super::{inner::ContextInner, older::check_older};
use crate::{
    Error, Result,
    checkpoint::{Policy, Progress, Session, Storage},
    config::UNNAMED,
    receiver::SharedWal,
};

/// A folder that this program has, before the sources start.
pub(super) struct Opened {
    // Closed before the folder is free.
    pub(super) log: OpenWal,
    pub(super) session: Session,
    pub(super) policy: Policy,
    /// Receivers whose blocks of the batch that had begun are not all in the log, and need not be.
    pub(super) given_up: Vec<String>,
}

/// The log; it is closed when this is dropped, although a receiver that has not stopped may still have it.
pub(super) struct OpenWal(Arc<SharedWal>);

impl Deref for OpenWal {
    type Target = Arc<SharedWal>;

    fn deref(&self) -> &Arc<SharedWal> {
        &self.0
    }
}

impl Drop for OpenWal {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Opened {
    /// Opens the checkpoint, and the log beside it: what receivers store goes there from their first block
    /// on.
    pub(super) fn open(inner: &ContextInner, storage: &Storage) -> Result<Opened> {
        let session = Session::open(Arc::clone(&storage.store))?;
        let (name, forget) = {
            let lifecycle = inner.lock();
            (lifecycle.name.clone(), lifecycle.forget.clone())
        };
        let (mut receiver_offsets, mut older) = (BTreeMap::new(), false);
        if let Some(recovered) = session.recovered() {
            check(recovered.progress(), &name, inner.interval, &storage.store.describe(""))?;
            older = check_older(inner, storage, recovered)?;
            receiver_offsets.clone_from(&recovered.progress().wal);
        }
        let log = SharedWal::open(session.lock(), storage, &inner.config, &receiver_offsets, &forget, older)?;
        let pending = session.recovered().and_then(|recovered| recovered.progress().pending.first());
        let receivers = pending.iter().flat_map(|batch| batch.inputs.keys());
        let given_up = receivers.filter(|name| older && log.is_missing_block(name)).cloned().collect();
        let policy = Policy { threads: inner.config.runtime.clone(), ..storage.policy.clone() };
        Ok(Opened { log: OpenWal(Arc::new(log)), session, policy, given_up })
    }

    /// The seed of the hash in the checkpoint to go on from.
    pub(super) fn seed(&self) -> Option<u64> {
        self.session.recovered().map(|recovered| recovered.progress().hash_seed)
    }
}

/// Refuses the checkpoint of another application, or of another batch interval.
fn check(found: &Progress, ours: &str, interval: Duration, place: &str) -> Result<()> {
    let theirs = found.application.as_str();
    // One that has given itself no name may be any.
    if theirs != ours && [theirs, ours].iter().all(|name| *name != UNNAMED && !name.is_empty()) {
        return Err(Error::Invalid(format!(
            "the checkpoint in `{place}` is of the application `{theirs}`, this one is `{ours}`: use another \
             folder, or, if it is the same application, name it `{theirs}` again"
        )));
    }
    if found.interval != interval {
        return Err(Error::Invalid(format!(
            "the checkpoint in `{place}` was written with a batch interval of {:?}, this program has {:?}: \
             change it back, or use another folder",
            found.interval, interval
        )));
    }
    Ok(())
}
