//! SIGINT and SIGTERM: the first stops the started context gracefully, a second one ends the process.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    iterator::Signals,
    low_level::signal_name,
};

use super::inner::ACTIVE;
use crate::{Error, Result, sync::Unpoisoned, threads::Threads};

const THREAD: &str = "dstream-signals";

/// While this is set, a signal does what it does without us. The first signal sets it for the second.
pub(super) static DEFAULT: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));
/// Handlers stay for the life of the process, since the system's own can't be put back under them.
static INSTALLED: Mutex<bool> = Mutex::new(false);

/// From now on, until [`disable`], signals stop the active context.
pub(super) fn enable() -> Result<()> {
    let mut installed = INSTALLED.lock().unpoisoned();
    if !*installed {
        install().map_err(|error| Error::io("the handling of SIGINT and SIGTERM can't be set up", error))?;
        *installed = true;
    }
    DEFAULT.store(false, Ordering::SeqCst);
    Ok(())
}

/// From now on, signals do what they do without us.
pub(super) fn disable() {
    DEFAULT.store(true, Ordering::SeqCst);
}

fn install() -> io::Result<()> {
    // Handlers run in the order in which they are registered.
    for signal in [SIGINT, SIGTERM] {
        // In this order: the signal that sets the flag must not be the one that sees it.
        flag::register_conditional_default(signal, Arc::clone(&DEFAULT))?;
        flag::register(signal, Arc::clone(&DEFAULT))?;
    }
    // Last: the stop that this begins sets the flag as well, and may end before the handlers behind it have
    // run.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    // It serves every context of the process, one after the other: a panic is that of the context that stops.
    Threads::default().spawn(THREAD, move || {
        for signal in signals.forever() {
            let active = ACTIVE.lock().unpoisoned().as_ref().and_then(Weak::upgrade);
            let Some(inner) = active else { continue };
            let name = signal_name(signal).unwrap_or("a signal");
            crate::logs::info!("{name}: stopping gracefully; a second one stops at once");
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| inner.stop(true))) {
                inner.config.runtime.panicked(THREAD.to_owned(), &*panic);
            }
        }
    })?;
    Ok(())
}
