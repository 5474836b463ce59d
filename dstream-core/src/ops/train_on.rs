//! `train_on`: runs in [`Trainer`](crate::model::trainer::Trainer).

use crate::{
    DStream, Record,
    model::{Model, ModelHandle},
};

impl<T: Record> DStream<T> {
    /// Trains a model on each batch, and yields it: one record a batch.
    ///
    /// It does so also where nothing reads the result, and counts as an output then. A model is trained by
    /// one operator; several streams are brought together by [`union`](DStream::union) first.
    ///
    /// The model is state: it is in the checkpoint, and a restart goes on from there with the settings of the
    /// program as it is then. A batch that runs again after a restart is learned from the model of the batch
    /// before it, so nothing is learned twice. A batch that fails before it reaches the model, or that the
    /// model refuses, is lost to it: what needs the model fails until the program is started again.
    ///
    /// Statements have an order here: what asks the model in a statement above sees it as the batch before
    /// has left it, what asks it below sees this batch learned. In several pipelines, the order is that in
    /// which they were added.
    ///
    /// Option: `migrate = |old: Old| ..` makes a [`State`](Model::State) of what an older version of the
    /// program has kept as another type.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    #[doc = include_str!("../model/example.md")]
    /// let model = ModelHandle::new(Mean(0.0, 0.0)); // of all numbers there were
    /// let sums = Collected::new();
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let checkpoint = dir.path();
    /// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
    ///     let numbers = queue_stream(vec![vec![1.0, 2.0], vec![6.0]]);
    ///     numbers.train_on(&model).map(|mean| mean.0).collect_to(&sums);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(sums.values(), [[3.0], [9.0]]);
    /// assert_eq!(model.latest().state(), (9.0, 3.0));
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn train_on<M: Model<Example = T::Owned>>(self, model: &ModelHandle<M>) -> DStream<M> {
        let _ = model;
        DStream::typed()
    }
}
