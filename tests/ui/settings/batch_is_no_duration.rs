use dstream::prelude::*;

fn main() {
    let seconds = 1u64;
    let _ = dstream::stream!(batch = 1, { queue_stream(vec![vec![1]]).print() });
    let _ = dstream::stream!(batch = "1s", { queue_stream(vec![vec![1]]).print() });
    let _ = dstream::stream!(batch = 1sec, { queue_stream(vec![vec![1]]).print() });
    let _ = dstream::stream!(batch = 0s, { queue_stream(vec![vec![1]]).print() });
    let _ = dstream::stream!(batch = seconds, { queue_stream(vec![vec![1]]).print() });
}
