//! The built-in sources keep the promises of `Source`; sources that don't are found out.

use std::{
    error::Error as StdError,
    fs,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use dstream_core::{
    Config, Result, Time,
    checkpoint::Stateful,
    receiver::{Receiver, ReceiverContext, receiver_stream},
    source::{
        Block, Checkpointed, Limits, OpenFile, Source, binary_records_stream, file_stream, generator_stream,
        queue_stream, rate_stream, text_file_stream,
    },
    testing::{ManualClock, TestSource, check_source},
};

use crate::{Folder, LONG, at, source_context};

#[test]
fn made_up_sources_keep_their_promises() -> Result<()> {
    check_source(|| rate_stream(1_000), |_| {})?;
    check_source(|| generator_stream(5, |n| format!("row {n}")), |_| {})?;
    check_source(|| queue_stream(vec![vec![1, 2], vec![], vec![3]]), |_| {})?;
    let source = TestSource::new();
    check_source(|| source.clone(), |batch| source.push(vec![batch; 3]))
}

#[test]
fn streams_of_files_keep_their_promises() -> Result<()> {
    for new_files_only in [true, false] {
        let folder = Folder::new();
        fs::write(folder.join("before"), "before\n").unwrap();
        let put = |batch: usize| {
            for n in 0..batch {
                fs::write(folder.join(&format!("{batch}-{n}")), format!("{batch} {n}\nend\n")).unwrap();
            }
        };
        check_source(|| text_file_stream(folder.path()).new_files_only(new_files_only), put)?;
        check_source(|| binary_records_stream(folder.path(), 2).new_files_only(new_files_only), |_| {})?;
        let reader = |file: OpenFile| Ok(vec![std::io::read_to_string(file)?]);
        check_source(|| file_stream(folder.path(), reader).new_files_only(new_files_only), |_| {})?;
    }
    Ok(())
}

struct Quiet;

impl Receiver for Quiet {
    type Block = Vec<u64>;

    fn name(&self) -> String {
        "quiet".into()
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<Vec<u64>>,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
        ctx.store(1);
        ctx.stopping().wait();
        ctx.store(2);
        Ok(())
    }
}

#[test]
fn receivers_keep_their_promises() -> Result<()> {
    check_source(|| receiver_stream(Quiet), |_| {})
}

/// Has what arrives only when it is asked the third time, as if a thread fetched it.
struct ReadsAhead {
    list: Arc<Mutex<Vec<u64>>>,
    next: Checkpointed<usize>,
    asked: usize,
    mistake: &'static str,
}

impl Source for ReadsAhead {
    type Block = Vec<u64>;
    type Plan = Range<usize>;

    fn name(&self) -> String {
        "reads ahead".into()
    }

    fn plan(&mut self, _: Time, limits: &Limits) -> Result<Option<Range<usize>>> {
        self.asked += 1;
        let mut from = *self.next;
        let waiting = (self.list.lock().unwrap().len() - from) as u64;
        let n = if self.mistake == "limit" { waiting } else { limits.at_most(waiting) } as usize;
        if !self.asked.is_multiple_of(3) || n == 0 {
            return Ok(None);
        }
        *self.next = from + n;
        if self.mistake == "twice" {
            from = from.saturating_sub(1);
        }
        Ok(Some(from..*self.next))
    }

    fn blocks(&mut self, _: Time, plan: &Range<usize>) -> Result<Vec<Vec<u64>>> {
        Ok(vec![self.list.lock().unwrap()[plan.clone()].to_vec()])
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.next)
    }
}

#[test]
fn a_source_that_reads_ahead_is_waited_for() {
    let check = |mistake: &'static str| {
        let list = Arc::<Mutex<Vec<u64>>>::default();
        let open = || ReadsAhead { list: Arc::clone(&list), next: Checkpointed::new(0), asked: 0, mistake };
        let arrive = |batch: usize| {
            list.lock().unwrap().extend([7, 8, batch as u64]);
            3usize
        };
        check_source(open, arrive).map_err(|error| error.to_string())
    };
    assert_eq!(check("none"), Ok(()));
    for (mistake, promise) in
        [("limit", "limits are kept"), ("twice", "a record that has arrived is in one batch")]
    {
        let error = check(mistake).expect_err(mistake);
        assert!(
            error.starts_with(&format!("the source breaks the promise \"{promise}\": ")),
            "{mistake}: {error}"
        );
    }
}

/// Reads a list of numbers, with mistakes.
struct Numbers {
    list: Arc<Mutex<Vec<u64>>>,
    next: Checkpointed<usize>,
    mistake: &'static str,
}

static OPENED: AtomicU64 = AtomicU64::new(0);

impl Source for Numbers {
    type Block = Vec<u64>;
    type Plan = (Range<usize>, String);

    fn name(&self) -> String {
        match self.mistake {
            "name" => format!("numbers {}", OPENED.fetch_add(1, Ordering::SeqCst)),
            _ => "numbers".into(),
        }
    }

    fn plan(&mut self, _: Time, limits: &Limits) -> Result<Option<(Range<usize>, String)>> {
        let from = *self.next;
        let waiting = self.list.lock().unwrap().len() - from;
        let limited = match self.mistake {
            "limit" => waiting.min(limits.records.map_or(waiting, |limit| limit as usize + 1)),
            _ => limits.at_most(waiting as u64) as usize,
        };
        *self.next = if self.mistake == "position" { 0 } else { from + limited };
        let large = if self.mistake == "plan" { "x".repeat(100_000) } else { String::new() };
        Ok((limited > 0).then_some((from..from + limited, large)))
    }

    fn blocks(&mut self, _: Time, plan: &(Range<usize>, String)) -> Result<Vec<Vec<u64>>> {
        let list = self.list.lock().unwrap();
        let end = if self.mistake == "records" { list.len() } else { plan.0.end };
        Ok(vec![list[plan.0.start..end].to_vec()])
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.next)
    }

    fn has_pending(&self) -> bool {
        self.mistake == "pending"
    }
}

#[test]
fn broken_promises_are_found_out() {
    let check = |mistake: &'static str| {
        let list = Arc::<Mutex<Vec<u64>>>::default();
        let open = || Numbers { list: Arc::clone(&list), next: Checkpointed::new(0), mistake };
        check_source(open, |batch| list.lock().unwrap().extend([7, 8, batch as u64]))
            .map_err(|error| error.to_string())
    };
    assert_eq!(check("none"), Ok(()));
    for (mistake, promise) in [
        ("name", "its name is the same at each start"),
        ("plan", "a plan is small, and can be serialised"),
        ("records", "the same plan gives the same records"),
        ("position", "a new instance goes on where the state is"),
        ("limit", "limits are kept, or not looked at"),
        ("pending", "what a stopped source has is had by one more plan"),
    ] {
        let error = check(mistake).expect_err(mistake);
        assert!(
            error.starts_with(&format!("the source breaks the promise \"{promise}\": ")),
            "{mistake}: {error}"
        );
    }
}

/// Stores as fast as it can, and says when it has.
struct Fast(mpsc::Sender<u64>);

impl Receiver for Fast {
    type Block = Vec<u64>;

    fn name(&self) -> String {
        "fast".into()
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<Vec<u64>>,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
        for next in 0.. {
            if !ctx.store(next) {
                break;
            }
            self.0.send(next)?;
        }
        Ok(())
    }
}

#[test]
fn a_receiver_stores_no_more_than_a_batch_may_have() {
    let (stored, stores) = mpsc::channel();
    let mut source = receiver_stream(Fast(stored));
    let config = Config::new().max_rate(3);
    source.start(&source_context(&ManualClock::new(at(500)), config)).unwrap();
    for batch in 1..=4 {
        for _ in 0..3 {
            stores.recv_timeout(LONG).unwrap();
        }
        // The fourth waits until the batch is planned.
        let time = at(batch * 1_000);
        let plan = source.plan(time, &Limits::records(3)).unwrap().unwrap();
        let mut blocks = source.blocks(time, &plan).unwrap();
        let records: Vec<u64> =
            blocks.iter_mut().flat_map(|block| block.records().collect::<Vec<_>>()).collect();
        let first = 3 * (batch - 1);
        assert_eq!(records, [first, first + 1, first + 2]);
    }
    source.stop();
}
