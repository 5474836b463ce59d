use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let pairs = lines.map(|line| (line, 1u64));
        pairs.left_outer_join(pairs, lines).print();
        pairs.right_outer_join(lines).print();
        pairs.full_outer_join().print();
        pairs.print();
    });
}
