use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let pairs = lines.map(|line| (line, 1u64));
        lines.map(|line| line.len() as f64).count_by_value().print();
        pairs.print();
    });
}
