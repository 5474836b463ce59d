//! Metrics of a program that uses dstream, and a Prometheus endpoint.
//!
//! ```no_run
//! use dstream::prelude::*;
//! use dstream_metrics::ConfigMetrics;
//!
//! # fn main() -> dstream::Result<()> {
//! let ssc = dstream::stream!(batch = 1s, conf = Config::new().metrics("127.0.0.1:9464"), {
//!     socket_text_stream("localhost", 9999).words().count_by_value().print();
//! })?;
//! ssc.start()?; // Prometheus reads http://127.0.0.1:9464/metrics
//! ssc.await_termination()
//! # }
//! ```
//!
//! [`Metrics`] is a [`Listener`] that records what it is told through the crate [`metrics`], so that every
//! exporter of that crate works. It runs on the listener's own thread: no batch waits for it, and nothing is
//! done per record. The names are in [`names`].
//!
//! Labels have the names of sources, outputs, operators and stages. The text of the program fixes how many of
//! them there are: no record and no key becomes a label.

mod access;
pub mod names;
mod record;
mod server;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dstream_core::{
    Config, Error, Result,
    events::{ContextView, Event, Listener},
};
use metrics::Recorder;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::{access::Access, record::Figures, server::Server};

/// The bounds of the buckets of all histograms, in seconds.
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Records the metrics of a context: a [`Listener`].
///
/// Clones record the same metrics. A context needs one of its own.
///
/// ```
/// use dstream::prelude::*;
/// use dstream_metrics::Metrics;
///
/// let metrics = Metrics::endpoint("127.0.0.1:0"); // port 0: the system picks one
/// let ssc = dstream::stream!(batch = 1s, conf = Config::new().listener(metrics.clone()), {
///     queue_stream(vec![vec!["a"]]).print();
/// })?;
/// ssc.run_batches(1)?;
/// println!("look at http://{}/metrics", metrics.address().expect("it is served"));
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    target: Target,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    attached: bool,
    figures: Figures,
    server: Option<Server>,
}

/// Where the metrics go.
#[derive(Clone)]
enum Target {
    /// The recorder that the program has installed.
    Global,
    Recorder(Arc<dyn Recorder + Send + Sync>),
    Endpoint(Endpoint),
}

#[derive(Clone)]
struct Endpoint {
    address: String,
    token: Option<String>,
    allow_remote: bool,
    recorder: Arc<dyn Recorder + Send + Sync>,
    handle: PrometheusHandle,
}

impl Metrics {
    /// Metrics for the global recorder of the crate [`metrics`], which the program installs before it starts
    /// the context. Without one, nothing is recorded.
    pub fn global() -> Metrics {
        Metrics::of(Target::Global)
    }

    /// Metrics for `recorder`, such as that of an exporter.
    pub fn recorder(recorder: impl Recorder + Send + Sync + 'static) -> Metrics {
        Metrics::of(Target::Recorder(Arc::new(recorder)))
    }

    /// Metrics that Prometheus reads at this address, such as `127.0.0.1:9464`, under `/metrics`.
    ///
    /// The start of the context fails if the address can't be had. One that other hosts can reach needs a
    /// [`token`](Metrics::token), or [`allow_remote`](Metrics::allow_remote).
    pub fn endpoint(address: impl Into<String>) -> Metrics {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).expect("there are buckets");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Metrics::of(Target::Endpoint(Endpoint {
            address: address.into(),
            token: None,
            allow_remote: false,
            recorder: Arc::new(recorder),
            handle,
        }))
    }

    /// The endpoint answers only requests with the header `Authorization: Bearer ` and this secret. It has no
    /// effect without an [`endpoint`](Metrics::endpoint).
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Metrics {
        self.changed(|endpoint| endpoint.token = Some(token.into()))
    }

    /// The endpoint may be at an address that other hosts can reach, without a [`token`](Metrics::token):
    /// whoever reaches it reads the names of sources and outputs. It has no effect without an
    /// [`endpoint`](Metrics::endpoint).
    #[must_use]
    pub fn allow_remote(self) -> Metrics {
        self.changed(|endpoint| endpoint.allow_remote = true)
    }

    /// Where the endpoint is; `None` before the context starts, and without an endpoint.
    pub fn address(&self) -> Option<SocketAddr> {
        self.state().server.as_ref().map(Server::address)
    }

    fn of(target: Target) -> Metrics {
        Metrics(Arc::new(Inner { target, state: Mutex::default() }))
    }

    fn changed(self, change: impl FnOnce(&mut Endpoint)) -> Metrics {
        let mut target = self.0.target.clone();
        if let Target::Endpoint(endpoint) = &mut target {
            change(endpoint);
        }
        Metrics::of(target)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a recorder leaves a figure wrong, not all that follow.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `record` so that what it records goes to the recorder of this.
    fn with_recorder(&self, record: impl FnOnce()) {
        match &self.0.target {
            Target::Global => record(),
            Target::Recorder(recorder) | Target::Endpoint(Endpoint { recorder, .. }) => {
                metrics::with_local_recorder(&**recorder, record);
            }
        }
    }
}

impl Listener for Metrics {
    fn attached(&self, context: &ContextView) -> Result<()> {
        let mut state = self.state();
        if state.attached {
            return Err(Error::Invalid(
                "these metrics are of another context already: make a `Metrics` for each".to_owned(),
            ));
        }
        if let Target::Endpoint(endpoint) = &self.0.target {
            let access = Access::new(endpoint.token.as_deref(), endpoint.allow_remote)?;
            let server = Server::start(&endpoint.address, access, endpoint.handle.clone())?;
            tracing::info!("metrics of `{}` are at http://{}/metrics", context.name(), server.address());
            state.server = Some(server);
        }
        state.attached = true;
        self.with_recorder(|| record::describe(context));
        Ok(())
    }

    fn detached(&self) {
        let mut state = self.state();
        (state.attached, state.server) = (false, None);
    }

    fn any(&self, event: &Event) {
        let mut state = self.state();
        self.with_recorder(|| state.figures.record(event));
        // Values of histograms are put into their buckets here, or they would be gathered until the next
        // request: memory would grow while nobody reads.
        if let (Target::Endpoint(endpoint), Event::BatchCompleted(_)) = (&self.0.target, event) {
            endpoint.handle.run_upkeep();
        }
    }
}

impl fmt::Debug for Metrics {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match &self.0.target {
            Target::Global => "global",
            Target::Recorder(_) => "recorder",
            Target::Endpoint(endpoint) => &endpoint.address,
        };
        f.debug_struct("Metrics").field("target", &target).finish_non_exhaustive()
    }
}

/// The Prometheus endpoint as a setting of a context.
pub trait ConfigMetrics: Sized {
    /// Serves the [metrics](Metrics) of the context at this address, such as `127.0.0.1:9464`, under
    /// `/metrics`. The start fails if that can't be had. For a token, or another exporter, give a `Metrics`
    /// to [`Config::listener`].
    #[must_use]
    fn metrics(self, address: impl Into<String>) -> Self;
}

impl ConfigMetrics for Config {
    fn metrics(self, address: impl Into<String>) -> Config {
        self.listener(Metrics::endpoint(address))
    }
}
