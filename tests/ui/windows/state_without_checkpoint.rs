use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let pairs = queue_stream(vec![vec![("a", 1u64)]]);
        pairs.update_state_by_key(|new: &[u64], _old| new.first().copied()).print();
        pairs.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 3s, 1s).print();
        let (_events, open) = pairs.map_with_state(|_, _: Option<u64>, _: &mut State<u64>| None::<u64>);
        open.print();
        pairs.reduce_by_key_and_window(|a, b| a + b, 3s, 1s).named("sums").print();
    });
}
