//! `http_stream` and `http_json`: the sources, and their settings.

use std::{
    error::Error as StdError,
    fmt,
    marker::PhantomData,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use dstream_core::{
    Result,
    receiver::{Receiver, ReceiverContext},
};
use serde::de::DeserializeOwned;

use crate::{
    access::Access,
    format::{Format, Lines, private::Read},
    json::Json,
    server,
};

/// Listens on an address, such as `"127.0.0.1:8080"`, and yields the lines of what clients post.
///
/// The body of a POST is text: each line is a record, as a `&str` into the body. Where the request says that
/// it is JSON (`Content-Type: application/json`), a document is a record, on one line: that of the body,
/// those of the array that it is, or those that follow one another in it. With `application/x-ndjson` the
/// body is always documents one behind the other.
///
/// **200 is answered once the records are stored**: with a checkpoint they are in the write-ahead log, and a
/// crash does not lose them. Any other answer says in a line what is wrong, and then nothing of the body is
/// stored, with one exception: whoever gets no answer, or 503 while the program stops, does not know, and may
/// find what it sends again in the stream twice. So give records a number if that matters. Records of one
/// request stay together and in order; those of requests that are sent at the same time come in any order.
///
/// | answer | why |
/// |---|---|
/// | 200 | the records are stored |
/// | 400 | the body is empty, or no text, or no JSON where it should be |
/// | 401, 403 | the token is missing or wrong; the request comes from the page of another site |
/// | 404, 405 | another path, another method |
/// | 408, 413 | the body came too slowly, or is too large |
/// | 415 | the body is compressed, or a form with files |
/// | 503 | there is no room, or the program stops: send it again, after the seconds of `Retry-After` |
///
/// There is room again when batches have been processed (see [`Config::receiver_buffer_bytes`] and
/// [`Config::max_rate`]).
///
/// Whoever reaches the address can send; so one that other hosts reach needs a [`token`](HttpStream::token),
/// and a context without one is not started. There is no TLS: put a proxy before it that has the certificate.
///
/// ```
/// use dstream::{http::http_stream, prelude::*};
/// use std::{io::{Read, Write}, net::TcpStream, sync::mpsc};
///
/// let (bound, address) = mpsc::channel();
/// let posts = http_stream("127.0.0.1:0").on_bound(move |address| {
///     let _ = bound.send(address);
/// });
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 100ms, {
///     posts.words().collect_to(&out);
/// })?;
/// ssc.start()?;
/// // $ curl --data-binary 'to be' http://127.0.0.1:8080
/// let mut client = TcpStream::connect(address.recv()?)?;
/// let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close";
/// write!(client, "{head}\r\n\r\nto be")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("1 record is stored\n"));
/// ssc.stop_gracefully();
/// assert_eq!(out.values().concat(), ["to", "be"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Config::receiver_buffer_bytes`]: dstream_core::Config::receiver_buffer_bytes
/// [`Config::max_rate`]: dstream_core::Config::max_rate
pub fn http_stream(address: impl Into<String>) -> HttpStream<Lines> {
    HttpStream::new(address.into())
}

/// As [`http_stream()`], but the bodies are JSON, whatever the request says, and each document is a value of
/// `T`.
///
/// A body with a document that does not fit is answered with 400 and what is wrong with which document. The
/// log has the documents as text, so that a later version of `T` reads them if it would take them from a
/// client.
///
/// ```no_run
/// use dstream::{http::http_json, prelude::*};
///
/// #[derive(serde::Deserialize)]
/// struct Reading {
///     sensor: String,
///     celsius: f64,
/// }
///
/// // $ curl --data '{"sensor": "north", "celsius": 21.5}' http://127.0.0.1:8080
/// let ssc = dstream::stream!(batch = 1s, {
///     let readings = http_json::<Reading>("127.0.0.1:8080");
///     readings.map(|r| (r.sensor, r.celsius)).reduce_by_key(f64::max).print();
/// })?;
/// ssc.start()?;
/// ssc.await_termination()?;
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn http_json<T: DeserializeOwned + Send + 'static>(address: impl Into<String>) -> HttpStream<Json<T>> {
    HttpStream::new(address.into())
}

/// See [`http_stream()`].
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
pub struct HttpStream<F> {
    address: String,
    access: Access,
    limits: Limits,
    path: Option<String>,
    on_bound: Option<Box<dyn FnMut(SocketAddr) + Send>>,
    format: PhantomData<fn() -> F>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) body: usize,
    pub(crate) clients: usize,
    pub(crate) patience: Duration,
}

/// What requests are held against.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) path: Option<String>,
}

impl<F> HttpStream<F> {
    fn new(address: String) -> HttpStream<F> {
        let limits = Limits { body: 8 << 20, clients: 1024, patience: Duration::from_secs(60) };
        let access = Access { token: None };
        HttpStream { address, access, limits, path: None, on_bound: None, format: PhantomData }
    }

    /// A secret that clients must send, in the header `Authorization: Bearer ..`. Read it from the
    /// environment or a file, not from the program's text.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.access.token = Some(token.into());
        self
    }

    /// Takes only what is posted to this path, such as `"/events"`. Default: any.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// How large a body may be. A larger one is answered with 413. Default: 8 MiB.
    ///
    /// All bodies that are being received take at most 64 MiB, or four times as much as one may have if that
    /// is more.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.limits.body = bytes.max(1);
        self
    }

    /// How many clients may be connected; the next ones wait until one leaves. Default: 1,024.
    pub fn max_clients(mut self, clients: usize) -> Self {
        self.limits.clients = clients.max(1);
        self
    }

    /// How long a client may take to send a body; for the head of a request it is half a minute at most.
    /// Default: one minute.
    pub fn patience(mut self, time: Duration) -> Self {
        self.limits.patience = time;
        self
    }

    /// Calls `f` with the address that is listened on, each time it has been bound: with port 0 the system
    /// chooses one.
    pub fn on_bound(mut self, f: impl FnMut(SocketAddr) + Send + 'static) -> Self {
        self.on_bound = Some(Box::new(f));
        self
    }

    fn check_addresses(&self) -> Result<Vec<SocketAddr>, Box<dyn StdError + Send + Sync>> {
        let addresses: Vec<SocketAddr> = self
            .address
            .to_socket_addrs()
            .map_err(|error| format!("`{}` is no address to listen on: {error}", self.address))?
            .collect();
        addresses.iter().try_for_each(|address| self.access.check_address(*address))?;
        Ok(addresses)
    }
}

impl<F> fmt::Debug for HttpStream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStream")
            .field("address", &self.address)
            .field("limits", &self.limits)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<F: Format> Receiver for HttpStream<F> {
    type Block = <F as Read>::Block;

    fn name(&self) -> String {
        format!("{}({})", F::NAME, self.address)
    }

    fn check(&self) -> Result<()> {
        self.access.check_token()?;
        // A name that is not known may be so later.
        let addresses = self.address.to_socket_addrs().into_iter().flatten();
        addresses.into_iter().try_for_each(|address| self.access.check_address(address))
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<Self::Block>,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
        let addresses = self.check_addresses()?;
        let HttpStream { access, limits, path, .. } = self;
        let rules = Arc::new(Rules { access: access.clone(), limits: *limits, path: path.clone() });
        let name = format!("{}({})", F::NAME, self.address);
        server::serve::<F>(&addresses, rules, ctx, |address| {
            tracing::info!("{name} listens on {address}");
            if let Some(on_bound) = &mut self.on_bound {
                on_bound(address);
            }
        })
    }
}
