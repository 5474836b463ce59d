use dstream::prelude::*;

fn lengths<F: Fn(&str) -> u64>(ssc: &StreamingContext, length: F) -> dstream::Result<()> {
    dstream::stream!(ssc, {
        let lines = socket_text_stream("localhost", 9999);
        lines.map(|line| length(line)).print();
    })?;
    Ok(())
}

fn main() {}
