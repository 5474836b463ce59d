use dstream::prelude::*;

fn main() {
    let ssc = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let words = lines.
        words.count().print();
        let = lines;
        let mut again = lines.map(|line| line.)
        let other = again.count().
    });
    let _ = ssc.unwrap().start();
}
