//! The one async runtime of a context, for outputs that are written with async code.

use std::fmt;
#[cfg(feature = "async")]
use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

#[cfg(feature = "async")]
use tokio::runtime::{Builder, Handle, Runtime};

#[cfg(feature = "async")]
use crate::{Error, Result, clock::CancellationToken, sync::Unpoisoned};

/// A tokio runtime that begins with its first use, and ends, with all that was spawned on it, when the
/// context and its outputs are gone. Without the feature `async`, nothing.
#[derive(Default)]
pub(crate) struct AsyncRuntime(#[cfg(feature = "async")] Mutex<Option<Runtime>>);

#[cfg(feature = "async")]
impl AsyncRuntime {
    /// Runs a future to its end on the caller's thread, where it finds the runtime; `None` if `stop` was
    /// cancelled while it waited. It is dropped then.
    ///
    /// Not by `Handle::block_on`, which panics where the caller is inside of another runtime, as in a
    /// `#[tokio::main]` that stops the context.
    pub(crate) fn block_on<F: Future>(
        &self,
        stop: &CancellationToken,
        future: F,
    ) -> Result<Option<F::Output>> {
        let handle = self.handle()?;
        let _inside = handle.enter();
        let (mut future, mut stopped) = (pin!(future), pin!(stop.cancelled()));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(Some(output));
            }
            if stopped.as_mut().poll(&mut context).is_ready() {
                return Ok(None);
            }
            thread::park();
        }
    }

    fn handle(&self) -> Result<Handle> {
        let mut runtime = self.0.lock().unpoisoned();
        if let Some(runtime) = &*runtime {
            return Ok(runtime.handle().clone());
        }
        // The futures of outputs run on the threads of the context; these drive timers and sockets, and what
        // is spawned.
        let new =
            Builder::new_multi_thread().worker_threads(2).thread_name("dstream-async").enable_all().build();
        let new = new.map_err(|error| Error::io("the async runtime can't be started", error))?;
        Ok(runtime.insert(new).handle().clone())
    }
}

#[cfg(feature = "async")]
impl Drop for AsyncRuntime {
    fn drop(&mut self) {
        // Without a wait, which would panic inside of another runtime.
        if let Some(runtime) = self.0.get_mut().unpoisoned().take() {
            runtime.shutdown_background();
        }
    }
}

/// Wakes the thread that waits for a future.
#[cfg(feature = "async")]
struct Unpark(Thread);

#[cfg(feature = "async")]
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl fmt::Debug for AsyncRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AsyncRuntime")
    }
}
