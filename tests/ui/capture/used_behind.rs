use dstream::prelude::*;

fn main() {
    let names = vec!["a".to_string()];
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.filter(|line| names.iter().any(|name| name == line)).print();
    });
    println!("{}", names.len());
}
