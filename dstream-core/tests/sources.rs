//! Every source, from its input to the records of its batches.

#[path = "sources/bounded.rs"]
mod bounded;
#[cfg(all(feature = "gzip", feature = "zstd"))]
#[path = "sources/compressed.rs"]
mod compressed;
#[path = "sources/conformance.rs"]
mod conformance;
#[path = "sources/decoders.rs"]
mod decoders;
#[path = "sources/files.rs"]
mod files;
#[path = "sources/generated.rs"]
mod generated;
#[path = "sources/listen.rs"]
mod listen;
#[path = "sources/pieces.rs"]
mod pieces;
#[path = "sources/sockets.rs"]
mod sockets;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use dstream_core::{
    Config, Error, Record, Time,
    source::{Block, FileStream, Source, SourceContext},
    testing::{ManualClock, next_batch},
};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// What a context gives its sources, with a clock that the test moves.
fn source_context(clock: &ManualClock, config: Config) -> SourceContext {
    SourceContext::new(config.clock(clock.clone()), SECOND)
}

/// The records of the next batch, block by block, as a stage reads them; what a stage would report and leave
/// out is `Err`.
fn read<S: Source, O>(source: &mut S, time: Time) -> Vec<Result<Vec<O>, String>>
where
    S::Block: for<'a> Block<Record<'a>: Record<Owned = O>>,
{
    let mut blocks = next_batch(source, time).expect("the source has a batch");
    let read = |block: &mut S::Block| {
        block.open().map_err(|error| error.to_string())?;
        let mut records: Vec<O> = block.records().map(Record::own).collect();
        while block.has_more() {
            block.advance().map_err(|error| error.to_string())?;
            records.extend(block.records().map(Record::own));
        }
        Ok(records)
    };
    blocks.iter_mut().map(read).collect()
}

/// The errors of a context, as the user's hook sees them.
#[derive(Clone, Default)]
struct Reported(Arc<Mutex<Vec<String>>>);

impl Reported {
    fn config(&self) -> Config {
        let errors = self.clone();
        Config::new().on_report(move |error: &Error| errors.0.lock().unwrap().push(error.to_string()))
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A folder of files with chosen times of modification.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(TempDir::new().expect("there is room for a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file that was modified `millis` after the epoch.
    fn write(&self, name: &str, content: impl AsRef<[u8]>, millis: u64) {
        fs::write(self.join(name), content).unwrap();
        self.touch(name, millis);
    }

    fn touch(&self, name: &str, millis: u64) {
        let modified = UNIX_EPOCH + Duration::from_millis(millis);
        File::options().write(true).open(self.join(name)).unwrap().set_modified(modified).unwrap();
    }
}

/// A stream of files that starts at ten seconds; its files settle in one.
struct Watched<B> {
    stream: FileStream<B>,
    reported: Reported,
}

impl<B: Block + 'static> Watched<B> {
    fn start(stream: FileStream<B>) -> Watched<B> {
        let reported = Reported::default();
        let mut watched = Watched { stream, reported };
        let context = source_context(&ManualClock::new(at(10_000)), watched.reported.config());
        watched.stream.start(&context).unwrap();
        watched
    }

    /// All records of the batch at `time`; files that can't be read are left out.
    fn batch<O>(&mut self, time: u64) -> Vec<O>
    where
        B: for<'a> Block<Record<'a>: Record<Owned = O>>,
    {
        self.blocks(time).into_iter().flatten().flatten().collect()
    }

    fn blocks<O>(&mut self, time: u64) -> Vec<Result<Vec<O>, String>>
    where
        B: for<'a> Block<Record<'a>: Record<Owned = O>>,
    {
        read(&mut self.stream, at(time))
    }
}
