//! The supervisor of a receiver: it restarts the receiver with exponential back-off until the context stops.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering,
};

use super::{Receiver, ReceiverContext, context::Shared};
use crate::{
    Error,
    clock::CancellationToken,
    events::{ReceiverFailed, ReceiverStarted, ReceiverStopped},
    panics::panic_text,
};

/// Starts the receiver's thread, and returns a token that is cancelled when the thread has ended.
pub(super) fn spawn<R: Receiver>(
    receiver: R,
    context: ReceiverContext<R::Block>,
) -> io::Result<CancellationToken> {
    let ended = CancellationToken::new();
    let on_end = CancelOnDrop(ended.clone());
    let threads = context.shared.context.config.runtime.clone();
    threads.spawn(format!("dstream-{}", context.shared.name), move || {
        let _on_end = on_end;
        supervise(receiver, &context);
    })?;
    Ok(ended)
}

struct CancelOnDrop(CancellationToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn supervise<R: Receiver>(mut receiver: R, ctx: &ReceiverContext<R::Block>) {
    let Shared { name, context, stop, stored, .. } = &*ctx.shared;
    let config = &context.config;
    let mut failures = 0;
    while !stop.is_cancelled() {
        let source = || context.label.as_ref().unwrap_or(name).clone();
        let at = || context.clock.now();
        config.events.emit(|| ReceiverStarted { source: source(), at: at() });
        let outcome = catch_unwind(AssertUnwindSafe(|| receiver.run(ctx)));
        if stop.is_cancelled() {
            config.events.emit(|| ReceiverStopped { source: source(), at: at() });
            return;
        }
        let reason = match outcome {
            Ok(Ok(())) => "ended".to_owned(),
            Ok(Err(error)) => format!("failed: {error}"),
            Err(panic) => format!("panicked: {}", panic_text(&*panic)),
        };
        if stored.swap(false, Ordering::Relaxed) {
            failures = 0;
        }
        failures += 1;
        let delay = config.retry_delay(failures);
        crate::logs::warn!("receiver {name} {reason}; next try in {delay:?}");
        config.events.emit(|| ReceiverFailed {
            source: source(),
            at: at(),
            error: reason.clone(),
            next_try_in: delay,
        });
        config.reports.tell(&Error::source(name, reason));
        if !context.clock.wait_until(context.clock.now() + delay, stop) {
            config.events.emit(|| ReceiverStopped { source: source(), at: at() });
            return;
        }
    }
}
