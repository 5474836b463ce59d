//! State whose type has changed since it was written.

use std::{any::type_name, fmt};

use serde::de::DeserializeOwned;

use super::decode;
use crate::record::Str;

/// Reads values of type `T` back, and those that an older program wrote as another type, if the program says
/// how.
pub(crate) struct Migration<T> {
    old: Option<Old<T>>,
    /// The checkpoint says that all values are of the older type.
    all_old: bool,
    converted: bool,
}

struct Old<T> {
    /// The fingerprint of the older program.
    fingerprint: String,
    /// What the program's function takes.
    name: &'static str,
    read: Box<dyn Fn(&[u8]) -> Result<T, String> + Send>,
}

impl<T> Default for Migration<T> {
    fn default() -> Self {
        Migration { old: None, all_old: false, converted: false }
    }
}

impl<T> fmt::Debug for Migration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration").field("from", &self.old.as_ref().map(|old| &old.fingerprint)).finish()
    }
}

impl<T> Migration<T> {
    /// Converts what an operator with this fingerprint wrote. `U` is what was written, `O` what the program's
    /// function takes.
    pub(crate) fn from<O, U: DeserializeOwned>(
        fingerprint: String,
        convert: impl Fn(U) -> T + Send + 'static,
    ) -> Self {
        let read = Box::new(move |bytes: &[u8]| decode(bytes).map(&convert));
        let old = Some(Old { fingerprint, name: type_name::<O>(), read });
        Migration { old, ..Migration::default() }
    }

    /// What will be read was written with the fingerprint `stored`; that of the program is `own`.
    pub(crate) fn begin_restore(&mut self, stored: &str, own: &str) {
        let stored = with_names_of_today(stored);
        self.all_old = stored != own && self.old.as_ref().is_some_and(|old| old.fingerprint == stored);
    }

    /// Reads one value. The name of a type may have stayed or changed with what it holds: where it does not
    /// tell, a value is of the older type if it can't be read as one of today's.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<T, String>
    where
        T: DeserializeOwned,
    {
        let own = if self.all_old { Err(String::new()) } else { decode(bytes) };
        let (Err(what), Some(old)) = (&own, &self.old) else { return own };
        let value = (old.read)(bytes).map_err(|error| {
            let what = if what.is_empty() { String::new() } else { format!("{what}; ") };
            format!("{what}`migrate` expects `{}`: {error}", old.name)
        })?;
        self.converted = true;
        Ok(value)
    }

    /// Whether a value was of the older type. The checkpoint must then be written anew.
    pub(crate) fn is_converted(&self) -> bool {
        self.converted
    }
}

/// A fingerprint with the names that the types of this crate have now. A type that is renamed or moved, and
/// may have been written, is added here: else what was written of it is taken for another type.
fn with_names_of_today(fingerprint: &str) -> String {
    fingerprint.replace("compact_str::CompactString", type_name::<Str>())
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn written(value: impl Serialize) -> Vec<u8> {
        rmp_serde::to_vec_named(&value).unwrap_or_default()
    }

    fn cents() -> Migration<f64> {
        Migration::from::<u64, _>("cents".into(), |cents: u64| cents as f64 / 100.0)
    }

    #[test]
    fn the_fingerprint_tells() {
        let mut migration = cents();
        migration.begin_restore("cents", "euros");
        assert_eq!(migration.read(&written(150u64)), Ok(1.5));
        assert!(migration.is_converted());
        for (stored, own) in [("euros", "euros"), ("cents", "cents"), ("another", "euros")] {
            let mut migration = cents();
            migration.begin_restore(stored, own);
            assert_eq!(migration.read(&written(150u64)), Ok(150.0), "{stored} {own}");
            assert!(!migration.is_converted());
        }
    }

    #[test]
    fn a_type_that_this_crate_has_renamed_is_known_by_its_older_name() {
        let old = format!("state<{}, u64>", type_name::<Str>());
        let mut migration = Migration::from::<u64, _>(old, |cents: u64| cents as f64 / 100.0);
        let own = format!("state<{}, f64>", type_name::<Str>());
        migration.begin_restore("state<compact_str::CompactString, u64>", &own);
        assert_eq!(migration.read(&written(150u64)), Ok(1.5));
        // Whoever moves it says so above, and then here.
        assert_eq!(type_name::<Str>(), "dstream_core::record::str::Str");
    }

    /// As when a struct has got a field and kept its name.
    #[test]
    fn where_it_does_not_tell_the_value_does() {
        let mut migration = Migration::from::<u64, _>("old".into(), |old: u64| (old, String::from("new")));
        migration.begin_restore("state", "state");
        assert_eq!(migration.read(&written((1u64, "today"))), Ok((1, "today".into())));
        assert!(!migration.is_converted());
        assert_eq!(migration.read(&written(7u64)), Ok((7, "new".into())));
        assert!(migration.is_converted());
        let error = migration.read(&written("text")).err().unwrap_or_default();
        assert!(error.contains("`migrate` expects `u64`"), "{error}");
    }

    #[test]
    fn without_a_function_nothing_is_converted() {
        let mut migration = Migration::<u64>::default();
        migration.begin_restore("a", "b");
        assert_eq!(migration.read(&written(7u8)), Ok(7));
        assert!(migration.read(&written("text")).is_err_and(|error| !error.contains("migrate")));
    }
}
