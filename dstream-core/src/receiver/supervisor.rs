//! Runs a receiver again and again until it is to stop.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering,
};

use super::{Receiver, ReceiverContext, context::Shared};
use crate::{
    Error,
    clock::Signal,
    events::{ReceiverFailed, ReceiverStarted, ReceiverStopped},
    panics::panic_text,
};

/// Starts the receiver's thread. The signal is set when the thread ends.
pub(super) fn spawn<R: Receiver>(receiver: R, context: ReceiverContext<R::Block>) -> io::Result<Signal> {
    let ended = Signal::new();
    let on_end = SetOnDrop(ended.clone());
    let threads = context.shared.context.config.runtime.clone();
    threads.spawn(format!("dstream-{}", context.shared.name), move || {
        let _on_end = on_end;
        supervise(receiver, &context);
    })?;
    Ok(ended)
}

struct SetOnDrop(Signal);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

fn supervise<R: Receiver>(mut receiver: R, ctx: &ReceiverContext<R::Block>) {
    let Shared { name, context, stop, stored, .. } = &*ctx.shared;
    let config = &context.config;
    let mut delay = config.restart_delay;
    while !stop.is_set() {
        let source = || name.clone();
        let at = || context.clock.now();
        config.events.emit(|| ReceiverStarted { source: source(), at: at() });
        let outcome = catch_unwind(AssertUnwindSafe(|| receiver.run(ctx)));
        if stop.is_set() {
            config.events.emit(|| ReceiverStopped { source: source(), at: at() });
            return;
        }
        let reason = match outcome {
            Ok(Ok(())) => "ended".to_owned(),
            Ok(Err(error)) => format!("failed: {error}"),
            Err(panic) => format!("panicked: {}", panic_text(&*panic)),
        };
        if stored.swap(false, Ordering::Relaxed) {
            delay = config.restart_delay;
        }
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
        delay = config.next_delay(delay);
    }
}
