//! Settings of librdkafka that are passed through by name.

use std::{collections::BTreeMap, fmt};

use rdkafka::ClientConfig;

/// Settings by name. Those that are secret are never shown.
#[derive(Clone, Default)]
pub(crate) struct Options(BTreeMap<String, String>);

/// Settings that a source makes itself, and what says the same.
pub(crate) const OF_SOURCE: &[(&str, &str)] = &[
    ("bootstrap.servers", "give the brokers to `Kafka::new`"),
    ("metadata.broker.list", "give the brokers to `Kafka::new`"),
    ("group.id", "use `.group(..)`"),
    ("auto.offset.reset", "use `.start(..)` and `.on_loss(..)`"),
    ("enable.auto.commit", "offsets are committed when their batch is done, with `.group(..)`"),
    ("auto.commit.enable", "offsets are committed when their batch is done, with `.group(..)`"),
    ("enable.auto.offset.store", "offsets are committed when their batch is done, with `.group(..)`"),
    ("enable.partition.eof", "the source needs to know where a range ends"),
];

/// Settings that a sink makes itself, and what says the same.
pub(crate) const OF_SINK: &[(&str, &str)] = &[
    ("bootstrap.servers", "give the brokers to `Kafka::sink`"),
    ("metadata.broker.list", "give the brokers to `Kafka::sink`"),
    ("transactional.id", "use `.transactional()`, and name the pipeline and the output"),
    ("enable.idempotence", "it is always on, so that no message is there twice or out of order"),
    ("group.id", "the group is named as the pipeline and the output"),
];

impl Options {
    pub(crate) fn insert(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    /// Refuses what the source or the sink depends on.
    pub(crate) fn check(&self, owned: &[(&str, &str)]) -> Result<(), String> {
        match owned.iter().find(|(name, _)| self.0.contains_key(*name)) {
            Some((name, instead)) => Err(format!("the option `{name}` can't be set: {instead}")),
            None => Ok(()),
        }
    }

    pub(crate) fn apply(&self, config: &mut ClientConfig) {
        for (name, value) in &self.0 {
            config.set(name, value);
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &str, value| if is_secret(name) { "(secret)" } else { value };
        f.debug_map().entries(self.0.iter().map(|(name, value)| (name, shown(name, value)))).finish()
    }
}

/// Whether the value of a setting must not be shown.
fn is_secret(name: &str) -> bool {
    ["password", "secret", "token", "jaas", "key.pem", "sasl.oauthbearer.config"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let mut options = Options::default();
        for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            options.insert(name.into(), "hunter2".into());
        }
        options.insert("sasl.username".into(), "ann".into());
        let shown = format!("{options:?}");
        assert!(!shown.contains("hunter2") && shown.contains("ann"), "{shown}");
    }
}
