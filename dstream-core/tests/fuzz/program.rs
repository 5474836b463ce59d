//! A program with a log, plans of sources, windows and states, and the disk that it leaves behind.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use dstream::{
    checkpoint::Stateful,
    prelude::*,
    receiver::{Receiver, ReceiverContext},
    source::{Checkpointed, Limits, Source},
    testing::{ManualClock, SimDisk},
};

use super::{Choice, Everything};

/// How long a receiver has to store a block.
const LONG: Duration = Duration::from_secs(60);

/// Stores the blocks that it is sent, and answers when one is stored.
struct Mail {
    blocks: Arc<Mutex<mpsc::Receiver<Vec<u32>>>>,
    stored: mpsc::Sender<bool>,
}

impl Receiver for Mail {
    type Block = Vec<u32>;

    fn name(&self) -> String {
        "mail".to_owned()
    }

    fn run(&mut self, ctx: &ReceiverContext<Vec<u32>>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        while !ctx.is_stopping() {
            match blocks.recv_timeout(Duration::from_millis(1)) {
                Ok(block) => drop(self.stored.send(ctx.store_block(block))),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        ctx.stop();
        Ok(())
    }
}

/// Three numbers a batch; their range is in the plan.
struct Numbers(Checkpointed<u64>);

impl Source for Numbers {
    type Block = Vec<u64>;
    type Plan = (u64, u64);

    fn name(&self) -> String {
        "numbers".into()
    }

    fn plan(&mut self, _: Time, _: &Limits) -> dstream::Result<Option<(u64, u64)>> {
        let from = *self.0;
        *self.0 = from.wrapping_add(3);
        Ok(Some((from, *self.0)))
    }

    fn blocks(&mut self, _: Time, plan: &(u64, u64)) -> dstream::Result<Vec<Vec<u64>>> {
        Ok(vec![(plan.0..plan.1).take(9).collect()])
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.0)
    }
}

/// Runs some batches; the last one fails if it is to begin again, and blocks stay in the log.
fn live(disk: &SimDisk, batches: usize, leaves: bool) -> dstream::Result<()> {
    let (send, blocks) = mpsc::channel();
    let (stored, answers) = mpsc::channel();
    let mail = Mail { blocks: Arc::new(Mutex::new(blocks)), stored };
    let numbers = Numbers(Checkpointed::new(0));
    let clock = ManualClock::new(Time::from_millis(500));
    let conf = Config::new().threads(1).partitions(2).clock(clock);
    let fails = move |time: Time| match leaves && time.as_millis() > 3_000 {
        true => Err(dstream::Error::Invalid("left for the next life".into())),
        false => Ok(()),
    };
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = disk, {
        let pairs = numbers.map(|n| (format!("key {}", n % 5), n));
        let totals = pairs.update_state_by_key(|new: &[u64], old: Option<u64>| {
            Some(new.iter().fold(old.unwrap_or(0), |a, b| a.wrapping_add(*b)))
        });
        let recent = pairs.reduce_by_key_and_window(|a, b| a.wrapping_add(b), 3s, 1s);
        let letters = mail.map(|n| (n % 3, 1u64)).reduce_by_key(|a, b| a.wrapping_add(b));
        totals.foreach_rdd(|rdd| drop(rdd.collect()));
        recent.foreach_rdd(|rdd| drop(rdd.collect()));
        letters.foreach_rdd(|rdd| drop(rdd.collect()));
        pairs.window(2s, 1s).foreach_rdd(|_, time| fails(time)).named("fails");
    })?;
    ssc.run_batches(batches.saturating_sub(1))?;
    if leaves {
        for block in [vec![1, 2, 3], vec![4], vec![]] {
            // It may be stored record by record; what matters is that there are some in the log.
            send.send(block).map_err(|_| dstream::Error::Invalid("the receiver is gone".into()))?;
            assert_eq!(answers.recv_timeout(LONG), Ok(true), "a block is stored");
        }
    }
    ssc.run_batches(1)
}

/// The disk of a program that was ended in its fourth batch.
pub(crate) fn disk() -> SimDisk {
    let disk = SimDisk::new(0);
    let outcome = live(&disk, 4, true).map_err(|error| error.to_string());
    assert!(outcome.as_ref().is_err_and(|error| error.contains("left for the next life")), "{outcome:?}");
    disk.restart(true);
    disk
}

/// The next life of the program.
pub(crate) fn go_on(disk: &SimDisk) -> dstream::Result<()> {
    live(disk, 2, false)
}

/// Whether a failure of a batch was a panic of the runtime: its text is all that is left of it.
pub(crate) fn is_panic(error: &str) -> bool {
    let texts = [
        "attempt to",
        "out of bounds",
        "out of range",
        "capacity overflow",
        "`unwrap`",
        "char boundary",
        "unwrap()",
        "slice index",
        "already borrowed",
        "explicit panic",
        "unreachable code",
    ];
    texts.iter().any(|text| error.contains(text))
}

/// Values in MessagePack, among them one of each type that the test reads.
pub(crate) fn values() -> Vec<Vec<u8>> {
    let everything = Everything {
        number: -3,
        text: "z\u{fc}rich".into(),
        list: vec![(1, None), (u32::MAX, Some("a".into()))],
        map: BTreeMap::from([("pi".to_owned(), 2.5), ("nan".to_owned(), f64::NAN)]),
        choice: Choice::Named { of: Box::new(Some(Choice::One(7))) },
        batch: Time::from_millis(5_000),
    };
    let encoded = [
        rmp_serde::to_vec_named(&everything),
        rmp_serde::to_vec_named(&Choice::Nothing),
        rmp_serde::to_vec_named(&[1u64, 2, u64::MAX]),
        rmp_serde::to_vec_named(&[("a", vec![(), ()])]),
        rmp_serde::to_vec_named("a text that is longer than thirty-one bytes in all"),
    ];
    encoded.into_iter().map(Result::unwrap).collect()
}
