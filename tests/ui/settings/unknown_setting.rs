use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batsh = 1s, { queue_stream(vec![vec![1]]).print() });
    let _ = dstream::stream!(batch = 1s, interval = 2s, { queue_stream(vec![vec![1]]).print() });
    let ssc = StreamingContext::new(std::time::Duration::from_secs(1)).unwrap();
    let _ = dstream::stream!(ssc, batch = 1s, { queue_stream(vec![vec![1]]).print() });
    let _ = dstream::stream!(batch = 1s);
}
