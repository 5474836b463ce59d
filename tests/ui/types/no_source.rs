use dstream::prelude::*;

fn main() {
    let numbers = vec![1, 2, 3];
    let _ = dstream::stream!(batch = 1s, {
        numbers.map(|n| n + 1).print();
    });
}
