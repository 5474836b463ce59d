use dstream::{ml::StreamingKMeans, prelude::*};

fn main() {
    let model = StreamingKMeans::new(1).random_centers(1, 0.0, 7).build().unwrap();
    let _ = dstream::stream!(batch = 1s, {
        let points = queue_stream(vec![vec![vec![1.0]]]);
        points.train_on();
        points.predict_on(&model, seed = 7).print();
        points.predict(&model).print();
        points.predict_on_values(&model);
    });
    // State that nothing keeps.
    let _ = dstream::stream!(batch = 1s, { queue_stream(vec![vec![vec![1.0]]]).train_on(&model); });
    // Records that the model does not know.
    let _ = dstream::stream!(batch = 1s, { queue_stream(vec![vec![1.0]]).predict_on(&model).print(); });
}
