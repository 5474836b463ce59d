//! Where `named` means nothing, and what it takes.

use dstream::prelude::*;

const NAME: &str = "name";

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let numbers = queue_stream(vec![vec![1u64]]).named("numbers");
        numbers.map(|n| n + 1).named("next").print();
    });
    let _ = dstream::stream!(batch = 1s, {
        let recent = queue_stream(vec![vec![1u64]]).window(2s);
        recent.named("recent").print();
    });
    let _ = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64]]).print().named("one").named("two");
    });
    let _ = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64]]).print().named(NAME);
    });
    let _ = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64]]).print().named("");
    });
    let _ = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64]]).print().named();
    });
    let _ = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64]]).print().name("first");
    });
}
