use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let all = lines.collect();
        lines.for_each(|line| println!("{line}"));
        lines.sum().print();
        lines.take(3).print();
        lines.fold(0, |a, b| a + b).print();
        lines.clone().print();
        lines.frobnicate().print();
        lines.words().frobnicate().print();
        lines.words().by_window(3).print();
    });
}
