use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64, 2]]);
        nums.map(|n| (n, 0.5)).top_by_key(3).print();
    });
}
