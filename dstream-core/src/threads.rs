//! The threads of a context. One that ends by a panic ends the context, with an error that says so: nothing
//! else would do its work, and whoever waits for the context would wait for ever.

use std::{
    any::Any,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    thread::{Builder, JoinHandle},
};

use crate::{logs, panics::panic_text};

type OnPanic = Box<dyn Fn(ThreadPanic) + Send + Sync>;

/// A thread of the runtime has ended by a panic.
#[derive(Clone, Debug)]
pub(crate) struct ThreadPanic {
    /// The name of the thread.
    pub(crate) thread: String,
    /// What the panic said.
    pub(crate) message: String,
}

impl fmt::Display for ThreadPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ThreadPanic { thread, message } = self;
        write!(f, "the thread `{thread}` has ended by a panic, which stops the context: {message}")
    }
}

/// Starts threads, and tells the context when one of them has ended by a panic. Clones belong to the same
/// context.
#[derive(Clone, Default)]
pub(crate) struct Threads(Arc<OnceLock<OnPanic>>);

impl Threads {
    /// Calls `f`, on the thread that has panicked and as its last act, with the error that says so.
    pub(crate) fn on_panic(&self, f: impl Fn(ThreadPanic) + Send + Sync + 'static) {
        // Threads belong to one context, which says this once.
        let _ = self.0.set(Box::new(f));
    }

    /// Starts a thread of the runtime.
    #[expect(clippy::disallowed_methods, reason = "this is what the others are to call")]
    pub(crate) fn spawn(
        &self,
        name: impl Into<String>,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let name = name.into();
        Builder::new().name(name.clone()).spawn(self.guard(name, body))
    }

    /// `body` as a thread of the runtime with this name must run it.
    pub(crate) fn guard<'a>(
        &self,
        name: String,
        body: impl FnOnce() + Send + 'a,
    ) -> impl FnOnce() + Send + 'a {
        let threads = self.clone();
        move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
                threads.panicked(name, &*panic);
            }
        }
    }

    /// Tells the context that a thread of it can't do its work any more.
    pub(crate) fn panicked(&self, thread: String, panic: &(dyn Any + Send)) {
        let error = ThreadPanic { thread, message: panic_text(panic) };
        logs::error!("{error}");
        if let Some(on_panic) = self.0.get() {
            on_panic(error);
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_panic_is_told_with_the_name_of_the_thread() {
        let (told, errors) = mpsc::channel();
        let threads = Threads::default();
        threads.on_panic(move |error| drop(told.send(error.to_string())));
        let thread = threads.spawn("dstream-test", || std::panic::panic_any("gone".to_owned())).unwrap();
        thread.join().unwrap();
        let error = errors.recv().unwrap();
        assert!(error.contains("`dstream-test`") && error.ends_with("gone"), "{error}");
        threads.spawn("dstream-fine", || {}).unwrap().join().unwrap();
        assert!(errors.try_recv().is_err());
    }
}
