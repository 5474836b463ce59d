//! Flume's Thrift protocol: `ThriftSourceProtocol` in frames, by the compact protocol.

mod compact;

use dstream_core::{receiver::ReceiverContext, source::Block};

use self::compact::{BINARY, Input, LIST, Message, Output, STRUCT};
use crate::{
    block::{Events, FlumeBlock},
    server::Connection,
    store::store,
    wire::{End, Wire},
};

/// The values of the protocol's `Status`.
const OK: i32 = 0;
const FAILED: i32 = 1;

/// Why a call failed, as `TApplicationException` has it.
const UNKNOWN_METHOD: i32 = 1;
const PROTOCOL_ERROR: i32 = 7;

/// Serves a connection until it ends.
pub(crate) fn serve(
    wire: &mut Wire,
    connection: &Connection,
    ctx: &ReceiverContext<FlumeBlock>,
) -> Result<(), End> {
    loop {
        wire.begin()?;
        let length = wire.take_i32()?;
        let limit = connection.max_request;
        let length = usize::try_from(length).ok().filter(|length| *length <= limit).ok_or_else(|| {
            End::Failed(format!(
                "a request has {length} bytes, and may have {limit}: let the agent send smaller batches \
                 (`batch-size`), or set `Flume::max_request_bytes`; or it comes without frames or by TLS, \
                 which are not served: an agent needs a sink of the type `thrift`"
            ))
        })?;
        let (answer, end) = answer(wire.take(length)?, ctx);
        if let Some(answer) = answer {
            let length = i32::try_from(answer.len()).unwrap_or(i32::MAX);
            wire.write(&[&length.to_be_bytes()[..], &answer].concat())?;
        }
        if let Some(why) = end {
            return Err(End::Failed(why));
        }
    }
}

/// What is answered, and why the connection ends, if it does.
fn answer(request: &[u8], ctx: &ReceiverContext<FlumeBlock>) -> (Option<Vec<u8>>, Option<String>) {
    let mut input = Input::new(request);
    let message = match input.message() {
        Ok(message) => message,
        Err(why) => return (None, Some(why)),
    };
    let Message { name, sequence, .. } = message;
    let refuse = |kind, why: String| (Some(Output::exception(name, sequence, kind, &why)), Some(why));
    let read = match name {
        "append" => events(&mut input, STRUCT, event),
        "appendBatch" => {
            events(&mut input, LIST, |input, events| input.list(STRUCT, |input| event(input, events)))
        }
        _ => {
            let why = format!("there is no method `{name}`: expected `append` or `appendBatch`");
            return refuse(UNKNOWN_METHOD, why);
        }
    };
    let block = match read {
        Ok(block) => block,
        Err(why) => return refuse(PROTOCOL_ERROR, why),
    };
    // An empty batch needs no place in the log.
    let stored = block.record_count() == Some(0) || store(block, ctx);
    // A call that wants no answer gets none.
    let answer = message.answered.then(|| Output::status(name, sequence, if stored { OK } else { FAILED }));
    (answer, None)
}

/// The arguments of a call, of which there is one.
fn events(
    input: &mut Input<'_>,
    kind: u8,
    read: impl Fn(&mut Input<'_>, &mut Events) -> Result<(), String>,
) -> Result<FlumeBlock, String> {
    let mut events = Events::new();
    let mut found = false;
    input.fields(|input, id, of| {
        if id == 1 && of == kind && !found {
            found = true;
            return read(input, &mut events);
        }
        input.skip(of)
    })?;
    input.end()?;
    if !found {
        return Err("the call has no events: it is of another protocol than Flume".to_owned());
    }
    Ok(events.finish())
}

/// A `ThriftFlumeEvent`; the body may stand before the headers.
fn event(input: &mut Input<'_>, events: &mut Events) -> Result<(), String> {
    let mut body = None;
    input.fields(|input, id, of| match (id, of) {
        (1, compact::MAP) => input.map(|name, value| events.header(name, value)),
        (2, BINARY) => {
            body = Some(input.bytes()?);
            Ok(())
        }
        _ => input.skip(of),
    })?;
    events.body(body.ok_or("an event has no body, which it must have")?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<FlumeBlock, String> {
        events(&mut Input::new(bytes), STRUCT, event)
    }

    #[test]
    fn fields_that_are_not_known_are_left_out() {
        // {1: {2: "x", 9: [[1]], 1: {"a": "b"}, 5: true}, 7: 3 as i64}
        let event = [0x28, 1, b'x', 0x79, 0x19, 0x15, 2, 0x0b, 2, 1, 0x88, 1, b'a', 1, b'b', 0x41, 0];
        let call = [&[0x1c][..], &event, &[0x66, 6, 0]].concat();
        let mut block = read(&call).unwrap();
        let found: Vec<_> = block.records().collect();
        assert_eq!((found.len(), found[0].body(), found[0].header("a")), (1, &b"x"[..], Some("b")));
        // Cut anywhere, it is refused.
        for length in 0..call.len() {
            assert!(read(&call[..length]).is_err(), "{length}");
        }
        assert!(read(&[0x1c, 0, 0]).unwrap_err().contains("no body"));
        assert!(read(&[0]).unwrap_err().contains("no events"));
    }
}
