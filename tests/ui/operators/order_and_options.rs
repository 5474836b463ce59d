use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64, 2]]);
        nums.filter_map(|n| n + 1).print();
        nums.map(|n| n as f64).top(3).print();
        nums.inspect(|n| n + 1).print();
        nums.top(3, |n| *n as f64).print();
        nums.sort_by(|n| *n as f64).print();
    });
}
