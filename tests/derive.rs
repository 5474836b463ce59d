//! `#[derive(Record)]`: borrowed structs and enums as values and as keys of pipelines.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
};

use dstream::{Data, Key, prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What somebody wrote.
#[derive(Clone, Record)]
#[record(derive(PartialEq))]
struct Tweet<'a> {
    /// Who.
    user: &'a str,
    tags: Vec<String>,
    reply_to: Option<(&'a str, u64)>,
    at: Place<'a>,
    weight: f64,
}

#[derive(Clone, Hash, Record)]
#[record(key, derive(PartialOrd, Ord))]
enum Place<'a> {
    Nowhere,
    Point(i32, i32),
    Named { country: &'a str, r#type: Cow<'a, str> },
    Host(&'a Host),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Record)]
#[record(key)]
struct Host {
    name: String,
    port: u16,
}

/// A foreign type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Record)]
#[record(key)]
struct File(PathBuf);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Record)]
#[record(key)]
enum Either<L, R = L>
where
    L: Ord,
{
    Left(L),
    Right { value: R },
    Neither,
}

#[derive(Clone, Hash, Record)]
#[record(key, owned = "OwnedTagged", derive(PartialOrd, Ord, Debug, serde::Serialize))]
struct Tagged<'a, 'b: 'a, T: Clone + 'a, const N: usize = 2>(&'a str, &'b [u8], Option<T>, &'a T)
where
    T: PartialEq<T>,
    'b: 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Record)]
#[record(key)]
struct Unit;

/// A discriminant is hashed as a number of the type in `repr`.
#[derive(Clone, Hash, Record)]
#[record(key)]
#[repr(u8)]
enum Code<'a> {
    Low(&'a str) = 7,
    High { r#fn: &'a str } = 200,
}

/// No explicit discriminants: nothing but the hash depends on `repr`.
#[derive(Clone, Hash, Record)]
#[record(key)]
#[repr(u8)]
enum Flag<'a> {
    Set(&'a str),
    Clear,
}

/// One variant, no discriminant in the hash; a raw name.
#[expect(non_camel_case_types, reason = "that is what raw names look like")]
#[derive(Clone, Hash, Record)]
#[record(key)]
enum r#type<'r> {
    r#Match(&'r str),
}

mod bounds {
    use dstream::prelude::*;

    pub(super) trait Shape<'a>: 'a {}

    impl<'a> Shape<'a> for u8 {}

    /// A bound that names the lifetime.
    #[derive(Record)]
    pub(super) struct Bounded<'a, S: Shape<'a>> {
        pub(super) shape: S,
        pub(super) text: &'a str,
        pub(super) always: &'static str,
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A key and its owned form are the same and have one hash; no two of `keys` are.
fn agree<K: Key<Owned: Key<Owned = K::Owned> + Debug> + Clone>(keys: &[K]) {
    for (i, a) in keys.iter().enumerate() {
        for (j, b) in keys.iter().enumerate() {
            let (a_owned, b_owned) = (a.clone().own(), b.clone().own());
            assert_eq!(a.same_key(&b_owned), i == j, "{a_owned:?} {b_owned:?}");
            assert_eq!(a_owned.same_key(&b_owned), i == j, "{a_owned:?} {b_owned:?}");
            assert_eq!(hash(a) == hash(&b_owned), i == j, "{a_owned:?} {b_owned:?}");
        }
    }
}

fn lines(batches: &[&[&str]]) -> Vec<Vec<String>> {
    batches.iter().map(|batch| batch.iter().map(|line| (*line).to_owned()).collect()).collect()
}

fn place(word: &str) -> Place<'_> {
    match word.split_once('/') {
        None if word.is_empty() => Place::Nowhere,
        None => Place::Point(word.len() as i32, -1),
        Some((country, name)) => Place::Named { country, r#type: name.into() },
    }
}

fn tweet(line: &str) -> Option<Tweet<'_>> {
    let (user, word) = line.split_once(' ')?;
    Some(Tweet { user, tags: vec![], reply_to: None, at: place(word), weight: 1.0 })
}

#[test]
fn a_key_agrees_with_its_owned_form() {
    let (here, there) = (Host { name: "h".into(), port: 1 }, Host { name: "h".into(), port: 2 });
    agree(&[
        Place::Nowhere,
        Place::Point(1, 2),
        Place::Point(2, 1),
        Place::Named { country: "a", r#type: "bc".into() },
        Place::Named { country: "ab", r#type: Cow::Owned("c".into()) },
        Place::Host(&here),
        Place::Host(&there),
    ]);
    agree(&[
        Tagged::<_>("a", b"", Some(1u8), &1),
        Tagged("", b"a", Some(1), &1),
        Tagged("", b"a", None, &1),
        Tagged("", b"a", None, &2),
    ]);
    agree(&[Code::Low("a"), Code::High { r#fn: "a" }, Code::High { r#fn: "" }]);
    agree(&[Flag::Set("a"), Flag::Clear]);
    agree(&[r#type::r#Match("a"), r#type::Match("b")]);
    agree(&[Either::Left(1), Either::Right { value: "1".to_owned() }, Either::Neither]);
    agree(&[File("a".into()), File("b".into())]);
    agree(&[Unit]);
    agree(&[Some((here.clone(), Unit)), None]);
}

#[test]
fn a_twin_is_what_the_borrowed_form_says() {
    let host = Host { name: "h".into(), port: 80 };
    let tweet = Tweet {
        user: "ann",
        tags: vec!["rust".into()],
        reply_to: Some(("bob", 7)),
        at: Place::Host(&host),
        weight: 0.5,
    };
    let expected = TweetOwned {
        user: "ann".into(),
        tags: vec!["rust".to_owned()],
        reply_to: Some(("bob".into(), 7)),
        at: PlaceOwned::Host(host.clone()),
        weight: 0.5,
    };
    assert_eq!(tweet.own(), expected);
    assert_eq!(format!("{expected:?}")[..22], *r#"TweetOwned { user: "an"#);
    assert_eq!(
        r#type::Match("x").own(),
        typeOwned::Match("x".into()),
        "the twin of a raw name is no longer raw"
    );

    let bounded = bounds::Bounded { shape: 1u8, text: "t", always: "s" }.own();
    assert_eq!((bounded.shape, bounded.text.as_str(), bounded.always.as_str()), (1, "t", "s"));
}

#[test]
fn owned_forms_can_be_kept_and_sent() {
    fn portable<T: Data + Debug + Serialize + DeserializeOwned>() {}
    portable::<TweetOwned>();
    portable::<PlaceOwned>();
    portable::<CodeOwned>();
    portable::<OwnedTagged<String>>();
    portable::<bounds::BoundedOwned<u8>>();
    portable::<Either<u8, Host>>();
}

#[test]
fn borrowed_structs_are_values() -> dstream::Result<()> {
    let (all, rdds) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let tweets = queue_stream(lines(&[&["ann at/vienna", "bob "], &[]])).flat_map(|line| tweet(&line));
        tweets.filter(|tweet| tweet.user.len() == 3).collect_to(&all);
        tweets.map(|tweet| (tweet.user, tweet.at)).reduce_by_key(|_, last| last).collect_to(&rdds);
    })?;
    ssc.run_batches(2)?;
    let [tweets, none] = all.values().try_into().unwrap();
    let vienna = PlaceOwned::Named { country: "at".into(), r#type: "vienna".into() };
    assert_eq!((tweets[0].user.as_str(), &tweets[0].at), ("ann", &vienna));
    assert_eq!((tweets[1].user.as_str(), &tweets[1].at), ("bob", &PlaceOwned::Nowhere));
    assert!(none.is_empty());
    let mut rdd = rdds.values().concat();
    rdd.sort();
    assert_eq!(rdd, [("ann".into(), vienna), ("bob".into(), PlaceOwned::Nowhere)]);
    Ok(())
}

/// Each key comes from all 16 partitions, borrowed in each, and from what a shuffle has owned already.
#[test]
fn borrowed_keys_of_many_partitions_come_together() -> dstream::Result<()> {
    let words = ["", "a", "bb", "at/vienna", "at/graz", "a/tgraz"];
    let batch: Vec<String> = (0..20_000).map(|n| words[n * n % 31 % words.len()].to_owned()).collect();
    let mut naive = BTreeMap::new();
    for word in &batch {
        *naive.entry(place(word).own()).or_insert(0u64) += 1;
    }
    let (counts, again) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let places = queue_stream(vec![batch]).flat_map(|word| Some((place(&word), 1u64)));
        let summed = places.reduce_by_key(|a, b| a + b, partitions = 5);
        summed.collect_to(&counts);
        summed.union(summed).reduce_by_key(|a, b| a + b, partitions = 3).collect_to(&again);
    })?;
    ssc.run_batches(1)?;
    let sorted =
        |out: Collected<(PlaceOwned, u64)>| out.values().concat().into_iter().collect::<BTreeMap<_, _>>();
    assert_eq!(counts.values().concat().len(), naive.len());
    assert_eq!(sorted(counts), naive);
    assert_eq!(sorted(again), naive.into_iter().map(|(k, n)| (k, n * 2)).collect());
    Ok(())
}

#[test]
fn generic_and_foreign_types_are_keys() -> dstream::Result<()> {
    let (either, tagged, files) = (Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let words = queue_stream(lines(&[&["a", "7", "a", "7", "b"]]));
        words
            .map(|word| match word.parse::<u64>() {
                Ok(value) => (Either::Right { value }, 1),
                Err(_) => (Either::Left(word), 1),
            })
            .reduce_by_key(|a, b| a + b)
            .collect_to(&either);
        words
            .flat_map(|word| Some(Tagged::<_, 3>(&word, word.as_bytes(), Some(word.len()), &1)))
            .count_by_value()
            .collect_to(&tagged);
        words.map(|word| File(word.into())).count_by_value().collect_to(&files);
    })?;
    ssc.run_batches(1)?;
    let mut either = either.values().concat();
    either.sort();
    let left = |text: &str| Either::Left(text.to_owned());
    assert_eq!(either, [(left("a"), 2), (left("b"), 1), (Either::Right { value: 7 }, 2)]);
    let tagged: BTreeMap<OwnedTagged<usize, 3>, u64> = tagged.values().concat().into_iter().collect();
    assert_eq!(
        tagged.iter().map(|(k, n)| (k.0.as_str(), *n)).collect::<Vec<_>>(),
        [("7", 2), ("a", 2), ("b", 1)]
    );
    let files: BTreeMap<File, u64> = files.values().concat().into_iter().collect();
    assert_eq!(files[&File("a".into())], 2);
    Ok(())
}

mod fields {
    use std::collections::BTreeMap;

    use dstream::prelude::*;
    use serde::{Deserialize, Serialize};

    /// Nobody else can name it.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
    struct Private(u32);

    type Name = &'static str;

    /// Fields without lifetimes: of a private type, of one whose owned form is another, of one that holds the
    /// twin.
    #[derive(Record)]
    #[record(derive(PartialEq))]
    pub(super) struct Node<'a> {
        text: &'a str,
        private: Option<Private>,
        name: Name,
        tree: Tree,
        counts: BTreeMap<String, u64>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
    pub(super) struct Tree {
        nodes: Vec<NodeOwned>,
    }

    pub(super) fn node(text: &str, below: Vec<NodeOwned>) -> Node<'_> {
        let tree = Tree { nodes: below };
        Node { text, private: Some(Private(1)), name: "n", tree, counts: BTreeMap::new() }
    }
}

#[test]
fn fields_without_lifetimes_are_owned_as_what_they_are() {
    let leaf = fields::node("leaf", Vec::new()).own();
    let root = fields::node("root", vec![leaf.clone()]).own();
    assert_ne!(root, leaf);
}
