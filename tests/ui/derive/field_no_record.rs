use dstream::prelude::*;

#[derive(Clone)]
struct Opaque(u32);

#[derive(Clone, Record)]
struct Visit<'a> {
    user: &'a str,
    secret: Opaque,
}

fn main() {
    let out = Collected::new();
    let _ = dstream::stream!(batch = 1s, {
        socket_text_stream("localhost", 9999).map(|line| Visit { user: line, secret: Opaque(1) }).collect_to(&out);
    });
}
