use dstream::prelude::*;

struct Unwritable;

fn main() {
    let _ = dstream::stream!(batch = 1s, checkpoint = "folder", {
        let pairs = queue_stream(vec![vec![("a", 1u64)]]);
        pairs
            .update_state_by_key(|new: &[u64], _old| new.first().copied(), migrate = |_old: Unwritable| 1u64)
            .print();
        pairs.reduce_by_key_and_window(|a, b| a + b, 3s, migrate = |old: u32| old.to_string()).print();
    });
}
