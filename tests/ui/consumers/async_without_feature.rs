use dstream::prelude::*;

async fn save(n: u64) -> Result<(), std::io::Error> {
    println!("{n}");
    Ok(())
}

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.foreach_rdd_async(async |rdd| save(rdd.count()).await);
    });
}
