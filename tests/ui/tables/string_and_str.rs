use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let pairs = lines.map(|line| (line, 1u64));
        let table = queue_stream(vec![vec![("a".to_string(), 2u64)]]);
        pairs.join(table).print();
        pairs.left_outer_join(table).print();
        pairs.cogroup(table).print();
        pairs.union(table).print();
    });
}
