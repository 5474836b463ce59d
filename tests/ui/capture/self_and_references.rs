use dstream::prelude::*;

struct App {
    min: usize,
}

impl App {
    fn run(&self, prefix: &str) {
        let _ = dstream::stream!(batch = 1s, {
            let lines = socket_text_stream("localhost", 9999);
            lines.filter(|line| line.len() > self.min).print();
            lines.filter(|line| line.starts_with(prefix)).print();
        });
    }
}

fn main() {
    App { min: 1 }.run("a");
}
