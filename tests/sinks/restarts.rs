//! Sinks over restarts: each batch is there once, also if the program that goes on is another one.

use std::{sync::mpsc, time::Duration};

use dstream::{
    Config, StreamingContext, Time,
    prelude::{OnError, Retry},
    sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError},
    source::{Limits, Source},
    testing::{ManualClock, SimDisk},
};

use crate::{
    NOW, failed,
    table::{Database, Fault, Table},
    turn,
};

/// The second of a batch, in two partitions: a source that gives a batch the same records whenever it is
/// asked.
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

/// The rows of the batches of these seconds, each once.
fn rows_of(seconds: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    seconds.clone().chain(seconds.map(|second| 10_000 + second)).collect()
}

fn sorted_rows(database: &Database) -> Vec<u64> {
    let mut rows = database.rows();
    rows.sort_unstable();
    rows
}

/// Whether the table has the batches from the first second to some later one, each once; how many.
fn whole_batches(database: &Database) -> u64 {
    let rows = sorted_rows(database);
    let batches = rows.len() as u64 / 2;
    assert_eq!(rows, rows_of(1..=batches));
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

/// A batch that was skipped counts as done: the next start goes on behind it, and one that failed comes
/// again.
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

/// A sink that has begun a batch, and gives it up when the context stops.
struct Interrupted {
    begun: mpsc::Sender<()>,
}

impl Sink<u64> for Interrupted {
    type Part = ();

    fn write(&self, batch: &SinkBatch, _: Partition<'_, u64>) -> Result<(), SinkError> {
        let _ = self.begun.send(());
        batch.context().stopping().wait();
        Err(SinkError::transient("interrupted by the stop"))
    }

    fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The last attempt has failed, but because of the stop: the batch is left to the next start, and neither
/// skipped nor a dead letter.
#[test]
fn a_batch_that_a_stop_interrupts_in_its_last_attempt_is_not_given_up() {
    let _turn = turn();
    for dead_letters in [false, true] {
        let (disk, database, dead) = (SimDisk::new(3), Database::default(), Database::default());
        let (clock, (begun, has_begun)) = (ManualClock::new(NOW), mpsc::channel());
        let conf_of_start = conf().clock(clock.clone()).handle_signals(false);
        let on_error =
            if dead_letters { OnError::dead_letters(dead.sink(Fault::None)) } else { OnError::Skip };
        let sink = Interrupted { begun };
        let ssc = dstream::stream!(batch = 1s, name = "app", conf = conf_of_start, checkpoint = &disk, {
            Seconds.write_to(sink, retry = Retry::never(), on_error = on_error).named("table");
        })
        .unwrap();
        ssc.start().unwrap();
        assert!(clock.wait_for_waiter(NOW + Duration::from_secs(1)));
        clock.advance(Duration::from_secs(1));
        has_begun.recv().unwrap();
        ssc.stop();
        let error = failed(ssc.await_termination());
        assert!(error.contains("interrupted by the stop (attempt 1; the context stops)"), "{error}");
        drop(ssc);
        disk.restart(false);
        let table = database.sink(Fault::None);
        let ssc = dstream::stream!(batch = 1s, name = "app", conf = conf(), checkpoint = &disk, {
            Seconds.write_to(table).named("table");
        })
        .unwrap();
        ssc.run_batches(1).unwrap();
        assert_eq!((sorted_rows(&database), dead.rows()), (rows_of(1..=1), Vec::new()));
    }
}

/// The tables of the programs below, which know a batch by its output, too.
#[derive(Default)]
struct Tables {
    orders: Database,
    bills: Database,
    audit: Database,
}

type Program = fn(&SimDisk, &Tables) -> dstream::Result<StreamingContext>;

/// A sink of a program that is dead when the disk is: nothing is written from then on.
struct Mortal(SimDisk, Table);

impl Sink<u64> for Mortal {
    type Part = Vec<u64>;

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        self.1.open(context)
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        self.1.begin(batch)
    }

    fn write(&self, batch: &SinkBatch, partition: Partition<'_, u64>) -> Result<Vec<u64>, SinkError> {
        self.1.write(batch, partition)
    }

    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Vec<u64>>) -> Result<(), SinkError> {
        if self.0.is_killed() { Err("the program is dead".into()) } else { self.1.commit(batch, parts) }
    }
}

/// A program that writes the same stream to these tables, in this order.
macro_rules! program {
    ($($table:ident = $name:literal),*) => {
        |disk, tables| {
            $(let $table = Mortal(disk.clone(), tables.$table.sink(Fault::None));)*
            dstream::stream!(batch = 1s, name = "app", conf = conf(), checkpoint = disk, {
                let seconds = Seconds.repartition(2);
                $(seconds.write_to($table).named($name);)*
            })
        }
    };
}

/// Ends `orders, bills` in each access to the disk, and goes on with `after`: each table that both write has
/// each batch once. Returns how many crashes were between two outputs of a batch.
fn edit(after: Program, check: impl Fn(&Tables, u64)) -> usize {
    let before: Program = program!(orders = "orders", bills = "bills");
    let mut between = 0;
    for call in 0.. {
        let (disk, tables) = (SimDisk::new(call), Tables::default());
        disk.kill_at(call);
        let lived = before(&disk, &tables).and_then(|ssc| ssc.run_batches(3)).is_ok();
        between += usize::from(tables.orders.rows().len() > tables.bills.rows().len());
        disk.restart(call % 2 == 0);
        let ssc = after(&disk, &tables).unwrap_or_else(|error| panic!("call {call}: {error}"));
        ssc.run_batches(3).unwrap_or_else(|error| panic!("call {call}: {error}"));
        check(&tables, whole_batches(&tables.bills));
        if lived {
            break;
        }
    }
    between
}

#[test]
fn a_sink_that_is_added_above_others_leaves_each_batch_once_in_them() {
    let between = edit(program!(audit = "audit", orders = "orders", bills = "bills"), |tables, last| {
        assert_eq!(whole_batches(&tables.orders), last);
        // The new one has the batch that runs again, too, whatever the others had of it.
        assert_eq!(sorted_rows(&tables.audit), rows_of(last - 2..=last));
    });
    assert!(between > 0);
}

#[test]
fn a_sink_that_is_removed_above_another_leaves_each_batch_once_in_it() {
    let between = edit(program!(bills = "bills"), |tables, last| {
        assert!(whole_batches(&tables.orders) <= last);
    });
    assert!(between > 0);
}

#[test]
fn sinks_that_change_places_have_each_batch_once() {
    let between = edit(program!(bills = "bills", orders = "orders"), |tables, last| {
        assert_eq!(whole_batches(&tables.orders), last);
    });
    assert!(between > 0);
}
