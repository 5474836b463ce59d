//! What a checkpoint could not tell apart.

use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, checkpoint = "folder", {
        let pairs = queue_stream(vec![vec![("a", 1u64)]]);
        pairs.reduce_by_key_and_window(|a, b| a + b, 2s).print();
        pairs.reduce_by_key_and_window(|a, b| a.max(b), 2s).print();
    });
    // The second `let` hides the first, but both run.
    let _ = dstream::stream!(batch = 1s, checkpoint = "folder", {
        let pairs = queue_stream(vec![vec![("a", 1u64)]]);
        let sums = pairs.update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.len() as u64));
        sums.print();
        let sums = pairs.update_state_by_key(|new: &[u64], _| new.first().copied());
        sums.print();
    });
    let _ = dstream::stream!(batch = 1s, checkpoint = "folder", {
        let numbers = queue_stream(vec![vec![1u64]]);
        numbers.print();
        numbers.map(|n| n + 1).print().named("next");
        numbers.print(3);
        numbers.map(|n| n + 2).print().named("next");
    });
}
