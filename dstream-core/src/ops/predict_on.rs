//! `predict_on` and `predict_on_values`: what a model says of each record.

use std::slice;

use crate::{
    DStream, Rdd, Record,
    batch::{Batch, Step},
    exec::run,
    model::{Model, ModelError, ModelHandle, trainer::refused},
    plan::OpMeta,
    record::Data,
    table::FEW,
};

impl<T: Record> DStream<T> {
    /// Asks a model for each record.
    ///
    /// All records of a batch are answered by one model. Behind the statement that trains it with
    /// [`train_on`](DStream::train_on), that has learned this batch; before it, or without one, only those
    /// before. A record that the model refuses fails the outputs that need the answers.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    #[doc = include_str!("../model/example.md")]
    /// let model = ModelHandle::new(Mean(9.0, 3.0)); // says how far a number is from a mean
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![3.0, 5.0]]).predict_on(&model).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [[0.0, 2.0]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn predict_on<M: Model<Features = T::Owned>>(self, model: &ModelHandle<M>) -> DStream<M::Prediction> {
        let _ = model;
        DStream::typed()
    }
}

impl<K: Record, V: Record> DStream<(K, V)> {
    /// As [`predict_on`](DStream::predict_on), for the value of each pair, which keeps its key.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    #[doc = include_str!("../model/example.md")]
    /// let model = ModelHandle::new(Mean(9.0, 3.0)); // says how far a number is from a mean
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![("a", 3.0), ("b", 5.0)]]).predict_on_values(&model).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [[("a".into(), 0.0), ("b".into(), 2.0)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn predict_on_values<M: Model<Features = V::Owned>>(
        self,
        model: &ModelHandle<M>,
    ) -> DStream<(K::Owned, M::Prediction)> {
        let _ = model;
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Asks the model for each record.
    pub fn predict_on<M: Model>(
        &self,
        op: &OpMeta,
        input: Step<Rdd<M::Features>>,
        model: &ModelHandle<M>,
    ) -> Step<Rdd<M::Prediction>> {
        self.predict(op, input, model, |model, features| model.predict(&features))
    }

    /// Asks the model for the value of each pair.
    pub fn predict_on_values<K: Data, M: Model>(
        &self,
        op: &OpMeta,
        input: Step<Rdd<(K, M::Features)>>,
        model: &ModelHandle<M>,
    ) -> Step<Rdd<(K, M::Prediction)>> {
        self.predict(op, input, model, |model, (key, features)| Ok((key, model.predict(&features)?)))
    }

    fn predict<T: Data, M: Model, P: Data>(
        &self,
        op: &OpMeta,
        input: Step<Rdd<T>>,
        model: &ModelHandle<M>,
        ask: impl Fn(&M, T) -> Result<P, ModelError> + Sync,
    ) -> Step<Rdd<P>> {
        let (input, model) = (input?, model.for_batch()?);
        let few = input.count() < FEW as u64;
        let answers = run(input.into_vecs(), few, |part| {
            let answers = self.guard(slice::from_ref(op), || {
                part.into_iter().map(|record| ask(&model, record)).collect::<Result<Vec<P>, _>>()
            });
            refused(self, op, answers)
        });
        Ok(Rdd::from_partitions(answers.into_iter().collect::<Step<Vec<_>>>()?))
    }
}
