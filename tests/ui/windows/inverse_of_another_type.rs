use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, checkpoint = "checkpoint", {
        let pairs = queue_stream(vec![vec![("a", 1u64)]]);
        pairs.reduce_by_key_and_window(|a, b| a + b, |a, b| a as i64 - b as i64, 3s, 1s).print();
    });
}
