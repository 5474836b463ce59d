use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let pairs = queue_stream(vec![vec![(1, 2)]]);
        pairs.reduce_by_key(|a, b| a + b, partition = 8).print();
    });
}
