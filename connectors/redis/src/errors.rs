//! What the errors mean, and which of them may pass.

use dstream_core::sink::SinkError;
use redis::{ErrorKind, RedisError};

/// The error, with what was done and what its reader can do about it; transient if it may pass.
pub(crate) fn failed(error: &RedisError, doing: &str) -> SinkError {
    let hint = match error.code() {
        _ if error.is_connection_refusal() => ": does Redis listen at this address and port?",
        Some("NOAUTH" | "WRONGPASS") => ": look at the user and the password in the address",
        _ if error.kind() == ErrorKind::AuthenticationFailed => {
            ": look at the user and the password in the address, `redis://user:password@host`"
        }
        Some("READONLY") => ": this is a replica; name the server that it follows",
        Some("MISCONF") => ": Redis can't write to its disk",
        Some("OOM") => ": Redis has no room left (`maxmemory`)",
        Some("NOPERM") => ": this user needs the right to do that (`ACL`)",
        Some("MOVED" | "CROSSSLOT") => {
            ": a cluster can't be written to, as its transactions have keys of one slot only"
        }
        _ => "",
    };
    let message = format!("{doing}: {error}{hint}");
    match may_pass(error) {
        true => SinkError::transient(message),
        false => SinkError::permanent(message),
    }
}

fn may_pass(error: &RedisError) -> bool {
    // A reply that breaks off is one of a connection that does.
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_timeout()
        || error.kind() == ErrorKind::Parse
        || error.code().is_some_and(passes)
}

/// Whether an error of the server, by its first word, may pass.
pub(crate) fn passes(code: &str) -> bool {
    ["LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "MISCONF", "OOM", "BUSY", "NOREPLICAS"]
        .contains(&code)
}
