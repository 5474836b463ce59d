//! What the client's errors mean, and what to do.

use dstream_core::Error;
use rdkafka::{
    error::KafkaError,
    types::{RDKafkaConfRes as Conf, RDKafkaErrorCode as Code},
};

/// What is to be done about messages that are gone.
pub(crate) const SKIP: &str = "To go on without them, set `.on_loss(OnLoss::Skip)` and start again";

/// Whether an error says that an offset is none that the broker has.
pub(crate) fn is_out_of_range(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::NoOffset)
    )
}

/// Whether an error says that a topic or a partition does not exist.
pub(crate) fn is_unknown(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition)
    )
}

/// Why a client could not be made: nothing is asked of the network for that, so a setting is wrong.
pub(crate) fn settings_error(name: &str, error: &KafkaError) -> Error {
    Error::Invalid(format!("`{name}`: {}", settings_advice(error)))
}

/// As [`advice`], of an error of the settings. The value is not shown: it may be a secret.
pub(crate) fn settings_advice(error: &KafkaError) -> String {
    const LIST: &str = "all are listed in librdkafka's CONFIGURATION.md";
    match error {
        KafkaError::ClientConfig(Conf::RD_KAFKA_CONF_UNKNOWN, _, option, _) => {
            format!("the option `{option}` is no setting of librdkafka: is it spelled right? {LIST}")
        }
        KafkaError::ClientConfig(Conf::RD_KAFKA_CONF_INVALID, _, option, _) if is_left_out(option) => {
            format!(
                "the option `{option}` needs the feature `ssl` of `dstream-kafka`, or `kafka-ssl` of \
                 `dstream`"
            )
        }
        KafkaError::ClientConfig(_, what, option, value) => {
            // librdkafka puts the value into its sentence.
            let what = if value.is_empty() { what.clone() } else { what.replace(value.as_str(), "..") };
            format!("the option `{option}` can't be set: {what}; {LIST}")
        }
        // A file that a setting names is read when the client is made.
        KafkaError::ClientCreation(what) if what.starts_with("ssl.") => {
            let (option, why) = what.split_once(" failed: ").unwrap_or((what, "no reason is given"));
            format!(
                "the option `{option}` can't be used: is its file there, and in the form that it must have? \
                 ({why})"
            )
        }
        _ => advice(error),
    }
}

/// Whether librdkafka knows a setting only if it is built with TLS.
fn is_left_out(option: &str) -> bool {
    !cfg!(feature = "ssl") && option.starts_with("ssl.")
}

/// The error, with what its reader can do about it.
pub(crate) fn advice(error: &KafkaError) -> String {
    match error.rdkafka_error_code().and_then(hint) {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    }
}

/// What the reader of an error can do about it.
pub(crate) fn hint(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::AllBrokersDown | Code::BrokerTransportFailure => {
            "is a broker listening at that address and port, and does it speak the protocol of \
             `security.protocol`?"
        }
        Code::Resolve => "the name of the broker can't be resolved: is it spelled right?",
        Code::Authentication | Code::SaslAuthenticationFailed => {
            "the broker refuses the credentials: look at `sasl.mechanism`, `sasl.username` and \
             `sasl.password`"
        }
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => {
            "the broker does not allow it: this user needs rights for the topic, the group and the \
             transactional id"
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            "the topic does not exist, or has fewer partitions"
        }
        Code::SSL => {
            "the TLS connection can't be made: look at `ssl.ca.location` and the names in the certificate"
        }
        Code::UnknownMemberId | Code::IllegalGeneration | Code::RebalanceInProgress => {
            "another program consumes under this group: give each its own"
        }
        _ => return None,
    })
}
