use dstream::prelude::*;

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64]]);
        nums.write_to("a table");
    });
    let _ = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64]]);
        nums.print(retry = 5);
    });
    let _ = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64]]);
        nums.write_to();
        nums.print(retries = Retry::never());
    });
}
