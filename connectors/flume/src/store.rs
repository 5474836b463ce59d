//! Storing the events of a request, before it is answered.

use std::time::Duration;

use dstream_core::receiver::ReceiverContext;

use crate::block::FlumeBlock;

/// How long a request waits for room: less than the time in which agents expect an answer, 20 seconds unless
/// they are set up otherwise. What is refused is not stored, while what is answered too late would be twice.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Whether the events are in the log.
pub(crate) fn store(mut block: FlumeBlock, ctx: &ReceiverContext<FlumeBlock>) -> bool {
    let stopping = ctx.stopping();
    let mut waited = Duration::ZERO;
    while !ctx.is_stopping() && waited < PATIENCE {
        match ctx.try_store_block(block) {
            Ok(stored) => return stored,
            Err(back) => block = back,
        }
        stopping.wait_timeout(PAUSE);
        waited += PAUSE;
    }
    false
}
