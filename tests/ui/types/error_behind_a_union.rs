use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let a = socket_text_stream("localhost", 9999);
        let b = socket_text_stream("localhost", 9998);
        a.union(b).map(|line| line.length()).print();
    });
}
