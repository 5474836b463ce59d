//! `socket_stream`: records of any kind from a TCP server.

use std::fmt;

use bytes::BytesMut;

use super::{
    Decoder,
    tcp::{Fault, Framing, Server},
};
use crate::receiver::{Receiver, ReceiverContext, WalBlock};

/// Connects to a TCP server and yields the records that `decoder` finds in what it sends.
///
/// The connection is tried again like that of [`socket_text_stream`](crate::source::socket_text_stream()).
/// Bytes that the decoder refuses end the connection, with a warning; what came before them is kept, and a
/// new connection begins with a fresh decoder.
///
/// ```no_run
/// use dstream::{prelude::*, source::DelimiterDecoder};
///
/// let ssc = dstream::stream!(batch = 1s, {
///     let messages = socket_stream("localhost", 9999, DelimiterDecoder::new(b'\0'));
///     messages.map(|message| message.len()).print();
/// })?;
/// ssc.start()?;
/// ssc.await_termination()?;
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn socket_stream<D>(host: impl Into<String>, port: u16, decoder: D) -> SocketStream<D>
where
    D: Decoder + Clone,
    Vec<D::Item>: WalBlock,
{
    SocketStream { server: Server { host: host.into(), port }, decoder }
}

/// See [`socket_stream`].
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
#[derive(Clone)]
pub struct SocketStream<D> {
    server: Server,
    decoder: D,
}

impl<D> fmt::Debug for SocketStream<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketStream").field("server", &self.server).finish_non_exhaustive()
    }
}

impl<D: Decoder + Clone> Receiver for SocketStream<D>
where
    Vec<D::Item>: WalBlock,
{
    type Block = Vec<D::Item>;

    fn name(&self) -> String {
        format!("socket_stream({}:{})", self.server.host, self.server.port)
    }

    fn run(&mut self, ctx: &ReceiverContext<Vec<D::Item>>) -> Result<(), Fault> {
        let mut frames = Frames {
            decoder: self.decoder.clone(),
            space: vec![0; READ_SIZE],
            undecoded: BytesMut::new(),
            limit: ctx.config().receiver_buffer_bytes,
        };
        self.server.receive(&self.name(), &mut frames, ctx)
    }
}

const READ_SIZE: usize = 64 << 10;

/// The bytes that a decoder has not taken yet.
struct Frames<D> {
    decoder: D,
    /// Read into, then copied: a decoder's buffer holds nothing but what was received.
    space: Vec<u8>,
    undecoded: BytesMut,
    limit: usize,
}

impl<D: Decoder> Frames<D>
where
    Vec<D::Item>: WalBlock,
{
    /// Stores all that `decode` yields, also if it fails in the end.
    fn store(
        &mut self,
        ctx: &ReceiverContext<Vec<D::Item>>,
        mut decode: impl FnMut(&mut D, &mut BytesMut) -> Result<Option<D::Item>, Fault>,
    ) -> Result<(), Fault> {
        let before = self.undecoded.len();
        let mut records = Vec::new();
        let outcome = loop {
            match decode(&mut self.decoder, &mut self.undecoded) {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break Ok(()),
                Err(fault) => break Err(fault),
            }
        };
        let each = before.saturating_sub(self.undecoded.len()).div_ceil(records.len().max(1));
        while !records.is_empty() {
            let admitted =
                ctx.admit(|| records.len() as u64).and_then(|admitted| usize::try_from(admitted).ok());
            let left = records.split_off(admitted.unwrap_or(usize::MAX).min(records.len()));
            let piece = std::mem::replace(&mut records, left);
            let grow = |block: &mut Vec<D::Item>, records| {
                block.extend::<Vec<D::Item>>(records);
                None
            };
            ctx.extend(piece.len() * each.max(size_of::<D::Item>()), piece, grow, |records| records);
        }
        outcome
    }
}

impl<D: Decoder> Framing<Vec<D::Item>> for Frames<D>
where
    Vec<D::Item>: WalBlock,
{
    fn space(&mut self) -> &mut [u8] {
        &mut self.space
    }

    fn filled(&mut self, n: usize, ctx: &ReceiverContext<Vec<D::Item>>) -> Result<(), Fault> {
        self.undecoded.extend_from_slice(&self.space[..n]);
        self.store(ctx, D::decode)?;
        if self.undecoded.len() > self.limit {
            let found = self.undecoded.len();
            return Err(format!(
                "the decoder finds no record in {found} bytes, more than a receiver may hold"
            )
            .into());
        }
        Ok(())
    }

    fn ended(&mut self, ctx: &ReceiverContext<Vec<D::Item>>) -> Result<(), Fault> {
        self.store(ctx, D::decode_eof)
    }
}
