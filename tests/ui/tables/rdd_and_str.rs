use dstream::prelude::*;

fn main() {
    let table = Rdd::parallelize(vec![("a".to_string(), 2u64)]);
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let pairs = lines.map(|line| (line, 1u64));
        pairs.transform(|rdd| rdd.join(&table)).print();
    });
}
