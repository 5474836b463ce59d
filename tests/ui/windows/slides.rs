use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 2s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.window(5s).print();
        lines.count_by_window(10s, 3s).print();
        lines.window(10s, 4s).window(10s, 8s).print();
        lines.window(10, 4s).print();
        lines.window(8s, 4s).union(lines).print();
    });
}
