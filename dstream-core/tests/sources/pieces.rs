use std::io::{BufRead, BufReader, Read};

use dstream_core::{
    Config,
    source::{Block, FileRecords, FileStream, Source, binary_records_stream, file_stream, text_file_stream},
    testing::{ManualClock, next_batch},
};
use proptest::prelude::*;

use crate::{Folder, Watched, at, source_context};

const PIECE: usize = 4 << 20;

/// Text whose lines end in all kinds of places around the ends of the pieces.
fn around_pieces(shifts: [isize; 2]) -> String {
    let mut text = String::new();
    for (piece, shift) in shifts.into_iter().enumerate() {
        let end = ((piece + 1) * PIECE).checked_add_signed(shift).unwrap();
        while text.len() + 100_000 < end {
            text += &"x".repeat(99_998);
            text += "\n";
        }
        text += &"y".repeat(end - text.len() - 1);
        text += "\n";
    }
    text + "the end"
}

#[test]
fn a_large_file_is_cut_into_pieces_at_line_ends() {
    for shift in -3..=3 {
        for last in [-1, 0, 1] {
            let folder = Folder::new();
            let mut files = Watched::start(text_file_stream(folder.path()));
            let text = around_pieces([shift, last]);
            folder.write("large", &text, 9_000);
            let blocks = files.blocks::<dstream_core::Str>(11_000);
            assert_eq!(blocks.len(), text.len().div_ceil(PIECE));
            let lines: Vec<_> = blocks.into_iter().flat_map(Result::unwrap).collect();
            assert!(lines == text.lines().collect::<Vec<_>>(), "shift {shift} {last}");
        }
    }
}

#[test]
fn a_line_may_be_longer_than_a_piece() {
    let folder = Folder::new();
    let mut files = Watched::start(text_file_stream(folder.path()));
    let long = "z".repeat(2 * PIECE + 17);
    folder.write("long", format!("a\n{long}\nb"), 9_000);
    let blocks = files.blocks::<dstream_core::Str>(11_000);
    let lengths: Vec<Vec<usize>> =
        blocks.into_iter().map(|lines| lines.unwrap().iter().map(|line| line.len()).collect()).collect();
    assert_eq!(lengths, [vec![1, long.len()], vec![], vec![1]]);
}

#[test]
fn records_of_fixed_length_are_not_cut() {
    const LENGTH: usize = 1_000_003;
    let folder = Folder::new();
    let mut files = Watched::start(binary_records_stream(folder.path(), LENGTH));
    let content: Vec<u8> = (0..10 * LENGTH + 5).map(|at| (at / LENGTH) as u8).collect();
    folder.write("large", &content, 9_000);
    let blocks = files.blocks::<dstream_core::Bytes>(11_000);
    assert_eq!(blocks.iter().map(|block| block.as_ref().unwrap().len()).collect::<Vec<_>>(), [4, 4, 2]);
    let records: Vec<_> = blocks.into_iter().flat_map(Result::unwrap).collect();
    let whole = |(n, record): (usize, &dstream_core::Bytes)| {
        record.len() == LENGTH && record.iter().all(|byte| *byte == n as u8)
    };
    assert!(records.iter().enumerate().all(whole));
    let reported = files.reported.take();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains("/large`: ends in 5 bytes that are no whole record"), "{reported:?}");
    // One that is longer than a piece, and one that is longer than the file.
    let mut files = Watched::start(binary_records_stream(folder.path(), content.len()).new_files_only(false));
    assert_eq!(files.batch::<dstream_core::Bytes>(11_000).concat(), content);
    let mut files =
        Watched::start(binary_records_stream(folder.path(), content.len() + 1).new_files_only(false));
    assert!(files.batch::<dstream_core::Bytes>(11_000).is_empty());
    assert_eq!(files.reported.take().len(), 1);
}

#[test]
fn records_without_length_are_refused_at_the_start() {
    let context = source_context(&ManualClock::new(at(0)), Config::new());
    let error = binary_records_stream("/tmp", 0).start(&context).unwrap_err().to_string();
    assert!(error.contains("records are 0 bytes long"), "{error}");
}

fn numbers(folder: &Folder) -> FileStream<FileRecords<u32>> {
    file_stream(folder.path(), |file| {
        let mut numbers = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line?;
            assert!(line != "panic", "on purpose");
            numbers.push(line.parse()?);
        }
        Ok(numbers)
    })
}

#[test]
fn a_reader_of_ones_own_may_fail_and_panic() {
    let folder = Folder::new();
    let mut files = Watched::start(numbers(&folder));
    folder.write("a", "1\n2\n", 9_001);
    folder.write("b", "3\nfour\n", 9_002);
    folder.write("c", "panic\n", 9_003);
    folder.write("d", "5\n", 9_004);
    let blocks = files.blocks(11_000);
    assert_eq!((&blocks[0], &blocks[3]), (&Ok(vec![1, 2]), &Ok(vec![5])));
    let error = |at: usize| blocks[at].as_ref().unwrap_err();
    assert!(error(1).ends_with("/b`: invalid digit found in string"), "{}", error(1));
    assert!(error(2).ends_with("/c`: the reader panicked: on purpose"), "{}", error(2));
}

#[test]
fn a_reader_sees_the_path_and_what_was_there_when_it_was_listed() {
    let folder = Folder::new();
    let stream = file_stream(folder.path(), |mut file| {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(vec![(file.path().file_name().map(|name| name.to_string_lossy().into_owned()), text)])
    });
    let mut files = Watched::start(stream);
    folder.write("a", "hello", 9_000);
    let mut blocks = next_batch(&mut files.stream, at(11_000)).unwrap();
    folder.write("a", "hello again", 9_000);
    blocks[0].open().unwrap();
    assert_eq!(blocks[0].records().collect::<Vec<_>>(), [(Some("a".to_owned()), "hello".to_owned())]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_lines_of_files_are_those_of_their_text(
        texts in prop::collection::vec("[a\u{e9}\r\n]{0,20}", 0..8)
    ) {
        let folder = Folder::new();
        let mut files = Watched::start(text_file_stream(folder.path()));
        for (at, text) in texts.iter().enumerate() {
            folder.write(&at.to_string(), text, 9_000 + at as u64);
        }
        let expected: Vec<&str> = texts.iter().flat_map(|text| {
            text.strip_suffix('\n').unwrap_or(text).split('\n')
                .take(if text.is_empty() { 0 } else { usize::MAX })
                .zip(ends(text))
                .map(|(line, ended)| if ended { line.strip_suffix('\r').unwrap_or(line) } else { line })
        }).collect();
        prop_assert_eq!(files.batch::<dstream_core::Str>(11_000), expected);
    }
}

/// Whether each line of `text` has an end: only then is `\r` part of it.
fn ends(text: &str) -> impl Iterator<Item = bool> {
    let ended = text.matches('\n').count();
    (0..).map(move |at| at < ended)
}
