//! Where the requests run: one tokio runtime of the process, so that any thread can wait for them.

use std::{
    future::Future,
    io,
    sync::{OnceLock, mpsc},
};

use tokio::runtime::{Builder, Runtime};

fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let mut threads = Builder::new_multi_thread();
        let threads = threads.worker_threads(2).thread_name("dstream-store").enable_all();
        threads.build().map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|error| io::Error::other(format!("can't start threads for requests: {error}")))
}

/// Runs a request and waits for it. Also from a thread that runs async code, which `block_on` refuses.
pub(crate) fn wait<T: Send + 'static>(request: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let (done, outcome) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Nobody waits any more only if the thread that asked has ended.
        let _ = done.send(request.await);
    });
    outcome.recv().map_err(|_| io::Error::other("the request has panicked"))
}
