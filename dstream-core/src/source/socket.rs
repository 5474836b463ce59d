//! `socket_text_stream`: lines of text from a TCP server.

use super::{
    TextBlock,
    lines::LineBuffer,
    tcp::{Fault, Server},
};
use crate::receiver::{Receiver, ReceiverContext};

/// Connects to a TCP server and yields the lines of text that it sends.
///
/// If the server isn't there, or goes away, that is a warning, and the connection is tried again after a
/// delay that grows (see [`Config::restart_delay`](crate::Config::restart_delay)). A line longer than
/// [`Config::max_line_bytes`](crate::Config::max_line_bytes) is cut. If batches can't keep up, the server is
/// slowed down.
///
/// ```no_run
/// use dstream::prelude::*;
///
/// let ssc = dstream::stream!(batch = 1s, {
///     let lines = socket_text_stream("localhost", 9999);
///     lines.flat_map(|line| line.split(' ')).count_by_value().print();
/// })?;
/// ssc.start()?;
/// ssc.await_termination()?;
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn socket_text_stream(host: impl Into<String>, port: u16) -> SocketTextStream {
    SocketTextStream { server: Server { host: host.into(), port } }
}

/// See [`socket_text_stream`].
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
#[derive(Clone, Debug)]
pub struct SocketTextStream {
    server: Server,
}

impl Receiver for SocketTextStream {
    type Block = TextBlock;

    fn name(&self) -> String {
        format!("socket_text_stream({}:{})", self.server.host, self.server.port)
    }

    fn run(&mut self, ctx: &ReceiverContext<TextBlock>) -> Result<(), Fault> {
        let mut lines = LineBuffer::new(ctx.config().max_line_bytes);
        self.server.receive(&self.name(), &mut lines, ctx)
    }
}
