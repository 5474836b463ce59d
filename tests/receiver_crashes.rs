//! A program with a receiver, ended in every access to its disk, loses nothing that was acknowledged and
//! processes nothing twice.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver as Channel, Sender},
    },
    time::Duration,
};

use dstream::{
    prelude::*,
    receiver::{Receiver, ReceiverContext},
    testing::{ManualClock, SimDisk},
};

/// Stores the blocks that it is sent, and answers whether they may be acknowledged.
struct Mail(Channel<Vec<u64>>, Sender<bool>);

impl Receiver for Mail {
    type Block = Vec<u64>;

    fn name(&self) -> String {
        "mail".to_owned()
    }

    fn run(&mut self, ctx: &ReceiverContext<Vec<u64>>) -> Result<(), Box<dyn StdError + Send + Sync>> {
        while !ctx.is_stopping() {
            if let Ok(block) = self.0.recv_timeout(Duration::from_millis(1)) {
                self.1.send(ctx.store_block(block))?;
            }
        }
        Ok(())
    }
}

/// What survives the program: what its sender knows, and what its outputs have written under the time of each
/// batch.
#[derive(Default)]
struct World {
    sent: u64,
    acknowledged: Vec<u64>,
    numbers: BTreeMap<u64, Vec<u64>>,
    totals: BTreeMap<u64, Vec<u64>>,
    wrong: Option<String>,
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One batch after another, and between them as many blocks of two numbers as `blocks` says; fewer if the
/// disk ends it or is broken.
fn live(disk: &SimDisk, world: &Arc<Mutex<World>>, blocks: &[u64]) -> dstream::Result<()> {
    let (send, sent) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let mail = Mail(sent, answer);
    let write = |output: fn(&mut World) -> &mut BTreeMap<u64, Vec<u64>>| {
        let (world, disk) = (world.clone(), disk.clone());
        move |values: Vec<u64>, time: Time| {
            // A program that was ended would not have come here.
            if !disk.is_killed() {
                let mut world = lock(&world);
                let before = output(&mut world).insert(time.as_millis(), values.clone());
                if before.as_ref().is_some_and(|before| *before != values) {
                    world.wrong.get_or_insert(format!("{time} has {values:?}, before {before:?}"));
                }
            }
            Ok::<(), dstream::Error>(())
        }
    };
    let (numbers, totals) = (write(|world| &mut world.numbers), write(|world| &mut world.totals));
    let conf = Config::new().threads(1).clock(ManualClock::new(Time::from_millis(999)));
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = disk, {
        let mail = (mail);
        mail.foreach_rdd(|rdd, time| numbers(rdd.collect(), time));
        let total = mail
            .map(|n| ((), n))
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        total.map(|(_, total)| *total).foreach_rdd(|rdd, time| totals(rdd.collect(), time));
    })?;
    'life: for count in blocks {
        if ssc.run_batches(1).is_err() {
            break;
        }
        for _ in 0..*count {
            let first = lock(world).sent;
            lock(world).sent += 2;
            let block = vec![first, first + 1];
            assert!(send.send(block.clone()).is_ok());
            let answer = loop {
                match answers.recv_timeout(Duration::from_millis(1)) {
                    Err(_) if !disk.is_killed() => {}
                    answer => break answer,
                }
            };
            match answer {
                Ok(true) => lock(world).acknowledged.extend(block),
                _ => break 'life,
            }
        }
    }
    ssc.stop();
    Ok(())
}

/// Lives of which the first ends in access `kill_at`, the others anywhere, then one that does not.
fn simulate(kill_at: u64, seed: u64) -> Result<(), String> {
    let mut random = seed.wrapping_mul(2).wrapping_add(1);
    let mut below = |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    let (disk, world) = (SimDisk::new(seed), Arc::<Mutex<World>>::default());
    disk.kill_at(kill_at);
    for _ in 0..3 {
        let blocks: Vec<u64> = (0..5).map(|_| below(4)).collect();
        live(&disk, &world, &blocks).map_err(|error| error.to_string())?;
        disk.restart(below(2) == 0);
        match below(4) {
            0 => disk.break_sync_at(below(100)),
            _ => disk.kill_at(below(150)),
        }
    }
    disk.restart(true);
    live(&disk, &world, &[1, 0, 0]).map_err(|error| error.to_string())?;

    let world = lock(&world);
    if let Some(wrong) = &world.wrong {
        return Err(wrong.clone());
    }
    let numbers = world.numbers.values().flatten().copied().collect::<Vec<_>>();
    if !numbers.is_sorted_by(|a, b| a < b) {
        return Err(format!("not once and in order: {numbers:?}"));
    }
    let lost: Vec<_> = world.acknowledged.iter().filter(|n| numbers.binary_search(n).is_err()).collect();
    if !lost.is_empty() {
        return Err(format!("lost {lost:?}, found {numbers:?}"));
    }
    let mut sum = 0;
    for (time, batch) in &world.numbers {
        sum += batch.iter().sum::<u64>();
        let found = world.totals.get(time).and_then(|totals| totals.first()).copied().unwrap_or(0);
        if found != sum {
            return Err(format!("the total of {time} is {found}, expected {sum}"));
        }
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_is_processed_once_wherever_the_program_ends() {
    let calls = {
        let disk = SimDisk::new(0);
        let world = Arc::default();
        live(&disk, &world, &[3; 5]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lock(&world).acknowledged.len(), 30);
        disk.calls()
    };
    assert!(calls > 150, "{calls}");
    for kill_at in 0..calls {
        for seed in 2 * kill_at..2 * kill_at + 2 {
            assert_eq!(simulate(kill_at, seed), Ok(()), "ended in access {kill_at}, seed {seed}");
        }
    }
}
