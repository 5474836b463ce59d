use dstream::{prelude::*, sink::{Partition, Sink, SinkBatch, SinkError}};

struct Lines;

impl Sink<String> for Lines {
    type Part = ();

    fn write(&self, _: &SinkBatch, _: Partition<'_, String>) -> Result<(), SinkError> {
        Ok(())
    }

    fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        Ok(())
    }
}

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64]]);
        nums.write_to(Lines);
    });
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
