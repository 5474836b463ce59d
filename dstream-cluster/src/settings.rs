//! Which processes there are, and which one this is.

use std::{
    env, fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use dstream_core::{Config, Error, Result};

use crate::{exchange::ClusterExchange, handshake::Member};

/// The environment variables that [`Cluster::from_env`] reads.
const HOSTS: &str = "DSTREAM_HOSTS";
const INDEX: &str = "DSTREAM_INDEX";
const SECRET: &str = "DSTREAM_SECRET";
const LISTEN: &str = "DSTREAM_LISTEN";
const TIMEOUT: &str = "DSTREAM_TIMEOUT";

/// The processes that run one program together.
///
/// Each has the same list of hosts, in the same order, and its own index in it. Process 0, the first one,
/// plans the batches, writes the checkpoint and has the outputs; every process has a part of the input and of
/// the keys. [The chapter](https://github.com/dstream-rs/dstream/blob/main/docs/cluster.md) says what is
/// where, and what happens when a process dies.
///
/// ```no_run
/// use dstream::prelude::*;
/// use dstream_cluster::{Cluster, ConfigCluster};
///
/// # fn main() -> dstream::Result<()> {
/// // Alone, unless DSTREAM_HOSTS and DSTREAM_INDEX say otherwise, as under `dstream-launch -n 3`.
/// let conf = Config::new().cluster(Cluster::from_env()?)?;
/// let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = "/shared/checkpoint", {
///     let words = text_file_stream("/shared/in").words();
///     words.count_by_value().print();
/// })?;
/// ssc.start()?; // waits for the other processes
/// ssc.await_termination()
/// # }
/// ```
#[derive(Clone)]
#[must_use = "it does nothing until it is given to `Config::cluster`"]
pub struct Cluster {
    settings: Settings,
}

/// What a [`Cluster`] says, checked.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) hosts: Vec<String>,
    pub(crate) index: usize,
    secret: Vec<u8>,
    listen: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) join_timeout: Option<Duration>,
    pub(crate) patience: Duration,
}

impl Cluster {
    /// The processes at these addresses, as `10.0.0.1:7700` or `node-0.example:7700`. Which of them this one
    /// is says [`index`](Cluster::index).
    pub fn new<H: Into<String>>(hosts: impl IntoIterator<Item = H>) -> Cluster {
        let settings = Settings {
            hosts: hosts.into_iter().map(Into::into).collect(),
            index: 0,
            secret: Vec::new(),
            listen: None,
            timeout: Duration::from_secs(10),
            join_timeout: None,
            patience: Duration::from_secs(600),
        };
        Cluster { settings }
    }

    /// What the environment says, so that one program runs alone or as several processes:
    ///
    /// | | |
    /// |---|---|
    /// | `DSTREAM_HOSTS` | the addresses of all processes, with commas between them; alone, if it is not set |
    /// | `DSTREAM_INDEX` | which one this is, from 0; or a name that ends in `-` and that number, as a pod's |
    /// | `DSTREAM_SECRET` | see [`secret`](Cluster::secret) |
    /// | `DSTREAM_LISTEN` | see [`listen`](Cluster::listen) |
    /// | `DSTREAM_TIMEOUT` | see [`timeout`](Cluster::timeout), in seconds |
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there are hosts and no index, or if that is no number.
    pub fn from_env() -> Result<Cluster> {
        Cluster::from_variables(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Cluster> {
        let Some(hosts) = variable(HOSTS) else { return Ok(Cluster::new(["127.0.0.1:0"])) };
        let hosts: Vec<_> = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
        let index = variable(INDEX).ok_or_else(|| {
            Error::Invalid(format!(
                "{HOSTS} names {} processes, and {INDEX} does not say which one this is: set it to a number from 0 to {}",
                hosts.len(),
                hosts.len().saturating_sub(1)
            ))
        })?;
        let number = index.rsplit('-').next().and_then(|number| number.trim().parse().ok());
        let number = number.ok_or_else(|| {
            Error::Invalid(format!(
                "{INDEX} is `{index}`: it must be a number, or a name that ends in `-` and one"
            ))
        })?;
        let mut cluster = Cluster::new(hosts.into_iter().map(str::to_owned)).index(number);
        if let Some(secret) = variable(SECRET) {
            cluster = cluster.secret(secret);
        }
        if let Some(address) = variable(LISTEN) {
            cluster = cluster.listen(address);
        }
        if let Some(timeout) = variable(TIMEOUT) {
            let seconds =
                timeout.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            cluster = cluster.timeout(seconds.ok_or_else(|| {
                Error::Invalid(format!("{TIMEOUT} is `{timeout}`: it must be a number of seconds"))
            })?);
        }
        Ok(cluster)
    }

    /// Which of the hosts this process is, counted from 0.
    pub fn index(mut self, index: usize) -> Cluster {
        self.settings.index = index;
        self
    }

    /// What all processes know and nobody else does. Who connects without it is refused, and learns nothing.
    /// Needed where a process can be reached from other hosts. What the processes then send one another is
    /// not encrypted: between hosts, use a network of your own, or a tunnel.
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Cluster {
        self.settings.secret = secret.into();
        self
    }

    /// Where this process listens, if that is not its address in the list: as `0.0.0.0:7700` where the host
    /// has another address of its own than the one by which others know it.
    pub fn listen(mut self, address: impl Into<String>) -> Cluster {
        self.settings.listen = Some(address.into());
        self
    }

    /// After how much silence a process counts as gone, though its connection is open: it hangs, or the
    /// network is cut. Each says several times in that time that it is alive. Default: ten seconds.
    pub fn timeout(mut self, timeout: Duration) -> Cluster {
        self.settings.timeout = timeout;
        self
    }

    /// For how long a start waits for the other processes. Default: without limit; who is missing is logged
    /// every ten seconds.
    pub fn join_timeout(mut self, timeout: Duration) -> Cluster {
        self.settings.join_timeout = Some(timeout);
        self
    }

    /// For how long a process that is alive is waited for within a batch. One that is slower than the others
    /// is logged after ten seconds. Default: ten minutes.
    pub fn batch_timeout(mut self, timeout: Duration) -> Cluster {
        self.settings.patience = timeout;
        self
    }

    fn check(&self) -> Result<()> {
        let Settings { hosts, index, secret, timeout, .. } = &self.settings;
        if *index >= hosts.len() {
            return Err(Error::Invalid(format!(
                "this is process {index} of {}: with {} hosts the index is from 0 to {}",
                hosts.len(),
                hosts.len(),
                hosts.len().saturating_sub(1)
            )));
        }
        if let Some((at, host)) = hosts.iter().enumerate().find(|(_, host)| !has_port(host)) {
            return Err(Error::Invalid(format!(
                "the address of process {at} is `{host}`: it must be a host and a port, as node-0.example:7700"
            )));
        }
        if let Some(twice) = hosts.iter().enumerate().find(|(at, host)| hosts[..*at].contains(host)) {
            return Err(Error::Invalid(format!(
                "two processes have the address `{}`: each needs its own",
                twice.1
            )));
        }
        if *timeout < Duration::from_millis(100) {
            return Err(Error::Invalid(format!(
                "the timeout of the cluster is {timeout:?}: below 100ms a busy process would count as gone"
            )));
        }
        let open = [self.settings.listen_address()].into_iter().chain(hosts.iter().cloned());
        if let Some(open) = open.filter(|_| secret.is_empty()).find(|address| !is_loopback(address)) {
            return Err(Error::Invalid(format!(
                "the processes at `{open}` could be joined by everybody who reaches that host: give all of them the same \
                 secret, by {SECRET} or `Cluster::secret`"
            )));
        }
        Ok(())
    }
}

impl Settings {
    pub(crate) fn member(&self) -> Member<'_> {
        Member { index: self.index, processes: self.hosts.len(), secret: &self.secret }
    }

    pub(crate) fn listen_address(&self) -> String {
        self.listen.clone().unwrap_or_else(|| self.hosts[self.index].clone())
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
}

fn is_loopback(address: &str) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => {
            let name = address.rsplit_once(':').map_or(address, |(name, _)| name);
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    }
}

/// The setting of a context that makes it one of several processes.
pub trait ConfigCluster: Sized {
    /// Makes this process one of `cluster`, if that has more than one. The context connects to the others when
    /// it is started.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the addresses can't be used, or if others than this host could join and there is
    /// no secret.
    fn cluster(self, cluster: Cluster) -> Result<Self>;
}

impl ConfigCluster for Config {
    fn cluster(self, cluster: Cluster) -> Result<Config> {
        if cluster.settings.hosts.len() == 1 && cluster.settings.index == 0 {
            return Ok(self);
        }
        cluster.check()?;
        Ok(self.exchange(ClusterExchange::new(cluster.settings)))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { hosts, index, .. } = &self.settings;
        f.debug_struct("Cluster").field("hosts", hosts).field("index", index).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Cluster> {
        let find =
            |name: &str| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        Cluster::from_variables(find)
    }

    fn refusal(cluster: Result<Cluster>) -> String {
        match cluster.and_then(|cluster| cluster.check()) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environment_says_which_process_it_is() {
        let cluster = from(&[(HOSTS, "127.0.0.1:7000, 127.0.0.1:7001"), (INDEX, "counts-1")]).unwrap();
        assert_eq!((cluster.settings.index, cluster.settings.hosts.len()), (1, 2));
        assert_eq!(refusal(Ok(cluster)), "");
        assert_eq!(from(&[]).unwrap().settings.hosts.len(), 1);
        assert!(refusal(from(&[(HOSTS, "127.0.0.1:7000,127.0.0.1:7001")])).contains(INDEX));
        assert!(refusal(from(&[(HOSTS, "127.0.0.1:1,127.0.0.1:2"), (INDEX, "one")])).contains("`one`"));
    }

    #[test]
    fn mistakes_are_found_before_anything_connects() {
        let cluster = |hosts: &[&str]| Ok(Cluster::new(hosts.iter().copied()));
        assert!(refusal(cluster(&["a:1", "b:1"]).map(|c| c.index(2))).contains("from 0 to 1"));
        assert!(refusal(cluster(&["127.0.0.1:1", "127.0.0.1"])).contains("host and a port"));
        assert!(refusal(cluster(&["127.0.0.1:1", "127.0.0.1:1"])).contains("two processes"));
        assert!(refusal(cluster(&["10.0.0.1:1", "10.0.0.2:1"])).contains(SECRET));
        assert_eq!(refusal(cluster(&["10.0.0.1:1", "10.0.0.2:1"]).map(|c| c.secret("s"))), "");
        let open = cluster(&["localhost:1", "localhost:2"]).map(|c| c.listen("0.0.0.0:1"));
        assert!(refusal(open).contains("0.0.0.0:1"));
        let short = cluster(&["[::1]:1", "[::1]:2"]).map(|c| c.timeout(Duration::from_millis(9)));
        assert!(refusal(short).contains("9ms"));
    }
}
