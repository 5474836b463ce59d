use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, checkpoint = "folder", {
        let pairs = queue_stream(vec![vec![("a", 1u64)]]);
        pairs.update_state_by_key(|new: &[u64], _old| new.first().copied(), migrate = |old| old + 1).print();
        pairs.reduce_by_key_and_window(|a, b| a + b, 3s, migrate = 7).print();
        pairs.reduce_by_key_and_window(|a, b| a + b, 3s, migrate = |key: u8, old: u64| old).print();
        pairs.group_by_key(migrate = |old: u64| old).print();
    });
}
