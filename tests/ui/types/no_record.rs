use dstream::prelude::*;

struct Tweet;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.map(|_line| Tweet).foreach_rdd(|rdd| drop(rdd));
    });
}
