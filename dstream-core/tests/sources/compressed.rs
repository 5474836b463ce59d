use std::io::Write;

use dstream_core::{binary_records_stream, text_file_stream};
use flate2::{Compression, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::{Folder, Watched};

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

impl ConcatLines for [Result<Vec<dstream_core::CompactString>, String>] {
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
        let blocks = files.blocks::<dstream_core::CompactString>(11_000);
        assert_eq!(blocks.len(), cut_at.len() + 2);
        for block in &blocks[..=cut_at.len()] {
            let error = block.as_ref().unwrap_err();
            assert!(error.contains(folder.path().to_str().unwrap()) && error.contains(extension), "{error}");
        }
        assert_eq!(blocks[cut_at.len() + 1].as_ref().unwrap(), &["good"]);
        // They have had their chance.
        assert!(files.batch::<dstream_core::CompactString>(12_000).is_empty());
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
