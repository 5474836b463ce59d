//! rustfmt formats pipelines: one token outside the grammar of Rust expressions would silently end that.

use std::{
    io::Write,
    process::{Command, Stdio},
};

const BADLY_SPACED: &str = "\
fn main() -> dstream::Result<()> {
    let ssc = dstream::stream!(batch=1s,name = \"count\" , {
      let lines=socket_text_stream(\"localhost\",9999) ;
          let words = lines . flat_map(|line|line.split(' ')).filter( |word|!word.is_empty() ).map(|word|(word,1u64));
        words.reduce_by_key(|a,b|a+b, partitions=8).print( ) ;
        words.count( ).foreach_rdd(|rdd,time|{ println!(\"{time} {:?}\",rdd.take(1)) });
    })?;
    ssc.start()?;
    ssc.await_termination()
}
";

const FORMATTED: &str = "\
fn main() -> dstream::Result<()> {
    let ssc = dstream::stream!(batch = 1s, name = \"count\", {
        let lines = socket_text_stream(\"localhost\", 9999);
        let words =
            lines.flat_map(|line| line.split(' ')).filter(|word| !word.is_empty()).map(|word| (word, 1u64));
        words.reduce_by_key(|a, b| a + b, partitions = 8).print();
        words.count().foreach_rdd(|rdd, time| println!(\"{time} {:?}\", rdd.take(1)));
    })?;
    ssc.start()?;
    ssc.await_termination()
}
";

#[test]
fn formats_a_pipeline() {
    assert_eq!(rustfmt(BADLY_SPACED), FORMATTED);
}

#[test]
fn leaves_a_formatted_pipeline_alone() {
    assert_eq!(rustfmt(FORMATTED), FORMATTED);
}

/// What rustfmt, with this repository's settings, makes of a file.
fn rustfmt(text: &str) -> String {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
