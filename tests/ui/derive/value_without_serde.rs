use dstream::prelude::*;

#[derive(Debug, Clone, Record)]
struct Count(u64);

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.map(|line| (line, Count(1))).reduce_by_key(|a, b| Count(a.0 + b.0)).print();
    });
}
