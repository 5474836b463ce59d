use dstream::prelude::*;

fn main() {
    let mut n = 0u64;
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.map(|line| {
            n += 1;
            (line, n)
        }).print();
    });
}
