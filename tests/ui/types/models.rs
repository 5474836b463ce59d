use dstream::{model::{Model, ModelHandle}, prelude::*};

fn records<M: Model<Example = Vec<f64>, Features = Vec<f64>, Prediction = usize>>(model: &ModelHandle<M>) {
    let _ = dstream::stream!(batch = 1s, { queue_stream(vec![vec![1.0]]).predict_on(model).print(); });
    let _ = dstream::stream!(batch = 1s, { queue_stream(vec![vec![1.0]]).predict_on_values(model).print(); });
    let _ = dstream::stream!(batch = 1s, checkpoint = "", { queue_stream(vec![vec![1.0]]).train_on(model); });
    let model = 1;
    let _ = dstream::stream!(batch = 1s, { queue_stream(vec![vec![1.0]]).predict_on(&model).print(); });
}

fn main() {}
