//! Sinks over restarts: each batch is there once, also if the program that goes on is another one.

use dstream::{Config, Limits, ManualClock, Source, Time, prelude::OnError, testing::SimDisk};

use crate::{
    NOW, failed,
    table::{Database, Fault},
};

/// The second of a batch, in two partitions: a source that gives a batch the same records whenever it is asked.
struct Seconds;

impl Source for Seconds {
    type Block = Vec<u64>;
    type Plan = u64;

    fn name(&self) -> String {
        "seconds".to_owned()
    }

    fn plan(&mut self, time: Time, _limits: &Limits) -> dstream::Result<Option<u64>> {
        Ok(Some(time.since(NOW).as_secs()))
    }

    fn blocks(&mut self, _time: Time, second: &u64) -> dstream::Result<Vec<Vec<u64>>> {
        Ok(vec![vec![*second], vec![10_000 + second]])
    }
}

fn conf() -> Config {
    Config::new().clock(ManualClock::new(NOW)).threads(2).partitions(2)
}

/// One life of a program with a state and a transactional sink.
fn live(disk: &SimDisk, database: &Database, batches: usize) -> dstream::Result<()> {
    let table = database.sink(Fault::None);
    let ssc = dstream::stream!(batch = 1s, name = "app", conf = conf(), checkpoint = disk, {
        let seconds = Seconds.repartition(2);
        let total = seconds
            .map(|n| ((), n))
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        total.foreach_rdd(|_total| {});
        seconds.write_to(table);
    })?;
    ssc.run_batches(batches)
}

/// Whether the table has the batches from the first second to some later one, each once; how many.
fn whole_batches(database: &Database) -> u64 {
    let mut rows = database.rows();
    rows.sort_unstable();
    let batches = rows.len() as u64 / 2;
    let expected: Vec<u64> = (1..=batches).chain(10_001..=10_000 + batches).collect();
    assert_eq!(rows, expected);
    batches
}

#[test]
fn a_batch_is_in_a_transactional_sink_once_wherever_the_program_ends() {
    let (disk, database) = (SimDisk::new(1), Database::default());
    live(&disk, &database, 4).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(whole_batches(&database), 4);
    let mut found = 0;
    for call in 0..disk.calls() {
        let (disk, database) = (SimDisk::new(call), Database::default());
        disk.kill_at(call);
        // The last call may be behind the last batch.
        let _ = live(&disk, &database, 4);
        disk.restart(true);
        live(&disk, &database, 4).unwrap_or_else(|error| panic!("call {call}: {error}"));
        assert!(whole_batches(&database) >= 4, "call {call}");
        found += database.lock().found;
    }
    // Some batches were there when they were run again.
    assert!(found > 0);
}

/// A batch that was skipped counts as done: the next start goes on behind it, and one that failed comes again.
#[test]
fn a_skipped_batch_counts_as_done() {
    for skip in [true, false] {
        let disk = SimDisk::new(7);
        let times = |fails: bool| {
            let (sender, times) = std::sync::mpsc::channel();
            let on_error = if skip { OnError::Skip } else { OnError::Fail };
            let ssc = dstream::stream!(batch = 1s, name = "app", conf = conf(), checkpoint = &disk, {
                Seconds.foreach_rdd(
                    |_rdd, time| {
                        sender.send(time.since(NOW).as_secs()).map_err(|error| error.to_string())?;
                        if fails { Err("no such table".to_owned()) } else { Ok(()) }
                    },
                    on_error = on_error,
                );
            })
            .unwrap();
            let error = failed(ssc.run_batches(2));
            assert_eq!(error.is_empty(), skip || !fails, "{error}");
            drop(ssc);
            times.try_iter().collect::<Vec<_>>()
        };
        assert_eq!(times(true), [1, 2]);
        disk.restart(false);
        assert_eq!(times(false), if skip { [3, 4] } else { [1, 2] });
    }
}
