//! Types of well-known crates as records, each crate behind a feature of its own name.
//!
//! A key must be written alike whenever it is equal. Times with a time zone are equal if they are the same
//! moment, and written with their zone: so they are records, and no keys, unless the zone is always the same.

#[cfg(any(feature = "jiff", feature = "chrono", feature = "uuid", feature = "serde_json"))]
use super::Record;

#[cfg(any(feature = "jiff", feature = "chrono", feature = "uuid", feature = "serde_json"))]
macro_rules! foreign {
    (keys: $($key:ty),* $(,)?; values: $($value:ty),* $(,)?) => {
        $(foreign!(@record $key);)*
        $(foreign!(@record $value);)*
        $(impl super::Key for $key {
            fn same_key(&self, owned: &$key) -> bool {
                self == owned
            }
        })*
    };
    (@record $t:ty) => {
        impl Record for $t {
            type Owned = $t;

            fn own(self) -> $t {
                self
            }
        }
    };
}

#[cfg(feature = "jiff")]
foreign! {
    keys: jiff::Timestamp, jiff::SignedDuration, jiff::civil::Date, jiff::civil::Time, jiff::civil::DateTime;
    values: jiff::Zoned
}

#[cfg(feature = "chrono")]
foreign! {
    keys: chrono::DateTime<chrono::Utc>, chrono::NaiveDate, chrono::NaiveTime, chrono::NaiveDateTime,
        chrono::Weekday,
        chrono::Month;
    values: chrono::DateTime<chrono::FixedOffset>, chrono::TimeDelta
}

#[cfg(feature = "uuid")]
foreign! {
    keys: uuid::Uuid;
    values:
}

#[cfg(feature = "serde_json")]
foreign! {
    keys: ;
    values: serde_json::Value, serde_json::Number, serde_json::Map<String, serde_json::Value>
}
