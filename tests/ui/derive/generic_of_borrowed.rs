use dstream::prelude::*;

#[derive(Clone, Record)]
struct Wrapper<T>(T);

fn main() {
    let out = Collected::new();
    let _ = dstream::stream!(batch = 1s, {
        socket_text_stream("localhost", 9999).map(|line| Wrapper(line)).collect_to(&out);
    });
}
