use std::{fs, io::Write};

use dstream_core::{
    Config, Error, Time,
    source::{Block, Limits, Source, binary_records_stream, text_file_stream},
    testing::{Collected, next_batch},
};
use flate2::{Compression, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::{Folder, Watched, at};

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

fn lines(n: usize) -> String {
    (0..n).map(|n| format!("line {n}\n")).collect()
}

#[test]
fn compressed_files_are_read_by_their_extension() {
    let folder = Folder::new();
    let mut files = Watched::start(text_file_stream(folder.path()));
    let text = lines(50_000);
    folder.write("a.txt.gz", gzip(text.as_bytes()), 9_001);
    folder.write("b.zst", zstd(text.as_bytes()), 9_002);
    folder.write("c.txt", &text, 9_003);
    // Files that were put together out of several.
    folder.write("d.gz", [gzip(b"one\ntw"), gzip(b"o\n")].concat(), 9_004);
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    folder.write("e.zst", [skippable.clone(), zstd(b"one\ntw"), skippable, zstd(b"o\n")].concat(), 9_005);
    folder.write("f.gz", gzip(b""), 9_006);
    let blocks = files.blocks(11_000);
    let expected: Vec<_> = text.lines().collect();
    assert_eq!(blocks.len(), 6);
    for block in &blocks[..3] {
        assert!(*block.as_ref().unwrap() == expected);
    }
    assert_eq!(blocks[3..5].concat_lines(), ["one", "two", "one", "two"]);
    assert_eq!(blocks[5], Ok(vec![]));
}

trait ConcatLines {
    fn concat_lines(&self) -> Vec<String>;
}

impl ConcatLines for [Result<Vec<dstream_core::Str>, String>] {
    fn concat_lines(&self) -> Vec<String> {
        self.iter().flatten().flatten().map(|line| line.to_string()).collect()
    }
}

#[test]
fn of_a_file_that_is_cut_off_or_damaged_nothing_counts() {
    let text = lines(1_000);
    for (extension, whole) in [("gz", gzip(text.as_bytes())), ("zst", zstd(text.as_bytes()))] {
        let folder = Folder::new();
        let mut files = Watched::start(text_file_stream(folder.path()));
        let cut_at = [whole.len() - 1, whole.len() / 2, 9, 3, 1];
        for cut in cut_at {
            folder.write(&format!("cut-{cut}.{extension}"), &whole[..cut], 9_000);
        }
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        folder.write(&format!("damaged.{extension}"), &damaged, 9_000);
        folder.write("good", "good\n", 9_500);
        let blocks = files.blocks::<dstream_core::Str>(11_000);
        assert_eq!(blocks.len(), cut_at.len() + 2);
        for block in &blocks[..=cut_at.len()] {
            let error = block.as_ref().unwrap_err();
            assert!(error.contains(folder.path().to_str().unwrap()) && error.contains(extension), "{error}");
        }
        assert_eq!(blocks[cut_at.len() + 1].as_ref().unwrap(), &["good"]);
        // They have had their chance.
        assert!(files.batch::<dstream_core::Str>(12_000).is_empty());
    }
}

#[test]
fn fixed_records_may_be_compressed() {
    let folder = Folder::new();
    let mut files = Watched::start(binary_records_stream(folder.path(), 3));
    folder.write("a.gz", gzip(b"abcdefgh"), 9_000);
    folder.write("b.zst", zstd(b"ijk"), 9_000);
    assert_eq!(files.batch(11_000), ["abc", "def", "ijk"]);
    let reported = files.reported.take();
    assert_eq!(reported.len(), 1);
    let expected = "a.gz`: ends in 2 bytes that are no whole record of 3 bytes: they are left out";
    assert!(reported[0].ends_with(expected), "{reported:?}");
}

/// 20 MiB of lines, each with its number.
fn large() -> String {
    (0..20 << 14).map(|n| format!("{n:063}\n")).collect()
}

#[test]
fn a_large_file_is_read_in_pieces_of_whole_records() {
    let folder = Folder::new();
    let text = large();
    let mut files = Watched::start(text_file_stream(folder.path()));
    let mut records = Watched::start(binary_records_stream(folder.path(), 640).new_files_only(false));
    folder.write("a.gz", gzip(text.as_bytes()), 9_001);
    let blocks = files.blocks::<dstream_core::Str>(11_000);
    assert!(blocks.concat_lines().iter().eq(text.lines()));
    let found = records.batch::<dstream_core::Bytes>(11_000);
    assert_eq!(found.len(), text.len() / 640);
    assert!(found.concat() == text.as_bytes());

    // No partition is larger than a piece, and there is no empty one behind the last.
    let sizes = Collected::new();
    let conf = Config::new().threads(1);
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let lines = text_file_stream(folder.path());
        lines.glom().map(|lines| lines.len()).collect_to(&sizes);
    })
    .unwrap();
    ssc.run_to_end().unwrap();
    assert_eq!(sizes.values(), [[4_usize << 14; 5]]);
}

#[test]
fn of_a_large_file_that_is_damaged_nothing_counts() {
    let folder = Folder::new();
    let text = large();
    let mut files = Watched::start(text_file_stream(folder.path()));
    let whole = gzip(text.as_bytes());
    folder.write("cut.gz", &whole[..whole.len() - 1], 9_000);
    let mut damaged = whole.clone();
    let checksum = damaged.len() - 6;
    damaged[checksum] ^= 1;
    folder.write("damaged.gz", &damaged, 9_000);
    // Read to its end, but with a line that nobody has room for.
    let long = [gzip(text.as_bytes()), gzip("x".repeat(17 << 20).as_bytes())].concat();
    folder.write("long.gz", long, 9_000);
    folder.write("good", "good\n", 9_500);
    let blocks = files.blocks::<dstream_core::Str>(11_000);
    let errors: Vec<&String> = blocks.iter().filter_map(|block| block.as_ref().err()).collect();
    assert_eq!((errors.len(), blocks.len()), (3, 4));
    assert!(errors[2].contains("long.gz`: has a line of more than 16777216 bytes"), "{}", errors[2]);
    assert_eq!(blocks.concat_lines(), ["good"]);
}

/// What was read of it can't be taken back, so its batch fails.
#[test]
fn a_large_file_that_changes_while_it_is_read_is_an_error_of_its_batch() {
    let folder = Folder::new();
    let mut files = Watched::start(text_file_stream(folder.path()));
    folder.write("a.gz", gzip(large().as_bytes()), 9_000);
    let mut blocks = next_batch(&mut files.stream, at(11_000)).unwrap();
    blocks[0].open().unwrap();
    assert!(blocks[0].has_more());
    let file = fs::File::options().write(true).open(folder.join("a.gz")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let error = loop {
        assert!(blocks[0].has_more(), "the rest can't be read");
        if let Err(error) = blocks[0].advance() {
            break error.to_string();
        }
    };
    assert!(error.contains("a.gz`: has changed while it was read"), "{error}");

    let out = Collected::new();
    let changed = Changes;
    let ssc = dstream::stream!(batch = 1s, {
        changed.collect_to(&out);
    })
    .unwrap();
    let error = ssc.run_batches(1).unwrap_err().to_string();
    assert!(error.contains("collect_to") && error.contains("has changed"), "{error}");
    assert!(out.values().is_empty());
}

/// A block with a second piece that can't be read, and the source of it.
struct Changes;

impl Block for Changes {
    type Record<'a> = u64;

    fn records(&mut self) -> impl Iterator<Item = u64> {
        [1].into_iter()
    }

    fn weight(&self) -> usize {
        1
    }

    fn has_more(&self) -> bool {
        true
    }

    fn advance(&mut self) -> dstream_core::Result<()> {
        Err(Error::source("changes", "has changed"))
    }
}

impl Source for Changes {
    type Block = Changes;
    type Plan = ();

    fn name(&self) -> String {
        "changes".into()
    }

    fn plan(&mut self, _: Time, _: &Limits) -> dstream_core::Result<Option<()>> {
        Ok(Some(()))
    }

    fn blocks(&mut self, _: Time, _: &()) -> dstream_core::Result<Vec<Changes>> {
        Ok(vec![Changes])
    }
}
