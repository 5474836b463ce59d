//! The thread that serves the page.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    pin::Pin,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::serve::Listener;
use dstream_core::{Error, Result};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_io_timeout::TimeoutStream;

use crate::{Shared, access::Access, api, embed::Embed};

/// A client that has taken nothing for so long is dropped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// After what time an accept that failed, as when there are too many open files, is tried again.
const ACCEPT_DELAY: Duration = Duration::from_millis(200);

/// A page that is served; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An address that is taken.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: StdListener,
    pub(crate) address: SocketAddr,
}

/// Takes an address.
pub(crate) fn bind(address: &str) -> Result<Bound> {
    let refused = |error| Error::io(format_args!("the web page can't be served at `{address}`"), error);
    let listener = StdListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok(Bound { listener, address })
}

impl Server {
    /// Serves until this is dropped.
    pub(crate) fn start(bound: Bound, access: Access, embed: Embed, shared: Arc<Shared>) -> Result<Server> {
        let Bound { listener, address } = bound;
        let refused = |error| Error::io("the thread of the web page can't be started", error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            let app = api::router(shared, access, embed);
            tokio::select! {
                _ = axum::serve(Timed(listener), app) => {}
                _ = stopped => {}
            }
        };
        let thread = thread::Builder::new().name("dstream-ui".to_owned());
        let thread = thread.spawn(move || runtime.block_on(serve)).map_err(refused)?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A panic there is printed already.
            let _ = thread.join();
        }
    }
}

/// Drops clients that do not read.
struct Timed(TcpListener);

impl Listener for Timed {
    type Io = Pin<Box<TimeoutStream<TcpStream>>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.0.accept().await {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    let mut stream = TimeoutStream::new(stream);
                    stream.set_write_timeout(Some(WRITE_TIMEOUT));
                    return (Box::pin(stream), peer);
                }
                Err(error) => {
                    tracing::debug!("the web page has lost a client: {error}");
                    tokio::time::sleep(ACCEPT_DELAY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
