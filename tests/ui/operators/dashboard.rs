use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.dashboard("Lines");
        lines.dashboard("Retried", Chart::table(), retry = Retry::new());
    });
}
