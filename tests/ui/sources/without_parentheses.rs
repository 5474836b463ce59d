use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = text_file_stream("logs").new_files_only(false);
        lines.print();
        queue_stream(vec![vec![1]]).all_at_once().print();
        socket_text_stream("localhost", 9999).max_line(10).map(|line| line.len()).print();
    });
}
