//! Types of other crates as keys and values: `cargo test -p dstream-core --features
//! chrono,jiff,serde_json,uuid`.

use super::kept::{as_key, as_value};

#[test]
fn types_of_other_crates_are_keys() {
    use chrono::{DateTime, NaiveDate, Utc, Weekday};
    let stamp: jiff::Timestamp = "2026-11-22T16:45:24.5Z".parse().unwrap();
    let time: DateTime<Utc> = "2026-11-22T16:45:24.5Z".parse().unwrap();
    let date = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
    as_key(vec![
        (
            stamp,
            (jiff::civil::date(2026, 11, 22), jiff::civil::time(23, 59, 59, 1)),
            jiff::civil::date(2026, 11, 22).at(1, 2, 3, 4),
            jiff::SignedDuration::from_millis(-1_500),
            time,
            (date, date.and_hms_opt(1, 2, 3).unwrap(), date.and_hms_opt(1, 2, 3).unwrap().time()),
            (Weekday::Mon, chrono::Month::May),
            uuid::Uuid::from_u128(7),
        ),
        (
            jiff::Timestamp::MIN,
            (jiff::civil::date(-44, 3, 15), jiff::civil::Time::midnight()),
            jiff::civil::DateTime::ZERO,
            jiff::SignedDuration::ZERO,
            DateTime::UNIX_EPOCH,
            (NaiveDate::MIN, Default::default(), Default::default()),
            (Weekday::Sun, chrono::Month::December),
            uuid::Uuid::nil(),
        ),
    ]);
}

#[test]
fn types_of_other_crates_are_values() {
    let east: chrono::DateTime<chrono::FixedOffset> = "2026-11-22T16:45:24+02:00".parse().unwrap();
    let json = serde_json::json!({"a": [1, 2.5, null, "x"], "b": {"c": true}});
    as_value(vec![(
        east,
        chrono::TimeDelta::milliseconds(-1_500),
        jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC),
        json,
    )]);
}
