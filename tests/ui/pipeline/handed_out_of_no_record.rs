use dstream::prelude::*;

struct Unowned;

fn main() -> dstream::Result<()> {
    let (_ssc, _unowned) = dstream::stream!(batch = 1s, { socket_text_stream("localhost", 9999).map(|_| Unowned) })?;
    let ssc = dstream::stream!(batch = 1s, { socket_text_stream("localhost", 9999).map(|line| line.len()) })?;
    ssc.start()
}
