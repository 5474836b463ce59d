//! Where the requests run: one tokio runtime of the process, so that any thread can wait for them.

use std::{
    future::Future,
    sync::{OnceLock, mpsc},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// The runtime, or why it can't be started.
fn runtime() -> Result<&'static Runtime, String> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let mut threads = Builder::new_multi_thread();
        let threads = threads.worker_threads(2).thread_name("dstream-kinesis").enable_all();
        threads.build().map_err(|error| format!("can't start threads for requests: {error}"))
    });
    made.as_ref().map_err(Clone::clone)
}

/// Runs a task beside everything else.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<JoinHandle<()>, String> {
    Ok(runtime()?.spawn(task))
}

/// Runs requests and waits for them. Also from a thread that runs async code, which `block_on` refuses.
pub(crate) fn wait<T: Send + 'static>(
    requests: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    let (done, outcome) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Nobody waits any more only if the thread that asked has ended.
        let _ = done.send(requests.await);
    });
    outcome.recv().map_err(|_| "the thread for requests has panicked".to_owned())
}
