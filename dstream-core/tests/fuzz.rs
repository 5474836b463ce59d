//! Mutated bytes for the parsers of what comes from outside: none panics, and none allocates out of
//! proportion to its input.
//!
//! Each input is made from a corpus by a seeded generator, so that a failure names all that is needed to see
//! it again. `FUZZ_SECONDS=600 cargo test --release -p dstream-core --test fuzz` goes on for so long in each
//! test, `FUZZ_SEED=1234567` begins with this seed. The tests have a process of their own, whose allocations
//! are counted.

#[path = "fuzz/files.rs"]
mod files;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/program.rs"]
mod program;

use std::{
    alloc::System,
    env, fs,
    hint::black_box,
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dstream::{
    checkpoint::decode,
    hadoop::{Compression, SequenceReader},
    prelude::*,
    source::{Block, BytesMut, Decoder, DelimiterDecoder, LengthDecoder, TextBlock},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use self::mutate::{Random, mutated};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: the allocations of all threads are counted together.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many bytes a parser may allocate in all, for an input of some length.
#[derive(Clone, Copy)]
struct Bound {
    fixed: usize,
    per_byte: usize,
}

/// For what is not compressed. `serde` reserves up to 1 MiB for a list by its length alone.
const PLAIN: Bound = Bound { fixed: 4 << 20, per_byte: 64 };

/// Calls `parse` with one seed after the other; `runs` of them, if nobody says for how long.
fn fuzz(name: &str, runs: u64, bound: Bound, parse: impl Fn(&mut Random) -> usize) {
    let number = |name: &str| {
        env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
    };
    let until = number("FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first = number("FUZZ_SEED").unwrap_or(0);
    for seed in first.. {
        match until {
            Some(until) if Instant::now() >= until => break,
            None if seed - first == runs => break,
            _ => {}
        }
        let region = Region::new(ALLOCATOR);
        let outcome = catch_unwind(AssertUnwindSafe(|| parse(&mut Random(seed))));
        let change = region.change();
        let Ok(length) = outcome else { panic!("{name}: a panic with FUZZ_SEED={seed}") };
        let grown = usize::try_from(change.bytes_reallocated).unwrap_or(0);
        let (allocated, most) = (change.bytes_allocated + grown, bound.fixed + bound.per_byte * length);
        assert!(
            allocated <= most,
            "{name}: {allocated} bytes are allocated for an input of {length}, expected at most {most}, with \
             FUZZ_SEED={seed}"
        );
    }
}

/// Fuzzes a parser of bytes.
fn fuzz_bytes(name: &str, runs: u64, bound: Bound, corpus: &[Vec<u8>], parse: impl Fn(&[u8])) {
    fuzz(name, runs, bound, |random| {
        let input = mutated(corpus, random);
        parse(&input);
        input.len()
    });
}

#[test]
fn lines_of_text() {
    let _alone = alone();
    let corpus: Vec<Vec<u8>> = ["to be\r\nor not\n\nto be", "\r\n\r", "z\u{fc}rich \u{1f980}\n\u{feff}", ""]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    fuzz_bytes("lines", 20_000, PLAIN, &corpus, |bytes| {
        let mut block = TextBlock::new(bytes.to_vec());
        let lines: Vec<String> = block.records().map(str::to_owned).collect();
        assert!(lines.iter().all(|line| !line.contains('\n')));
        let with_e = block.records_with("e").filter(|line| line.contains('e')).count();
        assert_eq!(with_e, lines.iter().filter(|line| line.contains('e')).count());
    });
}

/// Gives a decoder its input in pieces, until it fails or has no more.
fn decode_all<D: Decoder<Item: AsRef<[u8]>>>(mut decoder: D, bytes: &[u8], piece: usize) {
    let mut buf = BytesMut::new();
    let mut out = 0;
    for piece in bytes.chunks(piece.max(1)) {
        buf.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buf) {
                Ok(Some(record)) => out += record.as_ref().len(),
                Ok(None) => break,
                Err(error) => return assert!(!error.to_string().is_empty()),
            }
        }
    }
    while let Ok(Some(record)) = decoder.decode_eof(&mut buf) {
        out += record.as_ref().len();
    }
    assert!(out <= bytes.len(), "{out} bytes come from {}", bytes.len());
}

#[test]
fn records_of_sockets() {
    let _alone = alone();
    let corpus =
        [b"\0\x02to\0\x02be\0\x06or not".to_vec(), b"\x02to\x02be\n".to_vec(), b"a\0b\0\0c".to_vec()];
    fuzz("records of sockets", 20_000, PLAIN, |random| {
        let input = mutated(&corpus, random);
        let (piece, most) = (1 + random.below(9), 1 + random.below(40));
        match random.below(5) {
            0 => decode_all(DelimiterDecoder::new(0).max_length(most), &input, piece),
            1 => decode_all(LengthDecoder::u8(), &input, piece),
            2 => decode_all(LengthDecoder::u16().max_length(most), &input, piece),
            3 => decode_all(LengthDecoder::u32(), &input, piece),
            _ => decode_all(LengthDecoder::u64().max_length(usize::MAX), &input, piece),
        }
        input.len()
    });
}

/// A type with most of what MessagePack has.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    number: i64,
    text: String,
    #[serde(default)]
    list: Vec<(u32, Option<String>)>,
    map: std::collections::BTreeMap<String, f64>,
    choice: Choice,
    batch: dstream::Time,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Nothing,
    One(u8),
    Named { of: Box<Option<Choice>> },
}

#[test]
fn values_of_checkpoints() {
    let _alone = alone();
    fn value<T: DeserializeOwned>(bytes: &[u8]) {
        drop(black_box(decode::<T>(bytes)));
    }
    let corpus = program::values();
    let whole = corpus.iter().filter(|bytes| decode::<Everything>(bytes).is_ok()).count();
    assert!(whole > 0, "the corpus has a value of the type that is read");
    fuzz_bytes("values", 20_000, PLAIN, &corpus, |bytes| {
        value::<Everything>(bytes);
        value::<Vec<u64>>(bytes);
        value::<Vec<(String, Vec<()>)>>(bytes);
        value::<String>(bytes);
        value::<(u64, u64, u64)>(bytes);
        value::<dstream::Str>(bytes);
    });
}

/// The part files of some pairs, as they are and compressed.
fn sequence_files() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    for compression in [Compression::None, Compression::Record, Compression::Block] {
        let pairs: Vec<(String, i64)> = (0..40).map(|n| (format!("key number {n}"), n * n - 300)).collect();
        let prefix = folder.path().join(format!("{compression:?}"));
        let ssc = dstream::stream!(batch = 1s, {
            queue_stream(vec![pairs]).save_as_hadoop_files(prefix, "", compression = compression);
        });
        ssc.unwrap().run_to_end().unwrap();
    }
    let mut files = Vec::new();
    for folder in fs::read_dir(folder.path()).unwrap().map(|folder| folder.unwrap().path()) {
        let parts = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let parts = parts.filter(|part| part.file_name().unwrap().to_string_lossy().starts_with("part-"));
        files.extend(parts.map(|part| fs::read(part).unwrap()));
    }
    files.retain(|bytes| SequenceReader::<_, String, i64>::new(Cursor::new(bytes)).is_ok());
    assert!(files.len() >= 3, "{} files", files.len());
    files
}

#[test]
fn sequence_files_of_hadoop() {
    let _alone = alone();
    let corpus = sequence_files();
    // What deflate can make of a byte, for each of four parts.
    let bound = Bound { fixed: 4 << 20, per_byte: 5_000 };
    fuzz_bytes("sequence files", 4_000, bound, &corpus, |bytes| {
        let pairs = SequenceReader::<_, String, i64>::new(Cursor::new(bytes));
        match pairs.and_then(|pairs| pairs.collect::<Result<Vec<_>, _>>()) {
            Ok(pairs) => drop(black_box(pairs)),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

/// What a program finds when it is started again: a context, its threads and tables, whatever the input.
const PROGRAM: Bound = Bound { fixed: 64 << 20, per_byte: 1_000 };

#[test]
fn checkpoints_and_logs_of_a_program() {
    let _alone = alone();
    let (mut restored, mut refused) = (0u64, 0u64);
    let counts = Mutex::new((&mut restored, &mut refused));
    fuzz("checkpoints", 300, PROGRAM, |random| {
        let disk = program::disk();
        let length = files::damage(&disk, random);
        let outcome = program::go_on(&disk);
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => *counts.0 += 1,
            Err(error) => {
                let error = error.to_string();
                assert!(!program::is_panic(&error), "{error}");
                *counts.1 += 1;
            }
        }
        length
    });
    assert!(restored > 10 && refused > 10, "{restored} restored, {refused} refused");
}
