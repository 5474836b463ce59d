use dstream::prelude::*;

async fn save(n: u64) -> Result<(), std::io::Error> {
    println!("{n}");
    Ok(())
}

fn main() {
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.foreach_rdd(|rdd| save(rdd.count()));
        lines.foreach_rdd(async |rdd| { save(rdd.count()).await.unwrap(); });
        lines.foreach_partition(|part| async move { let _ = part.len(); });
        lines.map(async |line| line.len()).print();
    });
}
