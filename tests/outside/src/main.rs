//! Counts the words of journals into a ledger: `dstream-outside FOLDER`.

use std::{path::PathBuf, time::Duration};

use dstream::Config;
use dstream_outside::{journal::Journals, ledger::Ledger, objects::Objects, progress::Progress};

fn main() -> dstream::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| ".".into()));
    let journals = Journals::new(folder.join("journals"));
    let (batches, running) = (Ledger::new(folder.join("batches")), Ledger::new(folder.join("running")));
    let config = Config::new().listener(Progress).threads(2);
    let ssc = dstream::stream!(
        batch = Duration::from_millis(20),
        name = "outside",
        conf = config,
        checkpoint = Objects::new(folder.join("checkpoint")),
        {
            let words = journals.words();
            let counts = words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
            counts.write_to(batches);
            // What a state has lost, or counted twice, shows here.
            let totals = counts
                .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
            totals.map(|(word, n)| (word, *n)).write_to(running);
        }
    )?;
    ssc.start()?;
    ssc.await_termination()
}
