//! Programs that are edited between two runs: what a checkpoint holds is found again by names that the
//! program's text fixes, never by the order in which things stand or are added.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dstream::{
    Str, StreamingContext,
    prelude::*,
    testing::{ManualClock, SimDisk},
};

const FIRST: u64 = 1_000;

/// Which output has run in which batch, in this order, while the program was alive.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<Vec<(&'static str, u64)>>>);

impl Runs {
    fn add(&self, disk: &SimDisk, output: &'static str, time: Time) {
        if !disk.is_killed() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((output, time.as_millis()));
        }
    }

    fn all(&self) -> Vec<(&'static str, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The batches in which an output has run, without the one repetition that a crash right behind it costs.
    fn of(&self, output: &str) -> Vec<u64> {
        let mut times: Vec<u64> =
            self.all().iter().filter(|(name, _)| *name == output).map(|(_, t)| *t).collect();
        times.dedup();
        times
    }
}

fn config() -> Config {
    Config::new().threads(1).partitions(2).clock(ManualClock::new(Time::from_millis(FIRST - 1)))
}

/// A pipeline with these outputs, each of which notes that it runs.
macro_rules! program {
    ($disk:expr, $runs:expr, [$($output:ident = $name:literal),*]) => {{
        let (disk, runs): (&SimDisk, &Runs) = ($disk, $runs);
        $(let $output =
            { let (disk, runs) = (disk.clone(), runs.clone()); move |time| runs.add(&disk, $name, time) };)*
        dstream::stream!(batch = 1s, conf = config(), checkpoint = disk, {
            let numbers = queue_stream(vec![vec![1u64]]);
            $(numbers.foreach_rdd(|_, time| $output(time)).named($name);)*
        })
    }};
}

type Program = fn(&SimDisk, &Runs) -> dstream::Result<StreamingContext>;

/// Runs `before` until the disk ends it, in every access that it has, then `after`. Each output of `after`
/// must have run in every batch: from the first on if `before` has it too, else in those of the second life.
fn edit(before: Program, after: Program, old: &[&str], new: &[&str]) {
    let mut killed_inside = 0;
    for at in 0.. {
        let (disk, runs) = (SimDisk::new(at), Runs::default());
        disk.kill_at(at);
        let mut lived = true;
        if let Ok(ssc) = before(&disk, &runs) {
            lived = ssc.run_batches(3).is_ok();
        }
        disk.restart(at % 2 == 0);
        let first_life = runs.all();
        let ssc = after(&disk, &runs).unwrap();
        ssc.run_batches(3).unwrap_or_else(|error| panic!("kill {at}: {error}"));
        let last = runs.all().iter().map(|(_, time)| *time).max().unwrap();
        for output in old {
            let expected: Vec<u64> = (FIRST..=last).step_by(1_000).collect();
            assert_eq!(runs.of(output), expected, "kill {at}: {output} of {:?}", runs.all());
        }
        for output in new {
            let expected: Vec<u64> = (last - 2_000..=last).step_by(1_000).collect();
            assert_eq!(runs.of(output), expected, "kill {at}: {output} of {:?}", runs.all());
        }
        // All in all an output runs again only if it was the last one to run.
        let again = old.iter().map(|output| {
            let of = runs.all().iter().filter(|(name, _)| name == output).count();
            of - runs.of(output).len()
        });
        assert!(again.sum::<usize>() <= 1, "kill {at}: {:?}", runs.all());
        let in_last =
            first_life.iter().filter(|(_, time)| Some(*time) == first_life.last().map(|l| l.1)).count();
        killed_inside += usize::from(in_last % old.len().max(1) != 0);
        if lived {
            break;
        }
    }
    assert!(killed_inside > 0, "no crash between two outputs was tried");
}

fn abc(disk: &SimDisk, runs: &Runs) -> dstream::Result<StreamingContext> {
    program!(disk, runs, [a = "a", b = "b", c = "c"])
}

#[test]
fn an_output_that_is_added_above_others_runs_in_a_batch_that_runs_again() {
    edit(
        abc,
        |disk, runs| program!(disk, runs, [new = "new", a = "a", b = "b", c = "c"]),
        &["a", "b", "c"],
        &["new"],
    );
}

#[test]
fn an_output_that_is_removed_above_others_takes_none_of_them_with_it() {
    edit(abc, |disk, runs| program!(disk, runs, [b = "b", c = "c"]), &["b", "c"], &[]);
}

#[test]
fn outputs_that_change_places_stay_themselves() {
    edit(abc, |disk, runs| program!(disk, runs, [c = "c", a = "a", b = "b"]), &["a", "b", "c"], &[]);
}

/// Without `named` they have the names of their chains.
#[test]
fn outputs_are_known_by_their_chains() -> dstream::Result<()> {
    let (disk, runs) = (SimDisk::new(0), Runs::default());
    let life = |edited: bool, kill: bool| {
        let disk = &disk;
        let [totals, sizes, more] = ["totals", "sizes", "more"].map(|output| {
            let (disk, runs) = (disk.clone(), runs.clone());
            move |time| {
                runs.add(&disk, output, time);
                if kill && output == "sizes" {
                    disk.kill_at(disk.calls() + 1);
                }
            }
        });
        let source = || queue_stream(vec![vec![("a", 1u64)]]);
        if edited {
            dstream::stream!(batch = 1s, conf = config(), checkpoint = disk, {
                let pairs = source();
                pairs.foreach_rdd(|_, time| more(time));
                pairs.map_values(|n| n + 1).foreach_rdd(|_, time| sizes(time));
                pairs.reduce_by_key(|a, b| a + b).foreach_rdd(|_, time| totals(time));
            })
        } else {
            drop(more);
            dstream::stream!(batch = 1s, conf = config(), checkpoint = disk, {
                let pairs = source();
                pairs.reduce_by_key(|a, b| a + b).foreach_rdd(|_, time| totals(time));
                pairs.map_values(|n| n + 1).foreach_rdd(|_, time| sizes(time));
            })
        }
    };
    assert!(life(false, true)?.run_batches(1).is_err());
    assert_eq!(runs.all(), [("totals", FIRST), ("sizes", FIRST)]);
    disk.restart(false);
    life(true, false)?.run_batches(1)?;
    // That `sizes` has run was not written any more.
    assert_eq!(runs.all()[2..], [("more", FIRST), ("sizes", FIRST)]);
    Ok(())
}

/// Adds a pipeline that counts, as a function that several pipelines of a context are made by.
fn totals(ssc: &StreamingContext, name: &str, n: u64, out: &Collected<(Str, u64)>) -> dstream::Result<()> {
    dstream::stream!(ssc, name = name, {
        let pairs = queue_stream(vec![vec![("n", n)]]);
        let totals =
            pairs.update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        totals.collect_to(out);
    })?;
    Ok(())
}

fn context(disk: &SimDisk) -> StreamingContext {
    StreamingContext::with_config(Duration::from_secs(1), config().checkpoint(disk)).unwrap()
}

#[test]
fn pipelines_that_change_places_keep_their_state() -> dstream::Result<()> {
    let disk = SimDisk::new(0);
    let mut found = Vec::new();
    for order in [["north", "south"], ["south", "north"]] {
        let ssc = context(&disk);
        let outs = [Collected::new(), Collected::new()];
        for name in order {
            let at = usize::from(name == "south");
            totals(&ssc, name, [1, 100][at], &outs[at])?;
        }
        ssc.run_batches(1)?;
        ssc.stop();
        found.push(outs.map(|out| out.values().concat()[0].1));
    }
    assert_eq!(found, [[1, 100], [2, 200]]);
    Ok(())
}

#[test]
fn pipelines_without_names_can_not_have_operators_of_one_name() {
    let ssc = context(&SimDisk::new(0));
    let add = || {
        dstream::stream!(ssc, {
            let totals = queue_stream(vec![vec![("n", 1u64)]])
                .update_state_by_key(|new: &[u64], _| new.first().copied());
            totals.count().print();
        })
        .map(drop)
        .map_err(|error| error.to_string())
    };
    add().unwrap();
    let error = add().unwrap_err();
    assert!(
        error.contains(
            "two operators of this context are called `totals`, both made by \
             `update_state_by_key` at tests/identity.rs:"
        ),
        "{error}"
    );
    assert!(error.contains("stream!(ssc, name = \"..\""), "{error}");
    // Nothing of the second is there.
    assert_eq!(ssc.plan().pipelines.len(), 1);
    ssc.run_batches(1).unwrap();
}

/// The message of a start that is refused.
fn refusal(ssc: &StreamingContext) -> String {
    let error = ssc.run_batches(1).unwrap_err().to_string();
    ssc.stop();
    error
}

#[test]
fn a_pipeline_that_is_renamed_needs_consent_to_lose_its_state() -> dstream::Result<()> {
    let (disk, out) = (SimDisk::new(0), Collected::new());
    let ssc = context(&disk);
    totals(&ssc, "north", 1, &out)?;
    ssc.run_batches(1)?;
    ssc.stop();
    let renamed = |forget: &[&str]| {
        let conf = config().checkpoint(&disk).forget(forget.iter().copied());
        let ssc = StreamingContext::with_config(Duration::from_secs(1), conf)?;
        totals(&ssc, "nord", 1, &out)?;
        Ok::<_, dstream::Error>(ssc)
    };
    let error = refusal(&renamed(&[])?);
    assert!(
        error.contains("holds state of `north/totals`") && error.contains("forget = [\"north/totals\"]"),
        "{error}"
    );
    let ssc = renamed(&["north/totals"])?;
    ssc.run_batches(1)?;
    assert_eq!(out.values(), [[("n".into(), 1)], [("n".into(), 1)]]);
    Ok(())
}

/// An older dstream wrote `totals` and `totals#2`, by the order of the calls: which is which can only the
/// program say.
#[test]
fn numbered_names_are_refused_until_the_program_says_what_they_are() -> dstream::Result<()> {
    let disk = SimDisk::new(0);
    let add = |new: &[u64], old: Option<u64>| Some(old.unwrap_or(0) + new.iter().sum::<u64>());
    let first = || queue_stream(vec![vec![("n", 1u64)]]);
    let second = || queue_stream(vec![vec![("n", 100u64)]]);
    let (ones, hundreds) = (Collected::new(), Collected::new());
    let old = || {
        dstream::stream!(batch = 1s, conf = config(), checkpoint = &disk, {
            let totals = first().update_state_by_key(|new: &[u64], old| add(new, old));
            totals.collect_to(&ones);
            let more = second().update_state_by_key(|new: &[u64], old| add(new, old)).named("totals#2");
            more.collect_to(&hundreds);
        })
    };
    let ssc = old()?;
    ssc.run_batches(1)?;
    ssc.stop();
    let edited = dstream::stream!(batch = 1s, conf = config(), checkpoint = &disk, {
        let totals = first().update_state_by_key(|new: &[u64], old| add(new, old));
        totals.collect_to(&ones);
        let more = second().update_state_by_key(|new: &[u64], old| add(new, old));
        more.collect_to(&hundreds);
    })?;
    let error = refusal(&edited);
    for part in ["numbered operators", "`.named(\"totals#2\")`", "forget = [\"totals\", \"totals#2\"]"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let ssc = old()?;
    ssc.run_batches(1)?;
    assert_eq!([ones, hundreds].map(|out| out.values().concat()[1].1), [2, 200]);
    Ok(())
}

#[test]
fn sources_of_one_name_are_refused_where_a_checkpoint_holds_something_of_them() -> dstream::Result<()> {
    let (folder, disk) = (tempfile::tempdir().unwrap(), SimDisk::new(0));
    let files = || text_file_stream(folder.path());
    let alike = dstream::stream!(batch = 1s, conf = config(), checkpoint = &disk, {
        files().union(files()).print();
    })?;
    let error = refusal(&alike);
    assert!(error.contains("two sources of this context are called `text_file_stream"), "{error}");
    assert!(error.contains(".named("), "{error}");
    let named = dstream::stream!(batch = 1s, conf = config(), checkpoint = &disk, {
        files().named("first").union(files()).print();
    })?;
    named.run_batches(1)?;
    named.stop();
    // Without a checkpoint nothing has to be told apart.
    dstream::stream!(batch = 1s, { files().union(files()).print() })?.run_batches(1)
}

#[test]
fn outputs_of_one_name_are_refused_where_there_is_a_checkpoint() -> dstream::Result<()> {
    let alike = |ssc: &StreamingContext| {
        dstream::stream!(ssc, {
            let numbers = queue_stream(vec![vec![1u64]]);
            numbers.print();
            numbers.print(3);
        })
        .map(drop)
    };
    let ssc = context(&SimDisk::new(0));
    alike(&ssc)?;
    let error = refusal(&ssc);
    assert!(
        error.contains(
            "two outputs of this context are called `numbers.print`, `print` at tests/identity.rs:"
        ),
        "{error}"
    );
    let ssc = StreamingContext::new(Duration::from_secs(1))?;
    alike(&ssc)?;
    ssc.run_batches(1)
}

#[test]
fn state_that_nothing_keeps_is_refused_by_every_start() -> dstream::Result<()> {
    let starts: [fn(&StreamingContext) -> dstream::Result<()>; 3] =
        [StreamingContext::start, StreamingContext::run_to_end, |ssc| ssc.run_batches(1)];
    for start in starts {
        let (ssc, out) = (StreamingContext::new(Duration::from_secs(1))?, Collected::new());
        totals(&ssc, "north", 1, &out)?;
        let error = start(&ssc).unwrap_err().to_string();
        assert!(error.starts_with("`update_state_by_key` at tests/identity.rs:"), "{error}");
        assert!(
            error.contains("`north/totals`") && error.contains("StreamingContext::with_checkpoint"),
            "{error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let (ssc, out) =
        (StreamingContext::with_checkpoint(Duration::from_secs(1), folder.path())?, Collected::new());
    totals(&ssc, "north", 1, &out)?;
    ssc.run_batches(1)
}

#[test]
fn a_stream_that_is_handed_out_is_named_where_it_is_made() -> dstream::Result<()> {
    let (ssc, numbers) = dstream::stream!(batch = 1s, { queue_stream(vec![vec![1u64]]) })?;
    let error =
        dstream::stream!(ssc, { (&numbers).named("numbers").print() }).map(drop).unwrap_err().to_string();
    assert!(error.contains("is a stream that another pipeline publishes"), "{error}");
    Ok(())
}
