use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.map().print();
        lines.map(|a, b| a).print();
        lines.count(5).print();
    });
}
