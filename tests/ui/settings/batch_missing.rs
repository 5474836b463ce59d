use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!({
        let lines = socket_text_stream("localhost", 9999);
        lines.print();
    });
}
