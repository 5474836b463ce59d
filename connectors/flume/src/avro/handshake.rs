//! The handshake of a connection: client and server tell one another their protocols, by their hashes if they
//! can.

use super::{
    codec::{Input, put_bytes, put_long},
    protocol,
};

/// The symbols of `HandshakeMatch`, as numbers.
const BOTH: i64 = 0;
const CLIENT: i64 = 1;
const NONE: i64 = 2;

/// Reads the client's part, and writes ours. `false` says that the client's protocol is not known: it is to
/// send it.
pub(super) fn shake(input: &mut Input<'_>, answer: &mut Vec<u8>) -> Result<bool, String> {
    let client_hash = input.take(16)?;
    let client = input.optional(Input::text)?;
    let server_hash = input.take(16)?;
    input.optional(|input| input.map(|_, _| {}))?;
    let known = match client {
        Some(text) => {
            protocol::check(text)?;
            true
        }
        None => client_hash == protocol::HASH,
    };
    match (known, server_hash == protocol::HASH) {
        (true, true) => accept(answer),
        (true, false) => put(answer, CLIENT, true),
        // Java expects ours also where it knows it.
        (false, _) => put(answer, NONE, true),
    }
    Ok(known)
}

/// An answer that asks for nothing.
pub(super) fn accept(answer: &mut Vec<u8>) {
    put(answer, BOTH, false);
}

fn put(answer: &mut Vec<u8>, known: i64, tell: bool) {
    put_long(answer, known);
    put_long(answer, i64::from(tell));
    if tell {
        put_bytes(answer, protocol::TEXT.as_bytes());
    }
    put_long(answer, i64::from(tell));
    if tell {
        answer.extend(protocol::HASH);
    }
    // No metadata.
    put_long(answer, 0);
}
