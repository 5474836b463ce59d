use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let stop = text_file_stream("stop").words();
        lines.words().filter(|word| !stop.contains(word)).print();
    });
}
