use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.map(|line| (0..line.len(), 1u64)).reduce_by_key(|a, b| a + b).print();
    });
}
