//! The control plane through its public interface: receivers, text blocks, the socket, the clock.

#[path = "control/clock.rs"]
mod clock;
#[path = "control/receiver.rs"]
mod receiver;
#[path = "control/socket.rs"]
mod socket;
#[path = "control/text.rs"]
mod text;

use std::time::Duration;

use dstream_core::{
    Config, Time,
    source::{Block, Source, SourceContext},
    testing::{ManualClock, next_batch},
};

const LONG: Duration = Duration::from_secs(10);

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// What a context gives its sources, with a clock that the test moves.
fn source_context(clock: &ManualClock, config: Config) -> SourceContext {
    SourceContext::new(config.clock(clock.clone()), Duration::from_secs(1))
}

/// The blocks of one batch, each with its lines.
fn lines<S: Source>(source: &mut S) -> Vec<Vec<String>>
where
    S::Block: for<'a> Block<Record<'a> = &'a str>,
{
    let mut blocks = next_batch(source, at(0)).expect("a receiver always has a batch");
    blocks.iter_mut().map(|block| block.records().map(str::to_owned).collect()).collect()
}
