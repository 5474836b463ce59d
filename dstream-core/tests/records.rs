//! Types of the standard library as keys and values; of other crates with
//! `cargo test -p dstream-core --features chrono,jiff,serde_json,uuid --test records`.

#[cfg(all(feature = "chrono", feature = "jiff", feature = "serde_json", feature = "uuid"))]
#[path = "records/foreign.rs"]
mod foreign;
#[path = "records/kept.rs"]
mod kept;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use kept::{as_key, as_value};

/// Several types in one key: each pipeline costs build time.
#[test]
fn containers_are_keys_if_they_are_always_written_alike() {
    let boxed: Box<[u8]> = Box::new([1, 2]);
    as_key(vec![
        (
            BTreeSet::from([1u8, 2]),
            BTreeMap::from([("a".to_owned(), 1u8)]),
            VecDeque::from([1u8, 2]),
            LinkedList::from([1u8, 2]),
            vec![1u8, 2],
            [1u8, 2],
            Box::new(1u8),
            (boxed, Reverse(1u8)),
        ),
        Default::default(),
    ]);
    as_key::<Box<str>>(vec!["short".into(), "a text of more than fifteen bytes".into()]);
}

#[test]
fn addresses_and_times_are_keys() {
    let later = SystemTime::UNIX_EPOCH + Duration::from_nanos(1);
    as_key(vec![
        (
            IpAddr::from(Ipv4Addr::LOCALHOST),
            SocketAddr::from((Ipv4Addr::LOCALHOST, 80)),
            Duration::MAX,
            SystemTime::UNIX_EPOCH,
            PathBuf::from("/a/b"),
            NonZeroU32::MAX,
            dstream::Bytes::from_static(b"\xff\0"),
        ),
        (
            IpAddr::from(Ipv6Addr::LOCALHOST),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 80)),
            Duration::from_millis(1_500),
            later,
            PathBuf::new(),
            NonZeroU32::MIN,
            dstream::Bytes::new(),
        ),
    ]);
}

#[test]
fn hash_tables_are_values() {
    as_value(vec![
        (
            HashMap::from([("a".to_owned(), 1u8), ("b".to_owned(), 2)]),
            HashSet::from([1u8, 2, 3]),
            BTreeMap::from([(1, 0.5)]),
        ),
        Default::default(),
    ]);
}
