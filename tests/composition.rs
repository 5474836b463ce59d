//! Functions that build a part of a pipeline, over any stream that fits, and tests of such a function alone.

use std::{fs, time::Duration};

use dstream::{
    Data, Key, Str,
    prelude::*,
    source::{Block, DelimiterDecoder, TextBlock, TextRecords},
    testing::TestSource,
};

/// The function that is tested: text from anywhere, read as `&str`.
fn word_counts(ssc: &StreamingContext, lines: impl TextStream) -> dstream::Result<StreamHandle<(Str, u64)>> {
    dstream::stream!(ssc, {
        let lines = text_stream(lines).filter(|line| line.contains("be"));
        lines.words().map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b)
    })
}

/// One over records of any type.
fn totals<K: Data + Key, V: Data + serde::Serialize + serde::de::DeserializeOwned>(
    ssc: &StreamingContext,
    pairs: impl RecordStream<(K, V)>,
    add: fn(V, V) -> V,
) -> dstream::Result<StreamHandle<(K, V)>> {
    dstream::stream!(ssc, { pairs.reduce_by_key(add) })
}

fn context() -> StreamingContext {
    StreamingContext::new(Duration::from_secs(1)).unwrap()
}

/// The records of all batches of a stream, sorted.
fn collected<T: Data + Ord>(ssc: &StreamingContext, stream: &StreamHandle<T>) -> Vec<T> {
    let out = Collected::new();
    dstream::stream!(ssc, {
        stream.collect_to(&out);
    })
    .unwrap();
    ssc.run_batches(2).unwrap();
    let mut found = out.values().concat();
    found.sort();
    found
}

const LINES: [&str; 3] = ["to be or", "not at all", "to be"];

fn expected() -> Vec<(Str, u64)> {
    vec![("be".into(), 2), ("or".into(), 1), ("to".into(), 2)]
}

fn of(lines: impl TextStream, ssc: &StreamingContext) -> Vec<(Str, u64)> {
    let counts = word_counts(ssc, lines).unwrap();
    collected(ssc, &counts)
}

#[test]
fn text_from_prepared_batches() {
    let ssc = context();
    assert_eq!(of(queue_stream(vec![LINES.to_vec()]), &ssc), expected());
    let ssc = context();
    assert_eq!(of(queue_stream(vec![LINES.map(String::from).to_vec()]), &ssc), expected());
    let ssc = context();
    assert_eq!(of(queue_stream(vec![LINES.map(Str::from).to_vec()]), &ssc), expected());
}

#[test]
fn text_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let ssc = context();
    let counts = word_counts(&ssc, text_file_stream(folder.path())).unwrap();
    let out = Collected::new();
    dstream::stream!(ssc, {
        counts.collect_to(&out);
    })
    .unwrap();
    fs::write(folder.path().join("a.txt"), LINES.join("\r\n")).unwrap();
    ssc.run_to_end().unwrap();
    let mut found = out.values().concat();
    found.sort();
    assert_eq!(found, expected());
}

#[test]
fn text_from_another_pipeline() {
    let ssc = context();
    let lines = dstream::stream!(ssc, { queue_stream(vec![LINES.to_vec()]) }).unwrap();
    assert_eq!(of(&lines, &ssc), expected());
    let ssc = context();
    let lines = dstream::stream!(ssc, { queue_stream(vec![LINES.to_vec()]).map(|line| line.to_string()) });
    assert_eq!(of(lines.unwrap(), &ssc), expected());
}

/// Blocks of a kind that the library does not know.
#[test]
fn text_from_a_source_of_ones_own() {
    struct Quoted(TextBlock);

    impl Block for Quoted {
        type Record<'a> = (&'a str,);

        fn records(&mut self) -> impl Iterator<Item = (&str,)> {
            self.0.records().map(|line| (line,))
        }

        fn weight(&self) -> usize {
            self.0.weight()
        }
    }

    impl TextRecords for Quoted {
        fn lines(&mut self) -> impl Iterator<Item = &str> {
            self.0.records().map(|line| line.trim_matches('"'))
        }
    }

    struct Quotes(Option<Quoted>);

    impl dstream::source::Source for Quotes {
        type Block = Quoted;
        type Plan = ();

        fn name(&self) -> String {
            "quotes".into()
        }

        fn plan(&mut self, _: Time, _: &dstream::source::Limits) -> dstream::Result<Option<()>> {
            Ok(Some(()))
        }

        fn blocks(&mut self, _: Time, _: &()) -> dstream::Result<Vec<Quoted>> {
            Ok(self.0.take().into_iter().collect())
        }
    }

    let ssc = context();
    let block = Quoted(TextBlock::new("\"to be or\"\n\"not at all\"\n\"to be\"\n"));
    assert_eq!(of(Quotes(Some(block)), &ssc), expected());
}

/// What only arrives from outside is a stream all the same.
#[test]
fn streams_from_the_network() {
    fn is_text(_: impl TextStream) {}
    fn is_records<T>(_: impl RecordStream<T>) {}
    is_text(socket_text_stream("localhost", 9999));
    is_text(listen_text_stream("localhost:0"));
    is_records(socket_stream("localhost", 9999, DelimiterDecoder::new(b'\0')));
}

#[test]
fn records_of_a_type() {
    let ssc = context();
    let sums =
        totals(&ssc, queue_stream(vec![vec![(1u8, 2i64), (1, 3)], vec![(2, 1)]]), |a, b| a + b).unwrap();
    assert_eq!(collected(&ssc, &sums), [(1, 5), (2, 1)]);

    let (ssc, lengths) = dstream::stream!(batch = 1s, {
        queue_stream(vec![LINES.to_vec()]).flat_map(|line| line.split(' ')).map(|w| (w.len(), 1u64))
    })
    .unwrap();
    let sums = totals(&ssc, &lengths, |a, b| a + b).unwrap();
    let sums = totals(&ssc, sums, u64::max).unwrap();
    assert_eq!(collected(&ssc, &sums), [(2, 6), (3, 2)]);

    let (source, feed) = {
        let source = TestSource::new();
        (source.clone(), source)
    };
    let ssc = context();
    let sums = totals(&ssc, source, |a: i32, b| a + b).unwrap();
    feed.push(vec![(true, 1), (true, 1)]);
    assert_eq!(collected(&ssc, &sums), [(true, 2)]);
}

/// A plain function over one record needs nothing at all.
#[test]
fn a_function_of_a_record() {
    fn hashtags(line: &str) -> impl Iterator<Item = (&str, u64)> {
        line.split_whitespace().filter(|word| word.starts_with('#')).map(|tag| (tag, 1))
    }
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let lines = text_stream(queue_stream(vec![vec!["#a b".to_string(), "#a #c".to_string()]]));
        lines.flat_map(hashtags).reduce_by_key(|a, b| a + b).filter(|(_, n)| *n > 1).collect_to(&out);
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    assert_eq!(out.values(), [[("#a".into(), 2)]]);
}
