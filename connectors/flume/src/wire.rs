//! A connection: bytes of a client, inflated where they are compressed, read no faster than they are taken.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use dstream_core::clock::CancellationToken;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// How long a read waits before it looks whether the context stops.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a client may be silent between two requests: longer than agents are, so that only those are left
/// that have gone without a word.
const IDLE: Duration = Duration::from_secs(3600);
const CHUNK: usize = 16 << 10;

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The client has closed it, between two requests.
    Closed,
    /// The context stops.
    Stopped,
    /// It can't go on; why.
    Failed(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Failed(error.to_string())
    }
}

/// What a connection is read with.
pub(crate) struct Wire {
    stream: TcpStream,
    zlib: Option<Zlib>,
    stopping: CancellationToken,
    /// How long a request may take to arrive.
    patience: Duration,
    /// What has arrived; of that, up to `taken` is used up.
    buffer: Vec<u8>,
    taken: usize,
    deadline: Instant,
}

struct Zlib {
    inflate: Decompress,
    deflate: Compress,
    /// Compressed bytes that are not inflated yet.
    input: Vec<u8>,
    used: usize,
    /// Whether there may be more of it than there was space for.
    full: bool,
}

impl Wire {
    pub(crate) fn new(
        stream: TcpStream,
        compressed: bool,
        stopping: CancellationToken,
        patience: Duration,
    ) -> io::Result<Wire> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(patience))?;
        let zlib = compressed.then(|| Zlib {
            inflate: Decompress::new(true),
            deflate: Compress::new(Compression::default(), true),
            input: Vec::new(),
            used: 0,
            full: false,
        });
        let deadline = Instant::now();
        Ok(Wire { stream, zlib, stopping, patience, buffer: Vec::new(), taken: 0, deadline })
    }

    /// Waits for the first byte of a request. From then on, the client has to hurry.
    pub(crate) fn begin(&mut self) -> Result<(), End> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        // What one large request has taken is not kept for the next ones.
        self.buffer.shrink_to(4 * CHUNK);
        self.deadline = Instant::now() + IDLE;
        if self.buffer.is_empty() && !self.fill()? {
            return Err(End::Closed);
        }
        self.deadline = Instant::now() + self.patience;
        Ok(())
    }

    /// The next bytes of the request. The caller has checked how many that may be; memory is used for those
    /// that arrive.
    pub(crate) fn take(&mut self, length: usize) -> Result<&[u8], End> {
        while self.buffer.len() - self.taken < length {
            if !self.fill()? {
                return Err(End::Failed("the connection ends in the middle of a request".to_owned()));
            }
        }
        let from = self.taken;
        self.taken += length;
        Ok(&self.buffer[from..self.taken])
    }

    pub(crate) fn take_i32(&mut self) -> Result<i32, End> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(i32::from_be_bytes(bytes))
    }

    /// More bytes into the buffer; `false` is the end of the connection.
    fn fill(&mut self) -> Result<bool, End> {
        let had = self.buffer.len();
        while self.buffer.len() == had {
            let Some(zlib) = &mut self.zlib else {
                let read = read(&mut self.stream, &self.stopping, self.deadline, &mut self.buffer)?;
                return Ok(read);
            };
            if zlib.used == zlib.input.len() && !zlib.full {
                zlib.input.clear();
                zlib.used = 0;
                if !read(&mut self.stream, &self.stopping, self.deadline, &mut zlib.input)? {
                    return Ok(false);
                }
            }
            zlib.inflate(&mut self.buffer)?;
        }
        Ok(true)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        match &mut self.zlib {
            None => self.stream.write_all(bytes)?,
            Some(zlib) => {
                let compressed = zlib.deflate(bytes)?;
                self.stream.write_all(&compressed)?;
            }
        }
        Ok(())
    }
}

/// Appends what the stream has; `false` is its end.
fn read(
    stream: &mut TcpStream,
    stopping: &CancellationToken,
    deadline: Instant,
    into: &mut Vec<u8>,
) -> Result<bool, End> {
    let mut chunk = [0; CHUNK];
    loop {
        if stopping.is_cancelled() {
            return Err(End::Stopped);
        }
        match stream.read(&mut chunk) {
            Ok(read) => {
                into.extend_from_slice(&chunk[..read]);
                if Instant::now() > deadline {
                    return Err(End::Failed("a request takes too long to arrive".to_owned()));
                }
                return Ok(read > 0);
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if Instant::now() > deadline {
                    return Err(End::Failed("nothing has come for too long".to_owned()));
                }
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
}

impl Zlib {
    /// Inflates a part of the input.
    fn inflate(&mut self, into: &mut Vec<u8>) -> Result<(), End> {
        let failed = |what: &str| {
            End::Failed(format!(
                "what it sends is not compressed by zlib ({what}), as `Flume::compressed(true)` expects: set \
                 `compression-type = deflate` at the agent, or leave it out here"
            ))
        };
        into.reserve(CHUNK);
        let (input, before) = (&self.input[self.used..], self.inflate.total_in());
        let space = into.len();
        let status = self.inflate.decompress_vec(input, into, FlushDecompress::Sync);
        let status = status.map_err(|error| failed(&error.to_string()))?;
        let read = usize::try_from(self.inflate.total_in() - before).unwrap_or(input.len());
        self.used += read;
        let was_full = std::mem::replace(&mut self.full, into.len() == into.capacity());
        if read == 0 && into.len() == space && !was_full {
            return Err(failed(if status == Status::StreamEnd {
                "it has ended"
            } else {
                "it does not go on"
            }));
        }
        Ok(())
    }

    fn deflate(&mut self, bytes: &[u8]) -> Result<Vec<u8>, End> {
        let failed = |error: flate2::CompressError| End::Failed(format!("zlib: {error}"));
        let start = self.deflate.total_in();
        let mut out = Vec::with_capacity(bytes.len() + CHUNK);
        loop {
            let done = usize::try_from(self.deflate.total_in() - start).unwrap_or(bytes.len());
            self.deflate.compress_vec(&bytes[done..], &mut out, FlushCompress::Sync).map_err(failed)?;
            if out.len() < out.capacity() {
                return Ok(out);
            }
            out.reserve(CHUNK);
        }
    }
}
