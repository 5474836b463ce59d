//! `socket_text_stream`: lines of text from a TCP server.

use std::{
    error::Error as StdError,
    io::{self, ErrorKind, Read},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use bytes::BytesMut;

use super::TextBlock;
use crate::{Receiver, ReceiverContext, clock::Occasionally};

/// Connects to a TCP server and yields the lines of text that it sends.
///
/// If the server isn't there, or goes away, that is a warning, and the connection is tried again after a delay
/// that grows (see [`Config::restart_delay`](crate::Config::restart_delay)). A line longer than
/// [`Config::max_line_bytes`](crate::Config::max_line_bytes) is cut. If batches can't keep up, the server is slowed down.
///
/// ```no_run
/// use dstream::prelude::*;
///
/// let ssc = dstream::stream!(batch = 1s, {
///     let lines = socket_text_stream("localhost", 9999);
///     lines.flat_map(|line| line.split(' ')).count_by_value().print();
/// })?;
/// ssc.start()?;
/// ssc.await_termination()?;
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn socket_text_stream(host: impl Into<String>, port: u16) -> SocketTextStream {
    SocketTextStream { host: host.into(), port }
}

/// See [`socket_text_stream`].
#[derive(Clone, Debug)]
pub struct SocketTextStream {
    host: String,
    port: u16,
}

/// How long a read waits before it looks whether the context stops.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// How long one address may take to answer; the stop waits for a receiver longer than that.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is still read at a stop, from a server that never pauses: more than a kernel holds for one connection.
const READ_AT_STOP: usize = 8 << 20;

impl SocketTextStream {
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
}

impl Receiver for SocketTextStream {
    type Block = TextBlock;

    fn name(&self) -> String {
        format!("socket_text_stream({}:{})", self.host, self.port)
    }

    fn run(&mut self, ctx: &ReceiverContext<TextBlock>) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        tracing::info!("{} is connected", self.name());

        let mut lines = LineBuffer::new(ctx.config().max_line_bytes);
        let ended = receive(&mut stream, &mut lines, ctx);
        // The last line may lack its end.
        if let Some(rest) = lines.rest() {
            store(ctx, rest);
        }
        ended
    }
}

/// Reads until the server closes the connection or the context stops.
fn receive(
    stream: &mut TcpStream,
    lines: &mut LineBuffer,
    ctx: &ReceiverContext<TextBlock>,
) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let mut left_at_stop = READ_AT_STOP;
    let mut stopping = false;
    loop {
        if !stopping && ctx.is_stopping() {
            // What has arrived by now still counts; nothing more is waited for.
            stopping = true;
            stream.set_nonblocking(true)?;
        }
        match stream.read(lines.space()) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(n) => {
                if let Some(piece) = lines.filled(n) {
                    store(ctx, piece);
                }
                if stopping {
                    left_at_stop = left_at_stop.saturating_sub(n);
                    if left_at_stop == 0 {
                        return Ok(());
                    }
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if stopping {
                    return Ok(());
                }
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn store(ctx: &ReceiverContext<TextBlock>, piece: BytesMut) {
    ctx.extend(piece.len(), piece, TextBlock::extend, TextBlock::received);
}

/// Finds whole lines in what is read, without copying them.
///
/// All of `buffer` is initialised, which is what lets a socket read into it; the first `filled` bytes are a
/// line that has no end yet. Whole lines are split off the front, and the rest of the buffer goes on being used.
struct LineBuffer {
    buffer: BytesMut,
    filled: usize,
    max_line: usize,
}

impl LineBuffer {
    const SIZE: usize = 256 << 10;
    const SMALLEST_READ: usize = 4 << 10;

    fn new(max_line: usize) -> LineBuffer {
        // A character has up to four bytes.
        LineBuffer { buffer: BytesMut::new(), filled: 0, max_line: max_line.max(4) }
    }

    /// Where to read to; never empty.
    fn space(&mut self) -> &mut [u8] {
        // One byte more than a line may have, for its end: what fits into the buffer needs no cut.
        let size = Self::SIZE.max(2 * self.filled).min(self.max_line.saturating_add(1));
        if self.buffer.len() - self.filled < Self::SMALLEST_READ && self.buffer.len() < size {
            let mut larger = BytesMut::zeroed(size);
            larger[..self.filled].copy_from_slice(&self.buffer[..self.filled]);
            self.buffer = larger;
        }
        &mut self.buffer[self.filled..]
    }

    /// `n` bytes have been read: the lines that are whole now.
    fn filled(&mut self, n: usize) -> Option<BytesMut> {
        let new = self.filled..self.filled + n;
        self.filled = new.end;
        let end = match memchr::memrchr(b'\n', &self.buffer[new.clone()]) {
            Some(at) => new.start + at + 1,
            None if self.filled > self.max_line => self.cut(),
            None => return None,
        };
        self.filled -= end;
        Some(self.buffer.split_to(end))
    }

    /// What is left at the end.
    fn rest(&mut self) -> Option<BytesMut> {
        let rest = std::mem::take(&mut self.filled);
        (rest > 0).then(|| self.buffer.split_to(rest))
    }

    /// Where to cut the line that is too long: not inside a character.
    fn cut(&self) -> usize {
        static CUT: Occasionally = Occasionally::new();
        CUT.count(1, |n| {
            let max = self.max_line;
            tracing::warn!(
                "cut {n} lines of text longer than {max} bytes: what follows the cut is the next line \
                 (see `Config::max_line_bytes`)"
            );
        });
        let is_start = |at: &usize| self.buffer[*at] & 0b1100_0000 != 0b1000_0000;
        (self.max_line - 3..=self.max_line).rev().find(is_start).unwrap_or(self.max_line)
    }
}
