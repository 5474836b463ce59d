#![deny(warnings)]
use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let words = lines.flat_map(|line| line.split(' '));
        let _lengths = lines.map(|line| line.len());
        lines.print();
    });
}
