//! Flume's Avro protocol: requests in Netty's frames, a handshake before the first one.

mod codec;
mod handshake;
mod protocol;

use dstream_core::receiver::ReceiverContext;

use self::codec::{Input, put_bytes, put_long};
use crate::{
    block::{Events, FlumeBlock},
    server::Connection,
    store::store,
    wire::{End, Wire},
};

/// The symbols of the protocol's `Status`, as numbers.
const OK: i64 = 0;
const FAILED: i64 = 1;

/// Serves a connection until it ends.
pub(crate) fn serve(
    wire: &mut Wire,
    connection: &Connection,
    ctx: &ReceiverContext<FlumeBlock>,
) -> Result<(), End> {
    let mut client = Client { knows_us: false, ctx };
    loop {
        wire.begin()?;
        let serial = wire.take_i32()?;
        let request = frame(wire, connection.max_request)?;
        let answer = client.answer(&request);
        let (answer, end) = match answer {
            Ok(answer) => (answer, None),
            Err(Refused { answer, why }) => (answer, Some(End::Failed(why))),
        };
        let length = i32::try_from(answer.len()).unwrap_or(i32::MAX);
        let head = [serial, 1, length].map(i32::to_be_bytes).concat();
        wire.write(&[head, answer].concat())?;
        if let Some(end) = end {
            return Err(end);
        }
    }
}

/// The buffers of a request, one behind the other.
fn frame(wire: &mut Wire, max_request: usize) -> Result<Vec<u8>, End> {
    let buffers = wire.take_i32()?;
    let mut request = Vec::new();
    let mut size = 0usize;
    for _ in 0..usize::try_from(buffers).map_err(|_| no_frame("buffers", buffers))? {
        let length = wire.take_i32()?;
        let length = usize::try_from(length).map_err(|_| no_frame("bytes", length))?;
        // What says that a buffer is empty counts, too: there is no end of these, else.
        size = size.saturating_add(length).saturating_add(4);
        if size > max_request {
            return Err(End::Failed(format!(
                "a request has {size} bytes or more, and may have {max_request}: let the agent send smaller \
                 batches (`batch-size`), or set `Flume::max_request_bytes`; or it is no request of Avro, or \
                 is compressed, and `Flume::compressed(true)` is missing"
            )));
        }
        request.extend_from_slice(wire.take(length)?);
    }
    Ok(request)
}

fn no_frame(what: &str, number: i32) -> End {
    End::Failed(format!(
        "a request has {number} {what}: this is no request of Avro. An agent needs a sink of the type \
         `avro`; if it has `compression-type = deflate`, say `Flume::compressed(true)`; TLS is not served"
    ))
}

/// A client, as far as it is known.
struct Client<'a> {
    /// Whether there was a handshake: later requests of a connection do without.
    knows_us: bool,
    ctx: &'a ReceiverContext<FlumeBlock>,
}

/// A request that makes no sense: what is answered, and why the connection ends.
struct Refused {
    answer: Vec<u8>,
    why: String,
}

impl Client<'_> {
    fn answer(&mut self, request: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut input = Input::new(request);
        let mut answer = Vec::new();
        let result = if self.knows_us {
            self.call(&mut input, true)
        } else {
            match handshake::shake(&mut input, &mut answer) {
                Ok(true) => {
                    self.knows_us = true;
                    self.call(&mut input, false)
                }
                // The client is told our protocol, and asks again with its own.
                Ok(false) => Ok(None),
                Err(why) => {
                    // What the client understands without having understood anything: an error.
                    handshake::accept(&mut answer);
                    Err(why)
                }
            }
        };
        match result {
            Ok(None) => Ok(answer),
            Ok(Some(status)) => {
                put_head(&mut answer, false);
                put_long(&mut answer, status);
                Ok(answer)
            }
            Err(why) => {
                put_head(&mut answer, true);
                // Of what may go wrong, the first: a text.
                put_long(&mut answer, 0);
                put_bytes(&mut answer, why.as_bytes());
                Err(Refused { answer, why })
            }
        }
    }

    /// The status of a call; `None` if there was none behind the handshake.
    fn call(&self, input: &mut Input<'_>, must_be: bool) -> Result<Option<i64>, String> {
        input.map(|_, _| {})?;
        let mut events = Events::new();
        match input.text()? {
            "append" => input.event(&mut events)?,
            "appendBatch" => input.blocks(|input| input.event(&mut events))?,
            "" if !must_be => return Ok(None),
            other => {
                return Err(format!("there is no message `{other}`: expected `append` or `appendBatch`"));
            }
        }
        input.end()?;
        let block = events.finish();
        // An empty batch needs no place in the log.
        let stored = dstream_core::source::Block::record_count(&block) == Some(0) || store(block, self.ctx);
        Ok(Some(if stored { OK } else { FAILED }))
    }
}

/// No metadata, and whether an error follows.
fn put_head(answer: &mut Vec<u8>, error: bool) {
    answer.extend([0, u8::from(error)]);
}
