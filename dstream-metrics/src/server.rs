//! The endpoint that Prometheus reads: a small HTTP server, which answers `GET /metrics`.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use dstream_core::{Error, Result};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::access::{Access, Refused};

/// How long a client may take to send its request, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many clients there are at once, at most: each has a thread.
const MAX_CLIENTS: usize = 16;
/// For how long at most a new client waits until the thread of one has ended that had to go.
const TURN: Duration = Duration::from_secs(1);
const MAX_REQUEST_BYTES: usize = 8 << 10;

pub(crate) struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(address: &str, access: Access, handle: PrometheusHandle) -> Result<Server> {
        let failed = |e: io::Error| Error::Invalid(format!("the metrics can't be served at {address}: {e}"));
        let addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(failed)?.collect();
        addresses.iter().try_for_each(|address| access.check_address(*address))?;
        let listener = TcpListener::bind(&*addresses).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("dstream-metrics".to_owned()).spawn({
            let stopped = Arc::clone(&stopped);
            move || serve(&listener, &stopped, &Arc::new(Shared::new(access, handle)))
        });
        Ok(Server { address, stopped, thread: Some(thread.map_err(failed)?) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the thread; if it can't be reached it is left behind, and ends with the next client.
        let mut own = self.address;
        if own.ip().is_unspecified() {
            own.set_ip(if own.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() });
        }
        if TcpStream::connect_timeout(&own, Duration::from_secs(1)).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // It does not panic by itself, and there is nobody to tell.
            let _ = thread.join();
        }
    }
}

/// What the threads of all clients have.
struct Shared {
    access: Access,
    handle: PrometheusHandle,
    clients: Mutex<Clients>,
    /// Told when a client is gone.
    gone: Condvar,
}

/// The clients that there are.
#[derive(Default)]
struct Clients {
    /// How many threads there are.
    threads: usize,
    next: u64,
    /// Those that have not sent their request yet, the oldest first: each by a number, with its connection.
    silent: VecDeque<(u64, TcpStream)>,
}

impl Shared {
    fn new(access: Access, handle: PrometheusHandle) -> Shared {
        Shared { access, handle, clients: Mutex::default(), gone: Condvar::new() }
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new client, if there is one or can be: the oldest that has sent no request has to go.
    /// One that is being answered may stay.
    fn enter(&self, client: &TcpStream) -> Option<u64> {
        let connection = client.try_clone().ok()?;
        let mut clients = self.clients();
        if clients.threads >= MAX_CLIENTS {
            let (_, oldest) = clients.silent.pop_front()?;
            // Its thread reads the end of the connection. One that is gone already has nothing to be told.
            let _ = oldest.shutdown(Shutdown::Both);
            let full = |clients: &mut Clients| clients.threads >= MAX_CLIENTS;
            let (waited, timeout) =
                self.gone.wait_timeout_while(clients, TURN, full).unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return None;
            }
            clients = waited;
        }
        let number = clients.next;
        clients.next += 1;
        clients.threads += 1;
        clients.silent.push_back((number, connection));
        Some(number)
    }

    /// The client has sent its request.
    fn has_sent(&self, number: u64) {
        self.clients().silent.retain(|(silent, _)| *silent != number);
    }

    fn leave(&self, number: u64) {
        let mut clients = self.clients();
        clients.silent.retain(|(silent, _)| *silent != number);
        clients.threads -= 1;
        drop(clients);
        self.gone.notify_all();
    }
}

/// The place of a client, which is free again when this is dropped, whatever happens to its thread.
struct Place {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.leave(self.number);
    }
}

fn serve(listener: &TcpListener, stopped: &AtomicBool, shared: &Arc<Shared>) {
    loop {
        let client = listener.accept();
        if stopped.load(Ordering::Acquire) {
            return;
        }
        match client {
            Ok((client, _)) => {
                let Some(number) = shared.enter(&client) else {
                    tracing::warn!(
                        "a request for metrics is not answered: {MAX_CLIENTS} others are being answered"
                    );
                    continue;
                };
                let place = Place { shared: Arc::clone(shared), number };
                let thread = thread::Builder::new().name("dstream-metrics".to_owned());
                // A client that goes away, or sends what is no request, concerns only itself.
                let spawned = thread.spawn(move || drop(answer(client, &place)));
                if let Err(e) = spawned {
                    tracing::warn!("a request for metrics is not answered: there is no thread for it: {e}");
                }
            }
            Err(e) => {
                tracing::warn!("a request for metrics can't be accepted: {e}");
                // As without file descriptors: they are not there at once.
                thread::park_timeout(Duration::from_millis(100));
            }
        }
    }
}

fn answer(mut client: TcpStream, Place { shared, number }: &Place) -> io::Result<()> {
    client.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(&mut client)?;
    shared.has_sent(*number);
    let (status, body) = respond(&head, &shared.access, || shared.handle.render());
    let kind = if status == "200 OK" { "text/plain; version=0.0.4; charset=utf-8" } else { "text/plain" };
    let mut response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n",
        body.len()
    );
    if status.starts_with("401") {
        response.push_str("WWW-Authenticate: Bearer\r\n");
    }
    response.push_str("\r\n");
    if !head.starts_with("HEAD ") {
        response.push_str(&body);
    }
    client.write_all(response.as_bytes())?;
    client.shutdown(Shutdown::Write)
}

/// What is answered to a request with this head: the status and the body.
fn respond(head: &str, access: &Access, render: impl FnOnce() -> String) -> (&'static str, String) {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    if !version.is_some_and(|version| version.starts_with("HTTP/1.")) || words.next().is_some() {
        return ("400 Bad Request", "this is no request of HTTP/1.1\n".to_owned());
    }
    let header = |name: &str| {
        let mut fields = lines.clone().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    match access.check_request(header("host"), header("authorization")) {
        Err(Refused::NoToken) => {
            let body = "a token is needed: send the header `Authorization: Bearer ..`\n";
            return ("401 Unauthorized", body.to_owned());
        }
        Err(Refused::OtherHost) => {
            let body = "the metrics are not served under this name: use localhost or its address\n";
            return ("403 Forbidden", body.to_owned());
        }
        Ok(()) => {}
    }
    let path = target.unwrap_or_default().split('?').next();
    match (method, path) {
        (Some("GET" | "HEAD"), Some("/metrics")) => ("200 OK", render()),
        (Some("GET" | "HEAD"), _) => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET and HEAD are answered\n".to_owned()),
    }
}

/// Reads up to the empty line. However slowly the bytes come, it ends in time.
fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let end = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > MAX_REQUEST_BYTES {
            return Err(io::ErrorKind::TimedOut.into());
        }
        client.set_read_timeout(Some(left))?;
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&buffer[..read]);
        if let Some(length) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            head.truncate(length);
            return String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_metrics_are_answered() {
        let access = Access::new(None, false).unwrap();
        let status = |head: &str| respond(head, &access, || "m 1\n".to_owned()).0;
        assert_eq!(status("GET /metrics HTTP/1.1\r\nHost: localhost"), "200 OK");
        assert_eq!(status("GET /metrics?name[]=m HTTP/1.0"), "200 OK");
        assert_eq!(status("GET / HTTP/1.1\r\nhost:localhost:1"), "404 Not Found");
        assert_eq!(status("POST /metrics HTTP/1.1"), "405 Method Not Allowed");
        assert_eq!(status("GET /metrics HTTP/1.1\r\nHOST: evil.example"), "403 Forbidden");
        for no_request in ["", "GET", "GET /metrics", "GET /metrics HTTP/2", "GET /metrics HTTP/1.1 x"] {
            assert_eq!(status(no_request), "400 Bad Request", "{no_request}");
        }
    }
}
