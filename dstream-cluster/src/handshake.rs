//! How two processes make sure that they belong together.
//!
//! | bytes | from each side, at once |
//! |---|---|
//! | 8 | `DSTRCLU1` |
//! | 4 | how many processes there are, little-endian like all numbers |
//! | 4 | which one the sender is |
//! | 32 | a random number |
//!
//! and then 32 bytes: the HMAC-SHA-256, under the secret, of who sends it, who it is for, the receiver's
//! number and the sender's. Nobody who does not know the secret can make it or use one that he has seen; the
//! secret itself is never sent.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const MAGIC: &[u8; 8] = b"DSTRCLU1";
const HELLO: usize = 8 + 4 + 4 + 32;
const PROOF: usize = 32;

/// How long the other side may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Who one side is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) index: usize,
    pub(crate) processes: usize,
    pub(crate) secret: &'a [u8],
}

/// Why the other side is none of the processes of this program.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It may be a process that starts or ends: try again.
    Io(io::Error),
    /// It will be refused again; the text is to be read behind its address.
    Stranger(String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Io(error)
    }
}

/// Finds out which process is at the other end.
pub(crate) fn shake(socket: &TcpStream, own: Member<'_>) -> Result<usize, Refused> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
    let mut hello = [0; HELLO];
    hello[..8].copy_from_slice(MAGIC);
    hello[8..12].copy_from_slice(&(own.processes as u32).to_le_bytes());
    hello[12..16].copy_from_slice(&(own.index as u32).to_le_bytes());
    hello[16..].copy_from_slice(&nonce);
    let mut stream = socket;
    stream.write_all(&hello)?;

    let mut theirs = [0; HELLO];
    stream.read_exact(&mut theirs)?;
    if theirs[..8] != MAGIC[..] {
        return Err(Refused::Stranger("is no process of a dstream program of this version".to_owned()));
    }
    let number = |at: usize| {
        theirs[at..at + 4].iter().rev().fold(0usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (processes, index) = (number(8), number(12));
    stream.write_all(&proof(own.secret, own.index, index, &theirs[16..], &nonce)?)?;
    let mut answer = [0; PROOF];
    // Who does not like the proof closes the connection.
    stream.read_exact(&mut answer)?;
    let mac = mac(own.secret, index, own.index, &nonce, &theirs[16..])?;
    if mac.verify_slice(&answer).is_err() {
        return Err(Refused::Stranger(
            "has another secret: all processes need the same DSTREAM_SECRET".into(),
        ));
    }
    if processes != own.processes || index >= processes || index == own.index {
        return Err(Refused::Stranger(format!(
            "says that it is process {index} of {processes}, and this one is process {} of {}: all need the same \
             DSTREAM_HOSTS, and each its own DSTREAM_INDEX",
            own.index, own.processes
        )));
    }
    Ok(index)
}

fn proof(secret: &[u8], from: usize, to: usize, theirs: &[u8], own: &[u8]) -> io::Result<[u8; PROOF]> {
    Ok(mac(secret, from, to, theirs, own)?.finalize().into_bytes().into())
}

/// `receiver` and `sender` are the random numbers of the two.
fn mac(secret: &[u8], from: usize, to: usize, receiver: &[u8], sender: &[u8]) -> io::Result<Hmac<Sha256>> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret).map_err(|error| io::Error::other(error.to_string()))?;
    mac.update(MAGIC);
    mac.update(&(from as u64).to_le_bytes());
    mac.update(&(to as u64).to_le_bytes());
    mac.update(receiver);
    mac.update(sender);
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// What the two sides of a connection find out.
    fn both(one: Member<'_>, other: Member<'_>) -> (Result<usize, Refused>, Result<usize, Refused>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::scope(|scope| {
            let accepting = scope.spawn(move || {
                let (socket, _) = listener.accept().unwrap();
                shake(&socket, one)
            });
            let connecting = shake(&TcpStream::connect(address).unwrap(), other);
            (accepting.join().unwrap(), connecting)
        })
    }

    #[test]
    fn processes_with_one_secret_know_each_other() {
        let member = |index| Member { index, processes: 3, secret: b"open sesame" };
        let (one, other) = both(member(0), member(2));
        assert_eq!((one.unwrap(), other.unwrap()), (2, 0));
    }

    #[test]
    fn strangers_are_refused() {
        let member = |index, processes, secret: &'static [u8]| Member { index, processes, secret };
        let refusal = |one, other| match both(one, other).0 {
            Err(Refused::Stranger(why)) => why,
            outcome => format!("{outcome:?}"),
        };
        assert!(refusal(member(0, 2, b"a"), member(1, 2, b"b")).contains("another secret"));
        assert!(refusal(member(0, 2, b"a"), member(1, 3, b"a")).contains("process 1 of 3"));
        assert!(refusal(member(1, 2, b"a"), member(1, 2, b"a")).contains("process 1 of 2"));
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stranger = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html, */*\r\n\r\n").unwrap();
        let refused = shake(&socket, Member { index: 0, processes: 2, secret: b"" });
        assert!(matches!(refused, Err(Refused::Stranger(why)) if why.contains("no process")));
    }
}
