use dstream::prelude::*;

fn main() -> dstream::Result<()> {
    let (ssc, words) = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.flat_map(|line| line.spilt(' '))
    })?;
    dstream::stream!(ssc, {
        words.flatMap(|word| word.chars())
    })?;
    Ok(())
}
