use dstream::prelude::*;

struct Big(Vec<u8>);

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let big = lines.map(|line| Big(line.as_bytes().to_vec()));
        big.map(|big| big.0.len()).print();
        big.map(|big| big.0.first().copied()).print();
    });
}
