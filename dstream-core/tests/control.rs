//! The control plane through its public interface: receivers, text blocks, the socket, the clock.

#[path = "control/clock.rs"]
mod clock;
#[path = "control/receiver.rs"]
mod receiver;
#[path = "control/socket.rs"]
mod socket;
#[path = "control/text.rs"]
mod text;

use std::{sync::Arc, time::Duration};

use dstream_core::{Block, Config, ManualClock, Signal, Source, SourceContext, Time};

const LONG: Duration = Duration::from_secs(10);

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// What a context gives its sources, with a clock that the test moves.
fn source_context(clock: &ManualClock, config: Config) -> SourceContext {
    SourceContext {
        clock: Arc::new(clock.clone()),
        config: config.clock(clock.clone()),
        interval: Duration::from_secs(1),
        stopping: Signal::new(),
        log: None,
        to_end: false,
    }
}

/// The blocks of one batch, each with its lines.
fn lines<S: Source>(source: &mut S) -> Vec<Vec<String>>
where
    S::Block: for<'a> Block<Record<'a> = &'a str>,
{
    let mut blocks = source.batch(at(0)).expect("a receiver always has a batch");
    blocks.iter_mut().map(|block| block.records().map(str::to_owned).collect()).collect()
}
