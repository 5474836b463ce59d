//! What any number of processes have written can be restored by any other number.

use std::{collections::BTreeMap, fmt::Debug, thread};

use proptest::prelude::*;

use super::*;
use crate::{
    Config, Rdd,
    batch::{Batch, NoProgress, Step},
    checkpoint::{Changes, Stateful, decode},
    state::{StateView, update::UpdateStateByKey},
    table::{CombineByKey, GroupSink},
    testing::LoopbackCluster,
    window::{
        CountByWindow, RecordWindow, ReduceByKeyAndWindow, ReduceByWindow, WindowSpec,
        tests::{OP, seconds},
    },
};

type Pairs = Vec<(String, String)>;
/// What a checkpoint has of one operator.
type Entries = BTreeMap<Vec<u8>, Vec<u8>>;
/// What the operators yield in each batch, as text.
type Yields = Vec<[Vec<String>; OPERATORS]>;

const OPERATORS: usize = 5;

struct Program {
    totals: UpdateStateByKey<String, String>,
    recent: ReduceByKeyAndWindow<String, String>,
    three: RecordWindow<(String, String)>,
    counted: CountByWindow,
    reduced: ReduceByWindow<String>,
}

impl Program {
    fn new(part: Part) -> Program {
        let spec = WindowSpec { length: seconds(3), slide: seconds(1), part };
        Program {
            totals: UpdateStateByKey::new(8),
            recent: ReduceByKeyAndWindow::new(spec, 5),
            three: RecordWindow::new(spec),
            counted: CountByWindow::new(spec),
            reduced: ReduceByWindow::new(spec),
        }
    }

    fn operators(&mut self) -> [&mut dyn Stateful; OPERATORS] {
        [&mut self.totals, &mut self.recent, &mut self.three, &mut self.counted, &mut self.reduced]
    }

    fn step(&mut self, batch: &Batch<'_>, pairs: &Pairs) -> [Vec<String>; OPERATORS] {
        let (mut groups, mut partials) = (GroupSink::new(0, 8), CombineByKey::new(0, 5));
        pairs.iter().cloned().for_each(|pair| groups.push(pair));
        pairs.iter().cloned().for_each(|pair| partials.reduce(pair, concat));
        let groups = batch.groups(&OP, 8, Ok(vec![groups.finish()]));
        let partials = batch.partials(&OP, 5, Ok(vec![partials.finish()]), concat);
        let update = |new: &[String], old: Option<String>| Some(old.unwrap_or_default() + &new.concat());
        let view = self.totals.step(batch, &OP, groups, update);
        let text = pairs.iter().map(|(_, value)| value.clone()).reduce(concat);
        let count = batch.count(&OP, Ok(vec![pairs.len() as u64]));
        let text = batch.reduce(&OP, Ok(vec![text]), concat);
        [
            shown(StateView::rdd(&view)),
            shown(self.recent.step(batch, &OP, partials, concat, |_, _| true)),
            shown(self.three.step(batch, &OP, Ok(Rdd::from_partitions([pairs.clone()])))),
            shown(self.counted.step(batch, &OP, count)),
            shown(self.reduced.step(batch, &OP, text, concat)),
        ]
    }
}

fn concat(a: String, b: String) -> String {
    a + &b
}

fn shown<T: Debug>(step: Step<Rdd<T>>) -> Vec<String> {
    step.unwrap().iter().map(|record| format!("{record:?}")).collect()
}

/// So many processes go on from these entries, with the batches from number `first` on: what they yield
/// together, and what all of them have written then.
fn life(
    processes: usize,
    entries: &[Entries; OPERATORS],
    first: usize,
    batches: &[Pairs],
) -> (Yields, [Entries; OPERATORS]) {
    let cluster = LoopbackCluster::new(processes);
    let ends: Vec<_> = (0..processes).map(|process| cluster.process(process)).collect();
    let all: Vec<(Yields, [Entries; OPERATORS])> = thread::scope(|scope| {
        let running: Vec<_> = ends
            .into_iter()
            .map(|end| {
                scope.spawn(move || {
                    let process = end.process();
                    let mut program = Program::new(Part::of(end.key_groups(process)));
                    let config = Config::new().exchange(end);
                    let mut own = entries.clone();
                    if first > 1 {
                        for (operator, entries) in program.operators().into_iter().zip(entries) {
                            entries.iter().for_each(|(key, value)| operator.restore(key, value).unwrap());
                            operator.finish_restore().unwrap();
                        }
                    }
                    let zero = Time::from_millis(7_000);
                    let yields = (first..).zip(batches).map(|(number, pairs)| {
                        let batch = Batch::new(zero + seconds(number), zero, 0, &config, &NoProgress);
                        let cut = |at: usize| at * pairs.len() / processes;
                        let yields = program.step(&batch, &pairs[cut(process)..cut(process + 1)].to_vec());
                        for (operator, own) in program.operators().into_iter().zip(&mut own) {
                            take(operator, own);
                        }
                        yields
                    });
                    (yields.collect(), own)
                })
            })
            .collect();
        running.into_iter().map(|process| process.join().unwrap()).collect()
    });
    let mut yields: Yields = vec![Default::default(); batches.len()];
    let mut written: [Entries; OPERATORS] = Default::default();
    for (of_process, own) in all {
        for (batch, of_batch) in yields.iter_mut().zip(of_process) {
            batch.iter_mut().zip(of_batch).for_each(|(all, some)| all.extend(some));
        }
        written.iter_mut().zip(own).for_each(|(all, some)| all.extend(some));
    }
    yields.iter_mut().flatten().for_each(|records| records.sort());
    (yields, written)
}

/// Applies what changed to what is written.
fn take(operator: &mut dyn Stateful, entries: &mut Entries) {
    let mut changes = Changes::new();
    operator.changes(&mut changes);
    if changes.is_cleared() {
        entries.clear();
    }
    for (key, value) in changes.iter() {
        match value {
            Some(value) => drop(entries.insert(key.to_vec(), value.to_vec())),
            None => drop(entries.remove(key)),
        }
    }
}

/// The states of an operator; not when they were last written, which is later where all were written anew.
fn states(entries: &Entries) -> Vec<(&[u8], Option<String>)> {
    let state = |value: &[u8]| decode::<(Option<String>, Time)>(value).unwrap().0;
    entries.iter().map(|(key, value)| (&key[..], state(value))).collect()
}

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::vec(("[a-f]", "[a-z]"), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn another_number_of_processes_goes_on(
        batches in prop::collection::vec(pairs(), 3..10),
        restart in 1usize..9,
        (before, after) in (1usize..5, 1usize..5),
    ) {
        let restart = restart.min(batches.len() - 1);
        let (early, late) = batches.split_at(restart);
        let nothing = Default::default();
        let (one_early, one_entries) = life(1, &nothing, 1, early);
        let (one_late, one_last) = life(1, &one_entries, restart + 1, late);

        let (many_early, entries) = life(before, &nothing, 1, early);
        prop_assert_eq!(one_early, many_early);
        // A state's entries do not even say how many processes there were.
        prop_assert_eq!(&one_entries[0], &entries[0]);
        let (many_late, last) = life(after, &entries, restart + 1, late);
        prop_assert_eq!(&one_late, &many_late);
        prop_assert_eq!(states(&one_last[0]), states(&last[0]));

        // What one process wrote, as all did before there were several, can be divided too.
        let (divided, _) = life(after, &one_entries, restart + 1, late);
        prop_assert_eq!(one_late, divided);
    }
}
