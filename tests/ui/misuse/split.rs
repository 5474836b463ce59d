use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let numbers = queue_stream(vec![vec![1, 2]]);
        numbers.map(|n| n + 1).split(b' ').print();
    });
}
