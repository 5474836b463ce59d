//! The server: a thread accepts agents, each has one of its own.

use std::{
    error::Error as StdError,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use dstream_core::receiver::ReceiverContext;

use crate::{
    avro,
    block::FlumeBlock,
    settings::{Protocol, Settings},
    thrift,
    wire::{End, Wire},
};

/// How long it may take until an agent is noticed, or a stop: the standard library can't wait for both.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How long a request may take to arrive, and its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// What holds for a connection.
pub(crate) struct Connection {
    pub(crate) max_request: usize,
}

pub(crate) fn serve(
    settings: &Settings,
    ctx: &ReceiverContext<FlumeBlock>,
    on_bound: impl FnOnce(SocketAddr),
) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let listener = TcpListener::bind(&settings.address).map_err(|error| format!("can't listen: {error}"))?;
    listener.set_nonblocking(true)?;
    on_bound(listener.local_addr()?);
    let stopping = ctx.stopping();
    let clients = AtomicUsize::new(0);
    let (mut full, mut failing) = (false, false);
    // Leaves when the last agent's thread has ended.
    thread::scope(|scope| {
        while !ctx.is_stopping() {
            if clients.load(Ordering::SeqCst) >= settings.max_clients {
                if !std::mem::replace(&mut full, true) {
                    let most = settings.max_clients;
                    ctx.report_error(format_args!("{most} agents are connected: more have to wait"));
                }
                stopping.wait_timeout(ACCEPT_PAUSE);
                continue;
            }
            full = false;
            let accepted = listener.accept().and_then(|(stream, peer)| {
                let client = Client::new(&clients);
                let serve = move || client.serve(stream, peer, settings, ctx);
                thread::Builder::new().name(format!("dstream-{peer}")).spawn_scoped(scope, serve)
            });
            match accepted {
                Ok(_) => failing = false,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    stopping.wait_timeout(ACCEPT_PAUSE);
                }
                Err(e) => {
                    // Such as too many open files: it may pass.
                    if !std::mem::replace(&mut failing, true) {
                        ctx.report_error(format_args!("agents can't be accepted: {e}; they have to wait"));
                    }
                    stopping.wait_timeout(ACCEPT_PAUSE);
                }
            }
        }
    });
    Ok(())
}

/// Counts as a client until it is dropped, also by a panic.
struct Client<'a>(&'a AtomicUsize);

impl<'a> Client<'a> {
    fn new(clients: &'a AtomicUsize) -> Client<'a> {
        clients.fetch_add(1, Ordering::SeqCst);
        Client(clients)
    }

    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        settings: &Settings,
        ctx: &ReceiverContext<FlumeBlock>,
    ) {
        tracing::info!("{peer} is connected");
        match connection(stream, settings, ctx) {
            End::Closed => tracing::info!("{peer} has left"),
            End::Stopped => {}
            End::Failed(why) => ctx.report_error(format_args!("agent {peer}: {why}")),
        }
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn connection(stream: TcpStream, settings: &Settings, ctx: &ReceiverContext<FlumeBlock>) -> End {
    let connection = Connection { max_request: settings.max_request };
    let wire = Wire::new(stream, settings.compressed, ctx.stopping(), PATIENCE);
    let served =
        wire.map_err(|error: io::Error| End::from(error)).and_then(|mut wire| match settings.protocol {
            Protocol::Avro => avro::serve(&mut wire, &connection, ctx),
            Protocol::Thrift => thrift::serve(&mut wire, &connection, ctx),
        });
    served.err().unwrap_or(End::Closed)
}
