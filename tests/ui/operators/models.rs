use dstream::{model::{Model, ModelHandle}, prelude::*};

fn arguments<M: Model<Example = Vec<f64>, Features = Vec<f64>>>(model: &ModelHandle<M>) {
    let _ = dstream::stream!(batch = 1s, {
        let points = queue_stream(vec![vec![vec![1.0]]]);
        points.train_on();
        points.predict_on(model, seed = 7).print();
        points.predicts_on(model).print();
        points.predict_on_values(model);
    });
    // State that nothing keeps.
    let _ = dstream::stream!(batch = 1s, { queue_stream(vec![vec![vec![1.0]]]).train_on(model); });
}

fn main() {}
