use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let pairs = lines.map(|line| (line, 1u64));
        lines.union(pairs).print();
        pairs.print();
    });
}
