//! Clients of librdkafka, and what they tell of their connections.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientContext,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    types::RDKafkaErrorCode as Code,
};

use crate::errors::{advice, hint};

/// A client that reads, or that asks the cluster.
pub(crate) type Consumer = BaseConsumer<Told>;

/// What a client has told last of its connections. Its answers only say that there was none in time.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Option<(Code, String)>>>);

impl Told {
    /// The error with its reason, if it is that the cluster does not answer, and with what to do.
    pub(crate) fn explain(&self, error: &KafkaError) -> String {
        match self.last().take() {
            Some((code, reason)) if is_of_connection(error) => {
                let hint = hint(code).map(|hint| format!(": {hint}")).unwrap_or_default();
                format!("the cluster does not answer: {reason}{hint}")
            }
            _ => advice(error),
        }
    }

    /// The cluster answers.
    pub(crate) fn forget(&self) {
        *self.last() = None;
    }

    fn last(&self) -> MutexGuard<'_, Option<(Code, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").field(&*self.last()).finish()
    }
}

impl ClientContext for Told {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("librdkafka: {error}: {reason}");
        let Some(code) = error.rdkafka_error_code() else { return };
        let code = if says_no_more(code) { by_reason(reason).unwrap_or(code) } else { code };
        let mut last = self.last();
        // That all brokers are down says less than why.
        if code != Code::AllBrokersDown || last.is_none() {
            *last = Some((code, reason.to_owned()));
        }
    }
}

/// Whether an event says no more than that there is no connection: why, only its words say.
fn says_no_more(code: Code) -> bool {
    matches!(code, Code::AllBrokersDown | Code::BrokerTransportFailure)
}

/// What the words of an event are about. The same failure is told with its own code, or with one of the
/// above.
fn by_reason(reason: &str) -> Option<Code> {
    let codes = [("SSL routines", Code::SSL), ("SASL authentication error", Code::Authentication)];
    codes.into_iter().find(|(words, _)| reason.contains(words)).map(|(_, code)| code)
}

impl ConsumerContext for Told {}

/// As [`Told::explain`], of a client that only asks. It tells by events, which are given to those who poll.
pub(crate) fn explain(client: &Consumer, error: &KafkaError) -> String {
    drain(client);
    client.context().explain(error)
}

/// Takes the events of a client that only asks: they would pile up.
pub(crate) fn drain(client: &Consumer) {
    let events = std::iter::from_fn(|| client.poll(Duration::from_millis(1)));
    events.take(1_000).for_each(drop);
}

/// Whether an error says no more than that nothing was answered.
fn is_of_connection(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::MessageTimedOut
                | Code::Resolve
                | Code::Authentication
                | Code::SSL
                | Code::WaitingForCoordinator
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &[(Code, &str)]) -> String {
        let told = Told::default();
        events.iter().for_each(|(code, reason)| told.error(KafkaError::Global(*code), reason));
        told.explain(&KafkaError::Global(Code::BrokerTransportFailure))
    }

    #[test]
    fn no_code_hides_the_reason() {
        let refused = (Code::BrokerTransportFailure, "localhost:1: Connection refused");
        let tls = "sasl_ssl://localhost:1: error:0A000086:SSL routines::certificate verify failed";
        let all = |reason| (Code::AllBrokersDown, reason);
        for (events, wanted) in [
            (vec![all(tls)], "look at `ssl.ca.location`"),
            (vec![(Code::BrokerTransportFailure, tls)], "look at `ssl.ca.location`"),
            (vec![(Code::SSL, tls), all("1/1 brokers are down")], "look at `ssl.ca.location`"),
            (vec![all("localhost:1: SASL authentication error: no")], "look at `sasl.mechanism`"),
            (vec![refused, all("1/1 brokers are down")], "is a broker listening"),
            (vec![all("1/1 brokers are down"), refused], "Connection refused"),
        ] {
            let text = told(&events);
            assert!(text.contains(wanted), "{events:?}: {text}");
        }
    }
}
