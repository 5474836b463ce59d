//! The server: it accepts clients and reads their requests, on the receiver's thread.

use std::{
    convert::Infallible,
    error::Error as StdError,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use dstream_core::receiver::ReceiverContext;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::Semaphore,
    task::JoinSet,
    time,
};

use crate::{
    format::{Format, private::Read},
    request::Requests,
    source::Rules,
};

/// How long the head of a request may take, and how long a client may be silent between two requests.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long a stop waits for requests that are being answered.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// How long accepting pauses when it has failed, as it does without file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How many requests may wait for the log or a parser at once; further ones wait for one of these.
const MAX_STORING: usize = 64;
const MAX_HEAD_BYTES: usize = 32 << 10;

pub(crate) fn serve<F: Format>(
    addresses: &[SocketAddr],
    rules: Arc<Rules>,
    ctx: &ReceiverContext<<F as Read>::Block>,
    on_bound: impl FnOnce(SocketAddr),
) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let listener = StdListener::bind(addresses).map_err(|error| format!("can't listen: {error}"))?;
    listener.set_nonblocking(true)?;
    on_bound(listener.local_addr()?);
    let runtime =
        runtime::Builder::new_current_thread().enable_all().max_blocking_threads(MAX_STORING).build()?;
    let result = runtime.block_on(accept::<F>(listener, rules, ctx));
    // What still waits for the log has been told to stop.
    runtime.shutdown_timeout(STOP_PATIENCE);
    Ok(result?)
}

async fn accept<F: Format>(
    listener: StdListener,
    rules: Arc<Rules>,
    ctx: &ReceiverContext<<F as Read>::Block>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let clients = Arc::new(Semaphore::new(rules.limits.clients.min(Semaphore::MAX_PERMITS)));
    let requests = Arc::new(Requests::<F>::new(rules, ctx.clone()));
    let mut connections = JoinSet::new();
    let mut failing = false;
    loop {
        let next = async {
            let place = Arc::clone(&clients).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = ctx.stopping().cancelled() => break,
            // The ends of connections are taken note of, so that they are not kept.
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                let (requests, ctx) = (Arc::clone(&requests), ctx.clone());
                connections.spawn(async move {
                    connection(stream, peer, requests, &ctx).await;
                    drop(place);
                });
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    ctx.report_error(format_args!("clients can't be accepted: {error}; they have to wait"));
                }
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Nobody connects any more; requests that are being answered are.
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = time::timeout(STOP_PATIENCE, ended).await;
    Ok(())
}

async fn connection<F: Format>(
    stream: TcpStream,
    peer: SocketAddr,
    requests: Arc<Requests<F>>,
    ctx: &ReceiverContext<<F as Read>::Block>,
) {
    let service = service_fn(|request| {
        let requests = Arc::clone(&requests);
        async move { Ok::<_, Infallible>(requests.answer(request).await.into_response()) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = ctx.stopping().cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that goes away, or sends what is no request, concerns only itself.
    if let Err(error) = ended {
        tracing::debug!("the connection of {peer} has ended: {error}");
    }
}
