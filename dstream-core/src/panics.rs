//! Panics of the user's code as values, with the place that they came from.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    error::Error as StdError,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Once},
};

/// A panic of the user's code, with the place that only the panic hook is told.
#[derive(Debug)]
pub(crate) struct Caught {
    pub(crate) message: String,
    pub(crate) place: Option<(String, u32, u32)>,
    /// If it was no panic, the error.
    pub(crate) cause: Option<Arc<dyn StdError + Send + Sync>>,
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<(String, u32, u32)>> = const { RefCell::new(None) };
}

impl Caught {
    /// What the panic said.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Hands the panic on to the [`catch`] around the caller, which finds the place as if it had happened on
    /// this thread: the payload for `resume_unwind`.
    pub(crate) fn rethrow(self) -> Box<dyn Any + Send> {
        PLACE.with(|p| *p.borrow_mut() = self.place);
        Box::new(self.message)
    }
}

/// Whether a panic on this thread would be caught by [`catch`].
pub(crate) fn is_catching() -> bool {
    CATCHING.get()
}

/// Runs `f`; a panic becomes a value, with its place, and prints nothing: it is reported as the batch's
/// failure.
///
/// Only the panic hook is told the place. So the first call puts a hook around the process's, for good: it
/// keeps the place of a panic that this function catches, and calls the one before it for every other
/// (`StreamingContext` documents it). It can't be taken out again, since somebody may have put another one
/// around it.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> std::result::Result<T, Caught> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CATCHING.get() {
                let place = info.location().map(|l| (l.file().to_owned(), l.line(), l.column()));
                PLACE.with(|p| *p.borrow_mut() = place);
            } else {
                before(info);
            }
        }));
    });
    let outer = CATCHING.replace(true);
    // What the closure leaves half done is dropped with the batch.
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    CATCHING.set(outer);
    outcome.map_err(|panic| Caught {
        message: panic_text(&*panic),
        place: PLACE.with(|p| p.borrow_mut().take()),
        cause: None,
    })
}

/// The text of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
