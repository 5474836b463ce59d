//! Clients: the program `curl`, and sockets that send what no client would.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

/// What was answered; the status is 0 if nothing was.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        // Of `100 Continue` and what comes behind it, the last one.
        if head.starts_with("HTTP/1.1 100") {
            return Answer::parse(body);
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

/// Posts by `curl`, with more arguments of its own.
pub(crate) fn curl(url: &str, arguments: &[&str], body: &[u8]) -> Answer {
    let mut curl = Command::new("curl")
        .args(["--silent", "--include", "--max-time", "60", "--data-binary", "@-"])
        .args(arguments)
        .arg(url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("curl is needed for this test, and can't be run: {error}"));
    // It may be answered before it has read all.
    let _ = curl.stdin.take().map(|mut stdin| stdin.write_all(body));
    Answer::parse(&String::from_utf8_lossy(&curl.wait_with_output().unwrap().stdout))
}

/// A connection that is kept, over which requests are sent one behind the other.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(address: &str) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Client { stream })
    }

    /// The status of the answer, if there is one.
    pub(crate) fn post(&mut self, body: &str) -> std::io::Result<u16> {
        let length = body.len();
        let request = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
        self.stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let length =
            head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        self.stream.read_exact(&mut vec![0; length.unwrap_or(0)])?;
        Ok(Answer::parse(&head).status)
    }
}

/// Sends these bytes, and reads until the connection is closed.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8], close: bool) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // What is refused before its end can't all be written.
    let _ = stream.write_all(bytes);
    if close {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Answer::parse(&String::from_utf8_lossy(&answer))
}
