//! Word count over prepared batches: no network, no port.
use dstream::prelude::*;

fn main() -> dstream::Result<()> {
    let batches = vec![
        vec!["hello hello world".to_owned()],
        vec![],
        vec!["aaa bbb ccc".to_owned(), "ccc ddd".to_owned()],
    ];
    let ssc = dstream::stream!(batch = 1s, {
        let lines = queue_stream(batches);
        let pairs = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1u64));
        pairs.reduce_by_key(|a, b| a + b).print();
    })?;
    ssc.run_batches(3)
}
