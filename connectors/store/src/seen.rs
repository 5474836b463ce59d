//! Which objects a stream has taken.

use std::collections::BTreeSet;

use dstream_core::checkpoint::{Changes, Stateful, decode};

/// The names that were taken and are still there.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    names: BTreeSet<String>,
    /// What no checkpoint has yet.
    untold: BTreeSet<String>,
}

impl Seen {
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(crate) fn take(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        self.untold.insert(name.to_owned());
    }

    /// Forgets what is not there any more, so that what is kept does not grow for ever.
    pub(crate) fn retain(&mut self, there: &BTreeSet<&str>) {
        let untold = &mut self.untold;
        self.names.retain(|name| {
            let stays = there.contains(name.as_str());
            if !stays {
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
