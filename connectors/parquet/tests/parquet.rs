//! Parquet files: what is written is read here and by pyarrow, and the reverse; damage and mistakes are
//! named.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dstream::{
    parquet::{Compression, ParquetFiles, parquet_file_stream, read_parquet, save_as_parquet},
    prelude::*,
    sink::Sink,
    testing::{SinkFixture, check_sink},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
struct Visit {
    page: String,
    at: i64,
    score: f64,
    bot: bool,
    millis: Option<u32>,
    tags: Vec<String>,
}

/// As `arrow.py` has it.
fn visit(i: u32) -> Visit {
    Visit {
        page: format!("/page/{}", i % 7),
        at: i64::from(i) - 10,
        score: f64::from(i) / 4.0,
        bot: i.is_multiple_of(2),
        millis: (!i.is_multiple_of(5)).then_some(i),
        tags: vec![format!("t{}", i % 3); (i % 4) as usize],
    }
}

/// Saves a batch, and returns its folder.
fn save<T>(folder: &Path, records: Vec<T>, sink: fn(PathBuf) -> ParquetFiles) -> dstream::Result<PathBuf>
where
    T: dstream::Data + Clone + Serialize + DeserializeOwned,
{
    let sink = sink(folder.join("batch"));
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![records]).write_to(sink);
    })?;
    ssc.run_batches(1)?;
    let found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].join("_SUCCESS").exists());
    Ok(found[0].clone())
}

/// Runs the script with pyarrow; where that can't be installed, says so, and the test is skipped.
fn pyarrow(what: &str, path: &Path) -> Option<String> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/pyarrow");
    fs::create_dir_all(cache.parent().unwrap()).unwrap();
    // One test installs, the others wait.
    let lock = File::create(cache.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let script = |name: &str| format!("{}/tests/{name}", env!("CARGO_MANIFEST_DIR"));
    let installed = Command::new("bash").arg(script("install.sh")).arg(&cache).output().unwrap();
    drop(lock);
    if !installed.status.success() {
        let why = String::from_utf8_lossy(&installed.stderr);
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED: pyarrow can't be installed here: {why}").unwrap();
        return None;
    }
    let run = Command::new("python3")
        .arg(script("arrow.py"))
        .arg(what)
        .arg(path)
        .env("PYTHONPATH", &cache)
        .output();
    let run = run.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).unwrap())
}

#[test]
fn pyarrow_reads_what_is_written() {
    let sinks: [fn(PathBuf) -> ParquetFiles; 3] = [
        save_as_parquet,
        |prefix| save_as_parquet(prefix).compression(Compression::None),
        |prefix| save_as_parquet(prefix).compression(Compression::Zstd),
    ];
    for sink in sinks {
        let folder = tempfile::tempdir().unwrap();
        let visits: Vec<Visit> = (0..20_000).map(visit).collect();
        let batch = save(folder.path(), visits.clone(), sink).unwrap();
        assert_eq!(read_parquet::<Visit>(&batch).unwrap().collect(), visits);
        let Some(text) = pyarrow("read", &batch) else { return };
        let mut lines = text.lines();
        let columns = lines.next().unwrap();
        let start =
            "page: string; at: int64; score: double; bot: bool; millis: uint32; tags: list<element: string";
        assert!(columns.starts_with(start), "{columns}");
        let expected = visits.iter().map(|v| {
            let bot = if v.bot { "True" } else { "False" };
            let millis = v.millis.map_or("None".to_owned(), |millis| millis.to_string());
            format!("{}|{}|{:?}|{bot}|{millis}|{}", v.page, v.at, v.score, v.tags.join(","))
        });
        assert!(expected.eq(lines.map(str::to_owned)), "the rows differ");
    }
}

#[test]
fn what_pyarrow_writes_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_) = pyarrow("write", &folder.path().join("visits.parquet")) else { return };
    let visits: Vec<Visit> = (0..20_000).map(visit).collect();
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        (parquet_file_stream::<Visit>(folder.path()).settle(Duration::ZERO)).collect_to(&out);
    })
    .unwrap();
    ssc.run_to_end().unwrap();
    assert!(out.values() == [visits]);
}

/// Kept here, so that it is read where pyarrow can't be had.
#[test]
fn a_file_of_pyarrow_is_read() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pyarrow.parquet");
    let visits: Vec<Visit> = read_parquet(file).unwrap().collect();
    assert_eq!(visits, (0..50).map(visit).collect::<Vec<_>>());
}

#[test]
fn columns_that_do_not_fit_are_named() {
    #[derive(Debug, Clone, Record, Serialize, Deserialize)]
    struct Renamed {
        url: String,
        at: i64,
    }
    #[derive(Debug, Clone, Record, Serialize, Deserialize)]
    struct Retyped {
        page: f32,
    }
    #[derive(Debug, Clone, Record, Serialize, Deserialize)]
    struct Other {
        url: Option<String>,
    }
    #[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
    struct Wider {
        at: i64,
        referrer: Option<String>,
    }
    let folder = tempfile::tempdir().unwrap();
    let batch = save(folder.path(), vec![visit(1)], save_as_parquet).unwrap();
    let expect = |error: dstream::Error, parts: &[&str]| {
        let error = error.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    let columns = "its columns are `page: Utf8`, `at: Int64`";
    expect(
        read_parquet::<Renamed>(&batch).unwrap_err(),
        &["Renamed", "`url`", columns, "part-00000.parquet"],
    );
    expect(read_parquet::<Retyped>(&batch).unwrap_err(), &["Retyped", "page", columns]);
    expect(
        read_parquet::<Other>(&batch).unwrap_err(),
        &["has no column of", "Other`, `url: Utf8?`", columns],
    );
    let wider: Vec<Wider> = read_parquet(&batch).unwrap().collect();
    assert_eq!(wider, [Wider { at: -9, referrer: None }]);
    let folder = tempfile::tempdir().unwrap();
    let error = save(folder.path(), vec![1u64], save_as_parquet).unwrap_err();
    expect(error, &["`u64` has no columns", "expected a struct with named fields"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_empty_batch_has_columns() {
    let folder = tempfile::tempdir().unwrap();
    let batch = save(folder.path(), Vec::<Visit>::new(), save_as_parquet).unwrap();
    assert_eq!(read_parquet::<Visit>(&batch).unwrap().count(), 0);
    assert!(batch.join("part-00000.parquet").exists());
    let Some(text) = pyarrow("read", &batch) else { return };
    assert!(text.starts_with("page: string; at: int64"), "{text}");
}

/// Every third byte of a file is damaged, and the file is cut off: an error names the file, and no record is
/// missing.
#[test]
fn damage_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pyarrow.parquet")).unwrap();
    let file = folder.path().join("damaged");
    let mut refused = 0;
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&file, &bytes).unwrap();
        match read_parquet::<Visit>(&file) {
            Ok(visits) => assert_eq!(visits.count(), 50),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains(&file.display().to_string()), "{error}");
            }
        }
    }
    assert!(refused > 0);
    for end in [0, 3, 8, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..end]).unwrap();
        let error = read_parquet::<Visit>(&file).unwrap_err().to_string();
        assert!(error.contains("is no Parquet file, or a damaged one"), "{end}: {error}");
    }
}

#[test]
fn the_example_totals_orders() {
    #[derive(Debug, Clone, Record, Serialize, Deserialize)]
    struct Order {
        price: f64,
        item: String,
        customer: u64,
    }
    #[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
    struct Total {
        item: String,
        orders: u64,
        total: f64,
    }
    let input = tempfile::tempdir().unwrap();
    let order =
        |customer: usize| Order { price: 1.5, item: ["tea", "milk"][customer % 2].into(), customer: 7 };
    let folder = save(input.path(), (0..5).map(order).collect(), save_as_parquet).unwrap();
    let output = tempfile::tempdir().unwrap();
    let example = std::env::current_exe().unwrap().with_file_name("../examples/parquet_totals");
    let run = Command::new(example).arg(folder).arg(output.path().join("totals")).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let saved = fs::read_dir(output.path()).unwrap().next().unwrap().unwrap().path();
    let mut totals: Vec<Total> = read_parquet(saved).unwrap().collect();
    totals.sort_by_key(|total| total.orders);
    let total = |item: &str, orders, total| Total { item: item.into(), orders, total };
    assert_eq!(totals, [total("milk", 2, 3.0), total("tea", 3, 4.5)]);
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Record, Serialize, Deserialize)]
struct Number {
    n: u64,
}

struct Numbers(tempfile::TempDir);

impl SinkFixture for Numbers {
    type Record = Number;
    type Sink = ParquetFiles;

    fn sink(&mut self) -> ParquetFiles {
        save_as_parquet(self.0.path().join("out/batch"))
    }

    fn record(&mut self, n: u64) -> Number {
        Number { n }
    }

    fn read(&mut self) -> Vec<Number> {
        let entries = fs::read_dir(self.0.path().join("out")).into_iter().flatten().flatten();
        let whole = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        whole.flat_map(|entry| read_parquet::<Number>(entry.path()).unwrap().collect()).collect()
    }

    fn crash(&mut self, sink: ParquetFiles) {
        std::mem::forget(sink);
    }

    fn is_shared(&self) -> bool {
        false
    }
}

#[test]
fn each_batch_is_written_whole_or_not_at_all() {
    fn is_sink<T>(_: &impl Sink<T>) {}
    is_sink::<Number>(&save_as_parquet("unused"));
    check_sink(Numbers(tempfile::tempdir().unwrap())).unwrap();
}
