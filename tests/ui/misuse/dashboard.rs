use dstream::prelude::*;

#[derive(Record, Clone)]
struct Visit {
    page: &'static str,
}

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.dashboard("Lines", Chart::bar());
        let took = lines.map(|line| (line.len(), std::time::Duration::from_millis(1)));
        took.dashboard("Took", Chart::line());
        took.count().dashboard("Points", Chart::map());
        took.count_by_value().dashboard("Number", Chart::number());
        took.dashboard("First 3", Chart::number().top(3));
        took.dashboard(7, Chart::table());
        lines.map(|_| Visit { page: "/" }).dashboard("Visits", Chart::table());
    });
}
