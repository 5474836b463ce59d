//! The common part of sources that read from TCP connections.

use std::{
    error::Error as StdError,
    io::{self, ErrorKind, Read},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use crate::receiver::{ReceiverContext, WalBlock};

/// An error that ends the run of a receiver.
pub(super) type Fault = Box<dyn StdError + Send + Sync>;

/// How long a read waits before it looks whether the context stops.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// How long one address may take to answer; the stop waits for a receiver longer than that.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is still read at a stop, from a server that never pauses: more than a kernel holds for one
/// connection.
const READ_AT_STOP: usize = 8 << 20;

/// Cuts what a connection brings into records, and stores them.
pub(super) trait Framing<B> {
    /// Where to read to; never empty.
    fn space(&mut self) -> &mut [u8];

    /// `n` bytes have been read into the space.
    fn filled(&mut self, n: usize, ctx: &ReceiverContext<B>) -> Result<(), Fault>;

    /// Nothing more will come: what is left may be a last record without its end.
    fn ended(&mut self, ctx: &ReceiverContext<B>) -> Result<(), Fault>;
}

/// A server to connect to.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Server {
    /// The first of the host's addresses that answers; the last one's error if none does.
    fn connect(&self) -> io::Result<TcpStream> {
        let mut outcome = Err(io::Error::new(ErrorKind::NotFound, "the host has no address"));
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            outcome = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// One connection, from its beginning to its end; that the server ends it is a fault too.
    pub(super) fn receive<B: WalBlock>(
        &self,
        name: &str,
        framing: &mut impl Framing<B>,
        ctx: &ReceiverContext<B>,
    ) -> Result<(), Fault> {
        let mut stream = self.connect()?;
        crate::logs::info!("{name} is connected");
        match receive(&mut stream, framing, ctx)? {
            End::Closed => Err("the server closed the connection".into()),
            End::Stopped => Ok(()),
        }
    }
}

/// Why the reading of a connection has ended.
pub(super) enum End {
    /// The other side has closed it.
    Closed,
    /// The context stops.
    Stopped,
}

/// Reads until the other side closes the connection or the context stops. What came before a fault is stored.
pub(super) fn receive<B: WalBlock>(
    stream: &mut TcpStream,
    framing: &mut impl Framing<B>,
    ctx: &ReceiverContext<B>,
) -> Result<End, Fault> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut left_at_stop = READ_AT_STOP;
    let mut stopping = false;
    let end = loop {
        if !stopping && ctx.is_stopping() {
            // What has arrived by now still counts; nothing more is waited for.
            stopping = true;
            stream.set_nonblocking(true)?;
        }
        match stream.read(framing.space()) {
            Ok(0) => break Ok(End::Closed),
            Ok(n) => {
                // Bytes that make no sense end the connection: nobody knows where the next record begins.
                framing.filled(n, ctx)?;
                if stopping {
                    left_at_stop = left_at_stop.saturating_sub(n);
                    if left_at_stop == 0 {
                        break Ok(End::Stopped);
                    }
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if stopping {
                    break Ok(End::Stopped);
                }
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => break Err(e.into()),
        }
    };
    framing.ended(ctx)?;
    end
}
