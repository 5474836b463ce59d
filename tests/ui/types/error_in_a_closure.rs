use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.map(|line| line.length()).print();
        lines.filter(|line| line.len()).print();
        lines.flat_map(|line| line.len()).print();
        lines.map(|line| (line, true)).reduce_by_key(|a, b| a + b).print();
    });
}
