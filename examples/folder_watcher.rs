//! Counts the words of the text files that appear in a folder, also of compressed ones.
//!
//! ```text
//! cargo run --release --example folder_watcher           a folder of its own, and files that it drops there
//! cargo run --release --example folder_watcher -- DIR    DIR may be a pattern such as 'logs/2026-*'
//! ```
use std::{error::Error, fs, io, path::Path, thread, time::Duration};

use dstream::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let own = tempfile::tempdir()?;
    let given = std::env::args_os().nth(1);
    let folder = given.as_ref().map_or(own.path(), Path::new);

    let ssc = dstream::stream!(batch = 1s, {
        let words = text_file_stream(folder).flat_map(|line| line.split_whitespace());
        words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).print();
    })?;
    ssc.start()?;
    if given.is_some() {
        return Ok(ssc.await_termination()?);
    }
    drop_files(folder)?;
    // A file is taken a second after it was written, and then a batch has to come.
    thread::sleep(Duration::from_secs(3));
    ssc.stop_gracefully();
    Ok(())
}

fn drop_files(folder: &Path) -> io::Result<()> {
    for (name, text) in [("a.txt", "to be or not to be\n"), ("b.txt", "that is the question\n")] {
        fs::write(folder.join(name), text)?;
        thread::sleep(Duration::from_secs(1));
    }
    // Names like this are ignored, so a slow writer is safe until it renames the file.
    let unfinished = folder.join("_c.txt");
    fs::write(&unfinished, "whether it is nobler in the mind\n")?;
    fs::rename(unfinished, folder.join("c.txt"))
}
