//! The exchange of a context over the connections of a cluster.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use dstream_core::{
    clock::CancellationToken,
    exchange::{Exchange, ExchangeError, ExchangeStep},
};

use crate::{
    join::join,
    link::Link,
    mailbox::Mailbox,
    settings::Settings,
    transport::{Outgoing, Transport},
};

/// The processes of a program, which connect when the first of them is needed.
pub(crate) struct ClusterExchange {
    settings: Settings,
    connected: Mutex<Option<Arc<Connected>>>,
}

struct Connected {
    mailbox: Arc<Mailbox>,
    transport: Transport,
}

impl ClusterExchange {
    pub(crate) fn new(settings: Settings) -> ClusterExchange {
        ClusterExchange { settings, connected: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Connected>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connected(&self, stop: &CancellationToken) -> Result<Arc<Connected>, ExchangeError> {
        let mut connected = self.lock();
        if let Some(connected) = &*connected {
            return Ok(Arc::clone(connected));
        }
        let Settings { index, timeout, .. } = self.settings;
        let sockets = join(&self.settings, stop)?;
        let mailbox = Arc::new(Mailbox::new(index, sockets.len()));
        let links = sockets.into_iter().enumerate().map(|(remote, socket)| {
            socket.map(|socket| Link::new(socket, index, remote, timeout, &mailbox)).transpose()
        });
        let transport = links
            .collect::<Result<Vec<_>, _>>()
            .and_then(|links| Transport::start(links, index, timeout, &mailbox))
            .map_err(|error| ExchangeError::new("the connections can't be used").caused_by(error))?;
        tracing::info!("process {index} of {} is connected to all others", self.settings.hosts.len());
        Ok(Arc::clone(connected.insert(Arc::new(Connected { mailbox, transport }))))
    }
}

impl Exchange for ClusterExchange {
    fn process(&self) -> usize {
        self.settings.index
    }

    fn processes(&self) -> usize {
        self.settings.hosts.len()
    }

    fn connect(&self, stop: &CancellationToken) -> Result<(), ExchangeError> {
        self.connected(stop).map(drop)
    }

    fn exchange(&self, step: &ExchangeStep<'_>, messages: Vec<Bytes>) -> Result<Vec<Bytes>, ExchangeError> {
        let Connected { mailbox, transport } = &*self.connected(&CancellationToken::new())?;
        transport.send(Outgoing::Step((step.batch, step.number), messages));
        let own = self.settings.index;
        (0..self.settings.hosts.len())
            .map(|from| match from == own {
                true => Ok(Bytes::new()),
                false => mailbox.message(from, step, self.settings.patience),
            })
            .collect()
    }

    fn announce(&self, message: Bytes) -> Result<(), ExchangeError> {
        // A context that stops while it waits for the others has nobody to tell.
        let connected = self.connected.try_lock().ok().and_then(|connected| connected.clone());
        let connected = connected.ok_or_else(|| ExchangeError::new("the others have not been connected"))?;
        let Connected { mailbox, transport } = &*connected;
        if let Some(lost) = mailbox.first_lost() {
            return Err(lost);
        }
        transport.send(Outgoing::Announcement(message));
        Ok(())
    }

    fn announcement(&self, stop: &CancellationToken) -> Result<Option<Bytes>, ExchangeError> {
        self.connected(stop)?.mailbox.announcement(stop)
    }
}

impl fmt::Debug for ClusterExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { index, hosts, .. } = &self.settings;
        f.debug_struct("ClusterExchange")
            .field("process", index)
            .field("hosts", hosts)
            .finish_non_exhaustive()
    }
}
