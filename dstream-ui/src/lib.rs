//! A web page of a program that uses dstream, with its JSON API, live events and dashboards.
//!
//! ```no_run
//! use dstream::prelude::*;
//! use dstream_ui::ConfigUi;
//!
//! # fn main() -> dstream::Result<()> {
//! let ssc = dstream::stream!(batch = 1s, conf = Config::new().ui("127.0.0.1:4040"), {
//!     let words = socket_text_stream("localhost", 9999).words();
//!     words.count_by_value().dashboard("Top words", Chart::bar().top(20));
//! })?;
//! ssc.start()?; // the page is at http://127.0.0.1:4040
//! ssc.await_termination()
//! # }
//! ```
//!
//! The page shows what comes in, how late batches are, what each of them did, the pipeline as a graph, what
//! is kept between batches, and the charts of the outputs [`dashboard`](dstream_core::DStream::dashboard).
//! All of it is also there as JSON, under `/api/v1/`.
//!
//! It is served by a thread of its own, which is told of everything by [events](dstream_core::events): no
//! batch ever waits for it. It holds a bounded number of batches, and lives as long as the context, also
//! after a stop.

mod access;
mod api;
mod assets;
mod embed;
mod live;
mod model;
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

use crate::{access::Access, embed::Embed, live::Live, model::Model, server::Server};

/// How many batches are kept by default.
const KEEP_BATCHES: usize = 1000;

/// The web page of a context: a [`Listener`] that serves what it is told of.
///
/// Clones are the same page. It is served from the start of the context until the context and all clones are
/// dropped.
///
/// ```
/// use dstream::prelude::*;
/// use dstream_ui::Ui;
///
/// let page = Ui::new("127.0.0.1:0").keep_batches(100); // port 0: the system picks one
/// let ssc = dstream::stream!(batch = 1s, conf = Config::new().listener(page.clone()), {
///     queue_stream(vec![vec!["a"]]).print();
/// })?;
/// ssc.run_batches(1)?;
/// println!("look at http://{}", page.address().expect("it is served"));
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Clone)]
pub struct Ui {
    address: String,
    token: Option<String>,
    embed_in: Vec<String>,
    keep_batches: usize,
    shared: Arc<Shared>,
    server: Arc<Mutex<Option<Server>>>,
}

/// What the listener writes and the server reads.
pub(crate) struct Shared {
    model: Mutex<Option<Model>>,
    pub(crate) live: Live,
}

impl Shared {
    pub(crate) fn model(&self) -> MutexGuard<'_, Option<Model>> {
        // A panic while an event was applied leaves a figure wrong, not the page.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ui {
    /// A page at this address, such as `127.0.0.1:4040`.
    ///
    /// An address that other hosts can reach needs a [`token`](Ui::token): the start of the context is
    /// refused without one.
    pub fn new(address: impl Into<String>) -> Ui {
        Ui {
            address: address.into(),
            token: None,
            embed_in: Vec::new(),
            keep_batches: KEEP_BATCHES,
            shared: Arc::new(Shared { model: Mutex::default(), live: Live::new() }),
            server: Arc::default(),
        }
    }

    /// Who does not know this secret sees nothing. A browser is given it once, as in
    /// `http://host:4040/?token=secret`; a program sends the header `Authorization: Bearer secret`.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Ui {
        self.token = Some(token.into());
        self
    }

    /// Pages of this site, such as `https://intranet.example`, may show [dashboards] in a frame. Without it
    /// no page of another site can, and the other pages can't be framed at all.
    ///
    /// Browsers keep the cookie of a [`token`](Ui::token) from the frames of other sites: with one, only a
    /// site of the same host can embed.
    ///
    /// [dashboards]: dstream_core::DStream::dashboard
    #[must_use]
    pub fn embed_in(mut self, site: impl Into<String>) -> Ui {
        self.embed_in.push(site.into());
        self
    }

    /// How many completed batches are kept for the page. Default: 1000.
    #[must_use]
    pub fn keep_batches(mut self, batches: usize) -> Ui {
        self.keep_batches = batches.max(1);
        self
    }

    /// Where it is served; `None` before the context starts.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server().as_ref().map(Server::address)
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ui {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ui").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Listener for Ui {
    fn attached(&self, context: &ContextView) -> Result<()> {
        let mut server = self.server();
        if server.is_some() {
            return Err(Error::Invalid(format!(
                "the web page at {} shows another context already: make a `Ui` for each",
                self.address
            )));
        }
        let embed = Embed::new(&self.embed_in)?;
        let bound = server::bind(&self.address)?;
        let access = Access::new(bound.address, self.token.as_deref())?;
        *self.shared.model() = Some(Model::new(context, self.keep_batches));
        let started = Server::start(bound, access, embed, Arc::clone(&self.shared))?;
        tracing::info!("`{}` is shown at http://{}", context.name(), started.address());
        *server = Some(started);
        Ok(())
    }

    fn detached(&self) {
        drop(self.server().take());
        *self.shared.model() = None;
    }

    fn any(&self, event: &Event) {
        let mut model = self.shared.model();
        if let Some(model) = &mut *model {
            model.apply(event);
            self.shared.live.send(model, event);
        }
    }
}

/// The web page as a setting of a context.
pub trait ConfigUi: Sized {
    /// Serves the [web page](Ui) of the context at this address, such as `127.0.0.1:4040`. The start fails if
    /// that can't be had. For a token, or another number of batches, give a `Ui` to [`Config::listener`].
    fn ui(self, address: impl Into<String>) -> Self;
}

impl ConfigUi for Config {
    fn ui(self, address: impl Into<String>) -> Config {
        self.listener(Ui::new(address))
    }
}
