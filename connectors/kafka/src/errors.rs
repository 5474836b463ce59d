//! What the client's errors mean, and what to do.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

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

/// The error, with what its reader can do about it.
pub(crate) fn advice(error: &KafkaError) -> String {
    let hint = match error.rdkafka_error_code() {
        Some(Code::AllBrokersDown | Code::BrokerTransportFailure) => {
            "is a broker listening at that address and port, and does it speak the protocol of `security.protocol`?"
        }
        Some(Code::Resolve) => "the name of the broker can't be resolved: is it spelled right?",
        Some(Code::Authentication | Code::SaslAuthenticationFailed) => {
            "the broker refuses the credentials: look at `sasl.mechanism`, `sasl.username` and `sasl.password`"
        }
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => "the broker does not allow it: this user needs the rights to read the topic and the group",
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => {
            "the topic does not exist, or has fewer partitions"
        }
        Some(Code::SSL) => {
            "the TLS connection can't be made: look at `ssl.ca.location` and the names in the certificate"
        }
        Some(Code::UnknownMemberId | Code::IllegalGeneration | Code::RebalanceInProgress) => {
            "another program consumes under this group: give each its own"
        }
        _ => return error.to_string(),
    };
    format!("{error}: {hint}")
}
