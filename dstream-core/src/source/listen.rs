//! `listen_text_stream`: lines of text from many clients that connect to us.

use std::{
    fmt,
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::{
    TextBlock,
    lines::LineBuffer,
    tcp::{Fault, receive},
};
use crate::{
    clock::Throttled,
    receiver::{Receiver, ReceiverContext},
};

/// Listens on a TCP address, such as `"0.0.0.0:9999"`, and yields the lines of text that clients send.
///
/// The lines of a client stay in order; those of different clients mix. What a client sent last is a line
/// also without its end. If batches can't keep up, clients are slowed down. An address that can't be had is a
/// warning, and is tried again after a delay that grows (see
/// [`Config::restart_delay`](crate::Config::restart_delay)).
///
/// ```
/// use dstream::prelude::*;
/// use std::{io::Write, net::TcpStream, sync::mpsc};
///
/// let (bound, address) = mpsc::channel();
/// let clients = listen_text_stream("127.0.0.1:0").on_bound(move |address| {
///     let _ = bound.send(address);
/// });
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 100ms, {
///     clients.collect_to(&out);
/// })?;
/// ssc.start()?;
/// let mut client = TcpStream::connect(address.recv()?)?;
/// writeln!(client, "hello")?;
/// drop(client);
/// # while !out.values().concat().contains(&"hello".into())
/// #     && out.wait_for(out.values().len() + 1, std::time::Duration::from_secs(9)) {}
/// ssc.stop_gracefully();
/// assert_eq!(out.values().concat(), ["hello"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn listen_text_stream(address: impl Into<String>) -> ListenTextStream {
    ListenTextStream { address: address.into(), max_clients: 1024, on_bound: None }
}

/// See [`listen_text_stream`].
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
pub struct ListenTextStream {
    address: String,
    max_clients: usize,
    on_bound: Option<Box<dyn FnMut(SocketAddr) + Send>>,
}

impl ListenTextStream {
    /// How many clients may be connected; the next ones wait until one leaves. Each has a thread, and a
    /// buffer of 16 KiB or its longest line. Default: 1,024.
    pub fn max_clients(mut self, clients: usize) -> Self {
        self.max_clients = clients.max(1);
        self
    }

    /// Calls `f` with the address that is listened on, each time it has been bound: with port 0 the system
    /// chooses one.
    pub fn on_bound(mut self, f: impl FnMut(SocketAddr) + Send + 'static) -> Self {
        self.on_bound = Some(Box::new(f));
        self
    }
}

impl fmt::Debug for ListenTextStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenTextStream")
            .field("address", &self.address)
            .field("max_clients", &self.max_clients)
            .finish_non_exhaustive()
    }
}

/// How long it may take until a client is noticed, or a stop: the standard library can't wait for both.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Of one client; there may be many.
const BUFFER: usize = 16 << 10;
const STACK: usize = 256 << 10;

impl Receiver for ListenTextStream {
    type Block = TextBlock;

    fn name(&self) -> String {
        format!("listen_text_stream({})", self.address)
    }

    fn run(&mut self, ctx: &ReceiverContext<TextBlock>) -> Result<(), Fault> {
        let listener = TcpListener::bind(&self.address).map_err(|error| format!("can't listen: {error}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        crate::logs::info!("{} listens on {address}", self.name());
        if let Some(on_bound) = &mut self.on_bound {
            on_bound(address);
        }
        let clients = AtomicUsize::new(0);
        // Leaves when the last client's thread has ended.
        thread::scope(|scope| {
            while !ctx.is_stopping() {
                if clients.load(Ordering::SeqCst) >= self.max_clients {
                    static FULL: Throttled = Throttled::new();
                    FULL.count(1, |_| {
                        crate::logs::warn!(
                            "{} has {} clients: more have to wait",
                            self.name(),
                            self.max_clients
                        )
                    });
                    ctx.pause(ACCEPT_PAUSE);
                    continue;
                }
                let accepted = listener.accept().and_then(|(stream, peer)| {
                    let client = Client::new(&clients);
                    let name = format!("dstream-{peer}");
                    let serve = move || client.serve(stream, peer, ctx);
                    let serve = ctx.config().runtime.guard(name.clone(), serve);
                    #[expect(clippy::disallowed_methods, reason = "scoped, with a small stack")]
                    thread::Builder::new().stack_size(STACK).name(name).spawn_scoped(scope, serve)
                });
                match accepted {
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock => ctx.pause(ACCEPT_PAUSE),
                    Err(e) => {
                        // Such as too many open files: it may pass.
                        static REFUSED: Throttled = Throttled::new();
                        REFUSED.count(1, |n| {
                            ctx.report_error(format_args!("{n} clients could not be accepted: {e}"))
                        });
                        ctx.pause(ACCEPT_PAUSE);
                    }
                }
            }
        });
        Ok(())
    }
}

/// Counts as a client until it is dropped, also by a panic.
struct Client<'a>(&'a AtomicUsize);

impl<'a> Client<'a> {
    fn new(clients: &'a AtomicUsize) -> Client<'a> {
        clients.fetch_add(1, Ordering::SeqCst);
        Client(clients)
    }

    fn serve(&self, mut stream: TcpStream, peer: SocketAddr, ctx: &ReceiverContext<TextBlock>) {
        let mut lines = LineBuffer::with_size(BUFFER, ctx.config().max_line_bytes);
        // On some systems a connection inherits this from its listener.
        let received = stream
            .set_nonblocking(false)
            .map_err(Fault::from)
            .and_then(|()| receive(&mut stream, &mut lines, ctx));
        if let Err(error) = received {
            ctx.report_error(format_args!("client {peer}: {error}"));
        }
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
