use dstream::prelude::*;

fn counts(ssc: &StreamingContext, lines: impl TextStream) -> dstream::Result<StreamHandle<u64>> {
    dstream::stream!(ssc, { lines.count() })
}

fn main() {
    let ssc = StreamingContext::new(std::time::Duration::from_secs(1)).unwrap();
    let _ = counts(&ssc, queue_stream(vec![vec![1, 2]]));
    let _ = counts(&ssc, vec!["a", "b"]);
}
