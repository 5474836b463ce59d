//! `mqtt_stream`: the source, and its settings.

use std::{error::Error as StdError, fmt, time::Duration};

use dstream_core::{
    Error, Result,
    receiver::{Receiver, ReceiverContext},
};

use crate::{block::MqttBlock, client};

/// Subscribes to topics of an MQTT broker (version 3.1.1), and yields their messages.
///
/// **A message is acknowledged once it is stored**: with a checkpoint it is in the write-ahead log, and a
/// crash does not lose it. The session is a persistent one: while the program is not there, the broker keeps
/// what is sent at QoS 1 or 2, as many messages as it is set up to, and sends them when the program is back.
/// What it was not told of that it is stored it sends again, then with
/// [`may_be_again`](crate::MqttMessage::may_be_again), and the stream may have it twice: what the broker has
/// in flight when the program is killed, or stopped, or the connection breaks. What is sent at QoS 0 is not
/// kept for anybody.
///
/// A program that can't keep up takes no more messages, and the broker keeps them. A connection that breaks
/// is tried again after a delay that grows (see [`Config::restart_delay`]).
///
/// ```no_run
/// use dstream::{mqtt::{Mqtt, mqtt_stream}, prelude::*};
///
/// let ssc = dstream::stream!(batch = 1s, checkpoint = "/var/lib/devices", {
///     let messages = mqtt_stream(Mqtt::new("localhost:1883").client_id("devices").topics(["devices/#"]));
///     messages.map(|message| (message.topic(), 1u64)).reduce_by_key(|a, b| a + b).print();
/// })?;
/// ssc.start()?;
/// ssc.await_termination()?;
/// # Ok::<(), dstream::Error>(())
/// ```
///
/// [`Config::restart_delay`]: dstream_core::Config::restart_delay
pub fn mqtt_stream(mqtt: Mqtt) -> MqttStream {
    MqttStream { mqtt, subscribed: false }
}

/// A broker, and what is wanted of it: see [`mqtt_stream`].
#[derive(Clone)]
#[must_use = "a broker is nothing until `mqtt_stream` makes a source of it"]
pub struct Mqtt {
    pub(crate) host: String,
    pub(crate) port: std::result::Result<u16, String>,
    pub(crate) client_id: String,
    pub(crate) topics: Vec<String>,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) keep_alive: Duration,
    pub(crate) max_message: usize,
}

impl Mqtt {
    /// The broker at this address, such as `"localhost:1883"`; 1883 is also the port of one without.
    pub fn new(address: impl Into<String>) -> Mqtt {
        let address = address.into();
        let (host, port) = match address.rsplit_once(':') {
            // The colons of an IPv6 address without a port are its own.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().map_err(|_| port.to_owned()))
            }
            _ => (&*address, Ok(1883)),
        };
        Mqtt {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            client_id: String::new(),
            topics: Vec::new(),
            credentials: None,
            keep_alive: Duration::from_secs(60),
            max_message: 1 << 20,
        }
    }

    /// The name by which the broker knows the program, and keeps messages for it: of its own, and the same
    /// after each restart. Needed.
    pub fn client_id(mut self, id: impl Into<String>) -> Mqtt {
        self.client_id = id.into();
        self
    }

    /// The topics, in which `+` stands for any level, and `#` for all levels that follow. At least one is
    /// needed.
    ///
    /// A topic that a later version of the program leaves out stays in the session at the broker: give that
    /// version another [`client_id`](Mqtt::client_id).
    pub fn topics(mut self, topics: impl IntoIterator<Item = impl Into<String>>) -> Mqtt {
        self.topics.extend(topics.into_iter().map(Into::into));
        self
    }

    /// A name and a password. They are sent as they are: there is no TLS.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Mqtt {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// How often the broker hears of a program that has nothing to say; after one and a half times that it
    /// takes it for gone. At least a second. Default: one minute.
    pub fn keep_alive(mut self, time: Duration) -> Mqtt {
        self.keep_alive = time.max(Duration::from_secs(1));
        self
    }

    /// How large a message may be, with its topic. A larger one ends the connection, and the broker sends it
    /// again and again, which is reported. Default: 1 MiB.
    pub fn max_message_bytes(mut self, bytes: usize) -> Mqtt {
        self.max_message = bytes.clamp(1, 256 << 20);
        self
    }

    fn check(&self) -> std::result::Result<(), String> {
        if let Err(port) = &self.port {
            return Err(format!("`{port}` is no port: write the address as in localhost:1883"));
        }
        if self.client_id.is_empty() {
            return Err("it needs `.client_id(\"..\")`, by which the broker keeps messages for it".to_owned());
        }
        if self.topics.is_empty() {
            return Err("it needs `.topics([\"..\"])`, at least one: `#` is all there are".to_owned());
        }
        match self.topics.iter().find(|topic| !rumqttc::valid_filter(topic)) {
            Some(topic) => Err(format!(
                "`{topic}` can't be subscribed to: `+` must stand alone between two `/`, and `#` at the end"
            )),
            None => Ok(()),
        }
    }
}

/// Without the password.
impl fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mqtt")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("client_id", &self.client_id)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

/// See [`mqtt_stream`].
#[derive(Debug)]
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
pub struct MqttStream {
    mqtt: Mqtt,
    /// Whether the broker has taken the topics, since the program has started.
    subscribed: bool,
}

impl Receiver for MqttStream {
    type Block = MqttBlock;

    /// With the client, of which a broker may have several.
    fn name(&self) -> String {
        format!("mqtt_stream({}, {})", self.mqtt.host, self.mqtt.client_id)
    }

    fn check(&self) -> Result<()> {
        self.mqtt.check().map_err(|what| Error::Invalid(format!("{}: {what}", self.name())))
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<MqttBlock>,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
        self.mqtt.check()?;
        client::receive(&self.mqtt, ctx, &mut self.subscribed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_or_not() {
        for (address, host, port) in [
            ("broker", "broker", 1883),
            ("broker:1", "broker", 1),
            ("[::1]:2", "::1", 2),
            ("[::1]", "::1", 1883),
            ("::1", "::1", 1883),
        ] {
            let mqtt = Mqtt::new(address);
            assert_eq!((mqtt.host.as_str(), mqtt.port), (host, Ok(port)), "{address}");
        }
    }

    #[test]
    fn what_can_never_work_is_refused() {
        let error = |mqtt: Mqtt| mqtt_stream(mqtt).check().unwrap_err().to_string();
        let whole = || Mqtt::new("broker").client_id("me").topics(["a/+/#"]);
        mqtt_stream(whole()).check().unwrap();
        assert!(error(Mqtt::new("broker").topics(["a"])).contains("client_id"));
        assert!(error(Mqtt::new("broker").client_id("me")).contains("topics"));
        assert!(error(whole().topics(["a#"])).contains("`a#` can't be subscribed to"));
        assert!(error(Mqtt::new("broker:mqtt").client_id("me")).contains("`mqtt` is no port"));
    }
}
