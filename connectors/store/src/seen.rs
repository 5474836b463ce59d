//! Which objects a stream has taken.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dstream_core::Time;
use dstream_core::checkpoint::{Changes, Stateful, decode};

/// As long as this an object may be missing from the listing, which may lag behind what is there.
const LAG: Duration = Duration::from_secs(600);

/// The names that were taken and are still there.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    names: BTreeSet<String>,
    /// What no checkpoint has yet.
    untold: BTreeSet<String>,
    /// Those that were not listed, and since when.
    missing: BTreeMap<String, Time>,
}

impl Seen {
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(crate) fn take(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        self.untold.insert(name.to_owned());
    }

    /// Forgets what has long been gone, so that what is kept does not grow for ever. What is only not
    /// listed for a while would be taken a second time.
    pub(crate) fn retain(&mut self, there: &BTreeSet<&str>, now: Time) {
        self.missing.retain(|name, _| !there.contains(name.as_str()));
        let (untold, missing) = (&mut self.untold, &mut self.missing);
        self.names.retain(|name| {
            if there.contains(name.as_str()) {
                return true;
            }
            let since = *missing.entry(name.clone()).or_insert(now);
            let stays = now.since(since) < LAG;
            if !stays {
                missing.remove(name);
                untold.insert(name.clone());
            }
            stays
        });
    }
}

impl Stateful for Seen {
    fn fingerprint(&self) -> String {
        "objects".to_owned()
    }

    fn changes(&mut self, out: &mut Changes) {
        for name in std::mem::take(&mut self.untold) {
            match self.names.contains(&name) {
                true => out.put(&name, &()),
                false => out.delete(&name),
            }
        }
    }

    fn restore(&mut self, key: &[u8], _: &[u8]) -> Result<(), String> {
        self.names.insert(decode(key)?);
        Ok(())
    }
}
