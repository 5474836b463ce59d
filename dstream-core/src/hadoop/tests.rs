//! Files come back, damage is said, and what Hadoop itself has written is read.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

fn compressions() -> Vec<Compression> {
    vec![
        Compression::None,
        #[cfg(feature = "gzip")]
        Compression::Record,
        #[cfg(feature = "gzip")]
        Compression::Block,
    ]
}

fn written<K: Writable, V: Writable>(pairs: &[(K, V)], compression: Compression) -> Vec<u8> {
    let mut out = Vec::new();
    write_part(pairs, compression, &mut out).unwrap();
    out
}

fn read<K: Writable, V: Writable>(bytes: &[u8]) -> std::io::Result<Vec<(K, V)>> {
    read_part(Cursor::new(bytes))
}

fn said<K: Writable, V: Writable>(bytes: &[u8]) -> String {
    read::<K, V>(bytes).err().map(|error| error.to_string()).unwrap_or_default()
}

proptest! {
    #[test]
    fn pairs_come_back(
        texts in prop::collection::vec((".{0,40}", any::<i64>()), 0..60),
        bytes in prop::collection::vec((any::<i32>(), prop::collection::vec(any::<u8>(), 0..400)), 0..60),
    ) {
        for compression in compressions() {
            prop_assert_eq!(&read::<String, i64>(&written(&texts, compression)).unwrap(), &texts);
            prop_assert_eq!(&read::<i32, Vec<u8>>(&written(&bytes, compression)).unwrap(), &bytes);
        }
    }

    #[test]
    fn damage_is_an_error_and_no_panic(
        at in 0usize..4_000, bit in 0u8..8, end in 0usize..4_000,
    ) {
        let pairs: Vec<(String, i64)> = (0..60).map(|n| (format!("key number {n}"), n)).collect();
        for compression in compressions() {
            let whole = written(&pairs, compression);
            let mut damaged = whole.clone();
            let at = at % damaged.len();
            damaged[at] ^= 1 << bit;
            // What is not compressed has no checksum: it may be read as something else.
            let _ = read::<String, i64>(&damaged);
            let cut = read::<String, i64>(&whole[..end % whole.len()]);
            prop_assert!(cut.is_err() || cut.is_ok_and(|cut| cut.len() < pairs.len()));
        }
    }
}

#[test]
fn all_types_come_back() {
    for compression in compressions() {
        let pairs = [(true, 1.5f64), (false, f64::MIN)];
        assert_eq!(read::<bool, f64>(&written(&pairs, compression)).unwrap(), pairs);
        let pairs = [((), 2.5f32), ((), -0.0)];
        assert_eq!(read::<(), f32>(&written(&pairs, compression)).unwrap(), pairs);
        let pairs = [(crate::Str::from("a"), bytes::Bytes::from_static(b"xyz"))];
        assert_eq!(read::<crate::Str, bytes::Bytes>(&written(&pairs, compression)).unwrap(), pairs);
        let pairs = [(7u64, ())];
        assert_eq!(read::<u64, ()>(&written(&pairs, compression)).unwrap(), pairs);
    }
}

#[test]
fn many_records_have_sync_markers_between_them() {
    let pairs: Vec<(i32, String)> = (0..30_000).map(|n| (n, format!("{n:>40}"))).collect();
    for compression in compressions() {
        let file = written(&pairs, compression);
        assert_eq!(read::<i32, String>(&file).unwrap(), pairs);
    }
    let file = written(&pairs, Compression::None);
    let header = written::<i32, String>(&[], Compression::None);
    let sync = &file[header.len() - 16..header.len()];
    assert!(file.windows(16).filter(|bytes| *bytes == sync).count() > 10);
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let file = written(&[("a".to_owned(), 1i64)], Compression::None);
    let wrong = said::<String, i32>(&file);
    assert!(wrong.contains("values of `org.apache.hadoop.io.LongWritable`"), "{wrong}");
    assert!(wrong.contains("IntWritable"), "{wrong}");
    assert!(said::<String, i64>(b"PAR1....").contains("is no SequenceFile"));
    assert!(said::<String, i64>(b"SE").contains("is no SequenceFile"));
    assert!(said::<String, i64>(b"SEQ\x04").contains("version 4"));
    let cut = said::<String, i64>(&file[..file.len() - 3]);
    assert!(cut.contains("is cut off (at byte"), "{cut}");
    let mut unknown = file[..4].to_vec();
    varint::put_text(&mut unknown, String::CLASS);
    varint::put_text(&mut unknown, i64::CLASS);
    unknown.extend_from_slice(&[1, 1]);
    varint::put_text(&mut unknown, "org.apache.hadoop.io.compress.SnappyCodec");
    assert!(said::<String, i64>(&unknown).contains("SnappyCodec"));
    let mut out = Vec::new();
    let large = write_part(&[(u64::MAX, ())], Compression::None, &mut out).unwrap_err().to_string();
    assert!(large.contains("too large for a LongWritable"), "{large}");
}

/// Hadoop writes these with its native library alone.
#[cfg(feature = "gzip")]
#[test]
fn values_compressed_by_gzip_are_read() {
    use std::io::Write;

    let mut file = b"SEQ\x06".to_vec();
    varint::put_text(&mut file, i32::CLASS);
    varint::put_text(&mut file, String::CLASS);
    file.extend_from_slice(&[1, 0]);
    varint::put_text(&mut file, "org.apache.hadoop.io.compress.GzipCodec");
    file.extend_from_slice(&[0; 4 + 16]);
    let mut value = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    value.write_all(b"\x03one").unwrap();
    let value = value.finish().unwrap();
    file.extend_from_slice(&(4 + value.len() as i32).to_be_bytes());
    file.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 1]);
    file.extend_from_slice(&value);
    assert_eq!(read::<i32, String>(&file).unwrap(), [(1, "one".to_owned())]);
}

/// Written by Hadoop 3.3.4, as Spark 3.5.9 has it: `tests/hadoop/make.py` says how.
#[test]
fn files_of_hadoop_are_read() {
    let words: Vec<(String, i64)> =
        (0..400).map(|n| (format!("word {}", n % 37), (1 << 40) + n * n)).collect();
    let plain = include_bytes!("../../tests/hadoop/plain.seq");
    assert_eq!(read::<String, i64>(plain).unwrap(), words);
    #[cfg(feature = "gzip")]
    for file in
        [&include_bytes!("../../tests/hadoop/record.seq")[..], include_bytes!("../../tests/hadoop/block.seq")]
    {
        assert_eq!(read::<String, i64>(file).unwrap(), words);
    }
}

/// By the Hadoop of pyspark, whose folder the environment variable `PYSPARK` names: it is too large to be had
/// in every test.
#[test]
fn hadoop_reads_what_is_written() {
    use std::{env, io::Write, process::Command};

    let Ok(pyspark) = env::var("PYSPARK") else {
        let said =
            "left out: SequenceFiles read by Hadoop, since PYSPARK does not name a folder with pyspark";
        writeln!(std::io::stderr(), "{said}").unwrap();
        return;
    };
    let pairs: Vec<(String, i64)> = (0..50_000).map(|n| (format!("key {n}"), n * 3 - 70_000)).collect();
    let folder = tempfile::tempdir().unwrap();
    for (at, compression) in compressions().into_iter().enumerate() {
        let path = folder.path().join(at.to_string());
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("part-00000"), written(&pairs, compression)).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hadoop/make.py");
        let read =
            Command::new("python3").args([script, "read"]).arg(path).env("PYTHONPATH", &pyspark).output();
        let read = String::from_utf8(read.unwrap().stdout).unwrap();
        let found: Vec<(String, i64)> = read
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(key, value)| (key.to_owned(), value.parse().unwrap()))
            .collect();
        assert!(found == pairs, "{compression:?}: {} pairs", found.len());
    }
}
