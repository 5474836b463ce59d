//! A connection to another process, as timely's threads read and write it.
//!
//! Those threads panic where a connection fails, and believe every header. So what they are given never fails
//! and is always well formed: headers are checked here, and when the connection is lost, the message that was
//! being read is filled up with zeros, and the end of the stream that timely expects is put behind it. Who
//! waits for the process is told by its [`Mailbox`].

use std::{
    io::{self, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::Duration,
};

use timely_communication::allocator::zero_copy::stream::Stream;

use crate::mailbox::Mailbox;

/// The length of timely's header of a message: six numbers of eight bytes, the most significant first.
const HEADER: usize = 48;

/// The longest message, so that a damaged length does not reserve all memory there is.
const MAX_MESSAGE: u64 = 1 << 36;

/// One end of a connection to another process.
pub(crate) struct Link {
    socket: BufReader<TcpStream>,
    remote: usize,
    /// Where a message must be for.
    own: usize,
    timeout: Duration,
    mailbox: Arc<Mailbox>,
    header: [u8; HEADER],
    /// How much of the header timely has got.
    delivered: usize,
    /// How many bytes of the message come after it.
    left: u64,
    /// The last header has been read, or was made up.
    ended: bool,
}

impl Link {
    /// The connection of process `own` to `remote`, which is gone when nothing comes for `timeout`.
    pub(crate) fn new(
        socket: TcpStream,
        own: usize,
        remote: usize,
        timeout: Duration,
        mailbox: &Arc<Mailbox>,
    ) -> io::Result<Link> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(timeout))?;
        socket.set_write_timeout(Some(timeout))?;
        Ok(Link {
            socket: BufReader::with_capacity(1 << 16, socket),
            remote,
            own,
            timeout,
            mailbox: Arc::clone(mailbox),
            header: [0; HEADER],
            delivered: HEADER,
            left: 0,
            ended: false,
        })
    }

    fn lose(&self, why: String) {
        if self.mailbox.lose(self.remote, why) {
            // What still writes to it must not wait for ever.
            let _ = self.socket.get_ref().shutdown(Shutdown::Both);
        }
    }

    fn why(&self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("has said nothing for {:?}: it hangs, or can't be reached any more", self.timeout)
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "is gone".to_owned()
            }
            _ => format!("can't be reached any more: {error}"),
        }
    }

    /// Reads the header of the next message; the last one, if there is none.
    fn next_header(&mut self) {
        let mut header = [0; HEADER];
        self.left = match self.socket.read_exact(&mut header) {
            Ok(()) => match length(&header, self.own) {
                Some(0) => {
                    self.lose("has ended".to_owned());
                    0
                }
                Some(length) => length,
                None => {
                    self.lose("has sent something that is no message".to_owned());
                    header = [0; HEADER];
                    0
                }
            },
            Err(error) => {
                self.lose(self.why(&error));
                header = [0; HEADER];
                0
            }
        };
        self.ended = self.left == 0;
        (self.header, self.delivered) = (header, 0);
    }
}

/// The length of the message behind this header, if it is for process `own`.
fn length(header: &[u8; HEADER], own: usize) -> Option<u64> {
    let number = |at: usize| {
        header[at * 8..at * 8 + 8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (channel, lower, upper, length) = (number(0), number(2), number(3), number(4));
    let own = own as u64;
    let is_end = header.iter().all(|byte| *byte == 0);
    let is_message = channel == 0 && lower == own && upper == own + 1 && (1..=MAX_MESSAGE).contains(&length);
    (is_end || is_message).then_some(length)
}

impl Read for Link {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.delivered == HEADER && self.left == 0 {
            if self.ended {
                return Ok(0);
            }
            self.next_header();
        }
        if self.delivered < HEADER {
            let n = buf.len().min(HEADER - self.delivered);
            buf[..n].copy_from_slice(&self.header[self.delivered..self.delivered + n]);
            self.delivered += n;
            return Ok(n);
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let n = loop {
            match self.socket.read(&mut buf[..wanted]) {
                Ok(0) => {
                    self.lose("is gone".to_owned());
                    break None;
                }
                Ok(n) => break Some(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lose(self.why(&error));
                    break None;
                }
            }
        };
        let n = n.unwrap_or_else(|| {
            // Nobody reads it: the process is gone.
            buf[..wanted].fill(0);
            wanted
        });
        self.left -= n as u64;
        Ok(n)
    }
}

impl Write for Link {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.mailbox.is_lost(self.remote) {
            return Ok(buf.len());
        }
        match self.socket.get_mut().write(buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Ok(n) if n > 0 || buf.is_empty() => Ok(n),
            Ok(_) => {
                self.lose("is gone".to_owned());
                Ok(buf.len())
            }
            Err(error) => {
                self.lose(self.why(&error));
                Ok(buf.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Link {
    fn try_clone(&self) -> io::Result<Link> {
        let socket = self.socket.get_ref().try_clone()?;
        Link::new(socket, self.own, self.remote, self.timeout, &self.mailbox)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.get_ref().set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // The other side may have done so before.
        let _ = self.socket.get_ref().shutdown(how);
        Ok(())
    }
}
