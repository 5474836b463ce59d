//! What follows from failures: of a batch, of a thread, of the log.

use std::{error::Error as _, fmt, io};

use super::*;
use crate::{
    OnFailure,
    clock::{CancellationToken, Clock},
};

/// A clock that panics when it is waited for up to a time.
#[derive(Clone, Debug)]
struct Broken {
    clock: ManualClock,
    at: Time,
}

impl Clock for Broken {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn wait_until(&self, deadline: Time, stop: &CancellationToken) -> bool {
        assert!(deadline != self.at, "the spring is broken");
        self.clock.wait_until(deadline, stop)
    }
}

#[test]
fn a_thread_that_panics_ends_the_context() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let broken = Broken { clock: clock.clone(), at: at(2_000) };
    let ssc = StreamingContext::with_config(SECOND, config(&clock).clock(broken)).unwrap();
    let out = add(&ssc, TestSource::<i32>::new(), |_| Ok(())).unwrap();
    ssc.start().unwrap();
    assert!(clock.wait_for_waiter(at(1_000)));
    clock.set(at(1_000));
    // Everybody is told who asks.
    for _ in 0..2 {
        match ssc.await_termination_or_timeout(LONG) {
            Err(Error::Thread { thread, message }) => {
                assert_eq!((&*thread, &*message), ("dstream-generator", "the spring is broken"));
            }
            other => panic!("{other:?}"),
        }
    }
    ssc.stop();
    assert_eq!(ssc.state(), ContextState::Stopped);
    assert!(matches!(ssc.start(), Err(Error::Thread { .. })));
    assert!(out.values().len() <= 1);
    // The next context can be started.
    let next = context(&clock);
    add(&next, TestSource::<i32>::new(), |_| Ok(())).unwrap();
    next.start().unwrap();
    next.stop();
}

#[test]
fn waiting_for_a_context_that_is_not_started_is_an_error_at_once() {
    let clock = ManualClock::new(at(0));
    let ssc = context(&clock);
    assert!(message(ssc.await_termination()).contains("has not been started"));
    assert!(message(ssc.await_termination_or_timeout(LONG)).contains("call `start` first"));
}

/// An error of a program.
#[derive(Debug, PartialEq)]
struct Full {
    left: u32,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "only {} left", self.left)
    }
}

impl std::error::Error for Full {}

/// A started context whose batches fail where the record is even, and what it has of the others.
fn failing(clock: &ManualClock, config: Config) -> (StreamingContext, Collected<u32>) {
    let (ssc, source) = (StreamingContext::with_config(SECOND, config).unwrap(), TestSource::new());
    let out = add(&ssc, source.clone(), |records: &[u32]| match records {
        [left] if left % 2 == 0 => Err(Error::output(Full { left: *left })),
        _ => Ok(()),
    })
    .unwrap();
    (1..=5).for_each(|n| source.push(vec![n]));
    ssc.start().unwrap();
    assert!(clock.wait_for_waiter(at(1_000)));
    (ssc, out)
}

fn cause(error: &Error) -> Option<&Full> {
    error.source()?.downcast_ref::<Full>()
}

#[test]
fn a_failure_is_returned_once_and_keeps_its_cause() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let (told, failures) = mpsc::channel();
    let config = config(&clock).on_batch_failure(move |failure| drop(told.send(failure.clone())));
    let (ssc, out) = failing(&clock, config);
    for (time, left) in [(2_000, 2), (4_000, 4)] {
        clock.set(at(time));
        let error = ssc.await_termination_or_timeout(LONG).unwrap_err();
        assert_eq!(cause(&error), Some(&Full { left }), "{error}");
        let failure = failures.recv_timeout(LONG).unwrap();
        assert_eq!((failure.time, &*failure.operator), (at(time), "collect_to"));
        assert_eq!(failure.message, format!("only {left} left"));
    }
    clock.set(at(5_000));
    assert!(out.wait_for(3, LONG));
    assert!(!ssc.await_termination_or_timeout(Duration::from_millis(1)).unwrap(), "it runs on");
    ssc.stop();
    ssc.await_termination().unwrap();
}

#[test]
fn a_failure_stops_the_context_that_is_to_stop() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let (ssc, out) = failing(&clock, config(&clock).on_failure(OnFailure::Stop));
    clock.set(at(5_000));
    for _ in 0..2 {
        let error = ssc.await_termination_or_timeout(LONG).unwrap_err();
        assert_eq!(cause(&error), Some(&Full { left: 2 }), "{error}");
    }
    ssc.stop();
    assert_eq!((ssc.state(), out.values()), (ContextState::Stopped, vec![vec![1]]));
}

#[test]
fn stepping_ends_with_a_failure_where_the_context_is_to_stop() {
    let clock = ManualClock::new(at(0));
    let (ssc, source) = (
        StreamingContext::with_config(SECOND, config(&clock).on_failure(OnFailure::Stop)).unwrap(),
        TestSource::new(),
    );
    let failed = |_: &[u32]| Err(Error::output(io::Error::from(io::ErrorKind::TimedOut)));
    let out = add(&ssc, source.clone(), failed).unwrap();
    source.push(vec![1]);
    let error = ssc.run_batches(3).unwrap_err();
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    assert_eq!(cause.map(io::Error::kind), Some(io::ErrorKind::TimedOut));
    assert_eq!((ssc.state(), out.values().len()), (ContextState::Stopped, 0));
}
