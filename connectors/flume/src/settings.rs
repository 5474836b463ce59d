//! `flume_stream`: the source, and its settings.

use std::{error::Error as StdError, fmt, net::SocketAddr};

use dstream_core::{
    Error, Result,
    receiver::{Receiver, ReceiverContext},
};

use crate::{block::FlumeBlock, server};

/// Listens on an address, such as `"0.0.0.0:4141"`, and yields the events that agents of Apache Flume send to
/// it.
///
/// By itself it speaks Avro, as a sink of the type `avro` does, and Spark Streaming's `FlumeUtils` did;
/// [`Flume::thrift`] is for one of the type `thrift`.
///
/// **An agent is told `OK` once its events are stored**: with a checkpoint they are in the write-ahead log,
/// and a crash does not lose them. Then it takes them out of its channel. What it is not told so of stays
/// there and is sent again, as a whole batch, to this address or another; of that the stream has events twice
/// where the program was killed, or the connection broke, between the log and the answer. Where there is no
/// room for ten seconds (see [`Config::receiver_buffer_bytes`] and [`Config::max_rate`]) the agent is told
/// `FAILED`, nothing is stored, and it backs off.
///
/// Whoever reaches the address can send events: Flume's protocols have no password, and TLS is not served.
/// Take an address that only agents reach.
///
/// ```no_run
/// use dstream::{flume::flume_stream, prelude::*};
///
/// let ssc = dstream::stream!(batch = 1s, checkpoint = "/var/lib/hosts", {
///     let events = flume_stream("0.0.0.0:4141");
///     let hosts = events.flat_map(|event| event.header("host")).map(|host| (host, 1u64));
///     hosts.reduce_by_key(|a, b| a + b).print();
/// })?;
/// ssc.start()?;
/// ssc.await_termination()?;
/// # Ok::<(), dstream::Error>(())
/// ```
///
/// [`Config::receiver_buffer_bytes`]: dstream_core::Config::receiver_buffer_bytes
/// [`Config::max_rate`]: dstream_core::Config::max_rate
pub fn flume_stream(flume: impl Into<Flume>) -> FlumeStream {
    FlumeStream { flume: flume.into() }
}

/// Where agents connect to, and how they talk; made of an address alone, too.
///
/// ```
/// use dstream::flume::{Flume, flume_stream};
///
/// let zipped = flume_stream(Flume::avro("0.0.0.0:4141").compressed(true));
/// let thrift = flume_stream(Flume::thrift("0.0.0.0:4142").max_clients(10));
/// ```
pub struct Flume {
    settings: Settings,
    on_bound: Option<Box<dyn FnMut(SocketAddr) + Send>>,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) address: String,
    pub(crate) protocol: Protocol,
    pub(crate) compressed: bool,
    pub(crate) max_request: usize,
    pub(crate) max_clients: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Avro,
    Thrift,
}

impl Flume {
    fn new(address: String, protocol: Protocol) -> Flume {
        let (max_request, max_clients) = (16 << 20, 256);
        let settings = Settings { address, protocol, compressed: false, max_request, max_clients };
        Flume { settings, on_bound: None }
    }

    /// For sinks of the type `avro`.
    pub fn avro(address: impl Into<String>) -> Flume {
        Flume::new(address.into(), Protocol::Avro)
    }

    /// For sinks of the type `thrift`, with the compact protocol, which they have by themselves.
    pub fn thrift(address: impl Into<String>) -> Flume {
        Flume::new(address.into(), Protocol::Thrift)
    }

    /// Whether agents compress what they send: a sink of the type `avro` with `compression-type = deflate`.
    /// Default: no.
    pub fn compressed(mut self, compressed: bool) -> Flume {
        self.settings.compressed = compressed;
        self
    }

    /// How large a request may be, which has a batch of an agent. A larger one ends its connection, and the
    /// agent sends it again and again, which is reported. Default: 16 MiB.
    pub fn max_request_bytes(mut self, bytes: usize) -> Flume {
        // Lengths of both protocols have 31 bits.
        self.settings.max_request = bytes.clamp(1, i32::MAX as usize);
        self
    }

    /// How many agents may be connected; the next ones wait until one leaves. Each has a thread, and memory
    /// for a request. Default: 256.
    pub fn max_clients(mut self, clients: usize) -> Flume {
        self.settings.max_clients = clients.max(1);
        self
    }

    /// Calls `f` with the address that is listened on, each time it has been bound: with port 0 the system
    /// chooses one.
    pub fn on_bound(mut self, f: impl FnMut(SocketAddr) + Send + 'static) -> Flume {
        self.on_bound = Some(Box::new(f));
        self
    }
}

impl From<&str> for Flume {
    fn from(address: &str) -> Flume {
        Flume::avro(address)
    }
}

impl From<String> for Flume {
    fn from(address: String) -> Flume {
        Flume::avro(address)
    }
}

impl fmt::Debug for Flume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flume").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// See [`flume_stream`].
#[derive(Debug)]
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
pub struct FlumeStream {
    flume: Flume,
}

impl Receiver for FlumeStream {
    type Block = FlumeBlock;

    fn name(&self) -> String {
        format!("flume_stream({})", self.flume.settings.address)
    }

    fn check(&self) -> Result<()> {
        if self.flume.settings.compressed && self.flume.settings.protocol == Protocol::Thrift {
            return Err(Error::Invalid(format!(
                "{}: sinks of the type `thrift` don't compress: leave `compressed(true)` out, or take \
                 `Flume::avro(..)`",
                self.name()
            )));
        }
        Ok(())
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<FlumeBlock>,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
        let name = self.name();
        let Flume { settings, on_bound } = &mut self.flume;
        server::serve(settings, ctx, |address| {
            tracing::info!("{name} listens on {address}");
            if let Some(on_bound) = on_bound {
                on_bound(address);
            }
        })
    }
}
