//! Pipelines that cut or search their source directly, where a block of text may be read as a whole: with
//! blocks of every kind the records must be those of the lines one by one.

use dstream::{
    Bytes, Time,
    prelude::*,
    receiver::Volatile,
    record::Word,
    source::{Block, Limits, Source, Text, TextBlock},
};

const TEXT: &str = "to be\r\n\nor  not\nto\tbe \n that is,the question";

fn naive_words() -> Vec<&'static str> {
    TEXT.split_ascii_whitespace().collect()
}

fn naive_pieces() -> Vec<&'static str> {
    TEXT.lines().flat_map(|line| line.split(' ')).collect()
}

fn naive_lines_with(part: &str) -> Vec<&'static str> {
    TEXT.lines().filter(|line| line.contains(part)).collect()
}

/// One batch of these blocks.
struct Blocks<B>(Vec<B>);

impl<B: Block + 'static> Source for Blocks<B> {
    type Block = B;
    type Plan = ();

    fn name(&self) -> String {
        "blocks".into()
    }

    fn plan(&mut self, _time: Time, _limits: &Limits) -> dstream::Result<Option<()>> {
        Ok(Some(()))
    }

    fn blocks(&mut self, _time: Time, _plan: &()) -> dstream::Result<Vec<B>> {
        Ok(std::mem::take(&mut self.0))
    }
}

/// Text in two blocks.
fn text() -> Blocks<TextBlock> {
    let (a, b) = TEXT.split_at(8);
    Blocks(vec![TextBlock::new(a), TextBlock::new(""), TextBlock::new(b)])
}

fn lines() -> Vec<String> {
    TEXT.lines().map(str::to_owned).collect()
}

/// A block of the user's, with lines that it owns.
struct Owned(Vec<String>);

impl Block for Owned {
    type Record<'a> = String;

    fn records(&mut self) -> impl Iterator<Item = String> {
        self.0.drain(..)
    }

    fn weight(&self) -> usize {
        1
    }
}

/// A line as bytes that are shared.
struct Shared(Bytes);

impl AsRef<str> for Shared {
    fn as_ref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Whether a block was asked for its lines one by one.
struct Whole(TextBlock);

impl Block for Whole {
    type Record<'a> = &'a str;

    fn records(&mut self) -> impl Iterator<Item = &str> {
        std::iter::once("one by one")
    }

    fn texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
        self.0.texts()
    }

    fn records_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
        self.0.records_with(part)
    }

    fn weight(&self) -> usize {
        1
    }
}

/// `words`, `split` and `filter` on sources of one kind.
macro_rules! check {
    ($source:expr) => {
        check!($source, run_batches(1))
    };
    ($source:expr, $run:ident($($batches:literal)?)) => {{
        let (words, pieces, found) = (Collected::new(), Collected::new(), Collected::new());
        let ssc = dstream::stream!(batch = 1s, {
            ($source).words().collect_to(&words);
            ($source).split(b' ').collect_to(&pieces);
            ($source).filter(|line| line.contains("be")).map(|line| line.to_string()).collect_to(&found);
        })?;
        ssc.$run($($batches)?)?;
        assert_eq!(words.values().concat(), naive_words());
        assert_eq!(pieces.values().concat(), naive_pieces());
        assert_eq!(found.values().concat(), naive_lines_with("be"));
    }};
}

#[test]
fn every_kind_of_block_has_the_same_pieces() -> dstream::Result<()> {
    check!(text());
    check!(Blocks(vec![Volatile(TextBlock::new(TEXT))]));
    check!(Blocks(vec![Whole(TextBlock::new(TEXT))]));
    check!(Blocks(vec![Owned(lines())]));
    check!(queue_stream(vec![lines()]));
    check!(queue_stream(vec![TEXT.lines().collect::<Vec<_>>()]));
    Ok(())
}

#[test]
fn files_and_handles_have_the_same_pieces() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("a.txt"), TEXT)?;
    check!(text_file_stream(folder.path()), run_to_end());
    let (ssc, handle) = dstream::stream!(batch = 1s, { text() })?;
    let out = Collected::new();
    dstream::stream!(ssc, { handle.words().collect_to(&out) })?;
    ssc.run_batches(1)?;
    assert_eq!(out.values().concat(), naive_words());
    Ok(())
}

#[test]
fn records_of_a_type_of_the_users_are_cut() -> dstream::Result<()> {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let lines =
            queue_stream(vec![lines().into_iter().map(|line| Shared(line.into())).collect::<Vec<_>>()]);
        lines.split(b' ').collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(out.values().concat(), naive_pieces());
    Ok(())
}

#[test]
fn streams_that_meet_or_part_are_cut_alike() -> dstream::Result<()> {
    let (both, words, count) = (Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        text().union(text()).words().collect_to(&both);
        let lines = text();
        lines.words().map(Word::as_str).collect_to(&words);
        lines.count().collect_to(&count);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(both.values().concat(), [naive_words(), naive_words()].concat());
    assert_eq!(words.values().concat(), naive_words());
    assert_eq!(count.values().concat(), [TEXT.lines().count() as u64]);
    Ok(())
}

#[test]
fn a_line_that_meets_other_operators_is_found_alike() -> dstream::Result<()> {
    let (found, counted, none) = (Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        text().filter(|line| line.contains('n')).words().collect_to(&found);
        let lines = text();
        lines.filter(|line| line.contains("be")).count().collect_to(&counted);
        lines.filter(|line| line.contains("\n")).collect_to(&none);
    })?;
    ssc.run_batches(1)?;
    let words: Vec<&str> = naive_lines_with("n").into_iter().flat_map(str::split_ascii_whitespace).collect();
    assert_eq!(found.values().concat(), words);
    assert_eq!(counted.values().concat(), [2]);
    assert_eq!(none.values().concat().len(), 0);
    Ok(())
}

/// Two words of one text that are two variables: what the record must contain is not known.
macro_rules! with_another {
    ($line:ident) => {{
        let out = Collected::new();
        #[allow(unused_variables)] // The argument `line`.
        let ssc = dstream::stream!(batch = 1s, {
            text().filter(|line| $line.contains("abc")).count().collect_to(&out);
        })?;
        ssc.run_batches(1)?;
        out.values().concat()
    }};
}

#[test]
fn a_search_knows_the_record_from_a_variable_of_its_name() -> dstream::Result<()> {
    let line = "abc";
    assert_eq!(with_another!(line), [TEXT.lines().count() as u64]);
    Ok(())
}

/// Has `contains` of its own.
#[derive(Clone)]
struct Tags(Vec<&'static str>);

impl Tags {
    fn contains(&self, tag: &str) -> bool {
        self.0.contains(&tag)
    }
}

#[test]
fn other_records_are_asked_in_their_own_way() -> dstream::Result<()> {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let tags = queue_stream(vec![vec![Tags(vec!["abc"]), Tags(vec!["a"]), Tags(vec![])]]);
        tags.filter(|tags| tags.contains("a")).map(|tags| tags.0.len()).collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(out.values(), [[1]]);
    Ok(())
}

/// A record with a `split` of its own.
#[derive(Clone, Copy)]
struct Range(u64);

impl Range {
    fn split(self, at: char) -> std::ops::Range<u64> {
        0..self.0 % u64::from(at)
    }
}

/// `record.split('c')` in a closure is what the record says it is, also where it is found in another way.
#[test]
fn a_closure_splits_records_of_every_kind() -> dstream::Result<()> {
    let (of_lines, of_pieces, of_owned, of_words, own) =
        (Collected::new(), Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let (lines, word) = (text(), "captured");
    let owned: Vec<String> = TEXT.lines().map(|line| format!("{line} é")).collect();
    let naive_owned: Vec<String> = owned.iter().flat_map(|line| line.split(' ')).map(str::to_owned).collect();
    let ssc = dstream::stream!(batch = 1s, {
        let lines = (lines);
        let owned = queue_stream(vec![owned]);
        lines.flat_map(|line| line.split(' ')).collect_to(&of_lines);
        lines.flat_map(|line| line.split(' ')).flat_map(|line| line.split('e')).collect_to(&of_pieces);
        owned.flat_map(|line| line.split(' ')).collect_to(&of_owned);
        lines.words().flat_map(|word| word.split('\t')).collect_to(&of_words);
        let ranges = lines.map(|line| Range(line.len() as u64));
        ranges.flat_map(|word| word.split('\t')).map(|n| n + word.len() as u64).collect_to(&own);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(of_lines.values(), [naive_pieces()]);
    assert_eq!(of_pieces.values(), [naive_pieces().iter().flat_map(|p| p.split('e')).collect::<Vec<_>>()]);
    assert_eq!(of_owned.values(), [naive_owned]);
    assert_eq!(of_words.values(), [naive_words()]);
    let ranges = TEXT.lines().flat_map(|line| (0..line.len() as u64 % 9).map(|n| n + word.len() as u64));
    assert_eq!(own.values(), [ranges.collect::<Vec<_>>()]);
    Ok(())
}
