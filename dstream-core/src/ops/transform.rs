//! `transform` and `transform_with`: any function from batch to batch.

use crate::{
    DStream, Rdd, Record, Time,
    batch::{Batch, Step},
    plan::OpMeta,
    rdd::{IntoRdd, PartOf},
    record::Data,
};

impl<T: Record> DStream<T> {
    /// Passes each batch, as an [`Rdd`], through `f`: `|rdd|`, or `|rdd, time|` with the batch's time.
    ///
    /// `f` runs on the driver's thread, one batch at a time, and may change what it captured; what it returns
    /// is an `Rdd` or a chain of its operations ([`RddOps`](crate::rdd::RddOps)), which are run in parallel. This
    /// is how a batch is joined with a table, and the table may change between batches.
    ///
    /// It may also return a `Result` of one of these, with any error, which fails the batch.
    ///
    /// Of several processes each passes the part of the batch that is in it: there an action such as `count`,
    /// or a shuffle, fails the batch, with an error that says what to write in place of it.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let spam = Rdd::parallelize(vec![("viagra".to_owned(), true)]);
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let counts = queue_stream(vec![vec![("hello".to_owned(), 2u64), ("viagra".to_owned(), 9)]]);
    ///     let clean = counts.transform(move |rdd| rdd.left_outer_join(&spam).filter(|(_, (_, spam))| spam.is_none()));
    ///     clean.map(|(word, (n, _))| (word, n)).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("hello".to_owned(), 2)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn transform<R: IntoRdd>(self, f: impl FnMut(Rdd<T::Owned>) -> R) -> DStream<R::Record> {
        drop(f);
        DStream::typed()
    }

    /// As [`transform`](DStream::transform), with the batches of two streams: `|a, b|` or `|a, b, time|`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let all = queue_stream(vec![vec![1, 2, 3, 4]]);
    ///     let some = queue_stream(vec![vec![2, 4]]);
    ///     all.transform_with(some, |a, b| a.subtract(b).sort_by(|n| *n)).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![1, 3]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn transform_with<U: Record, R: IntoRdd>(
        self,
        other: DStream<U>,
        f: impl FnMut(Rdd<T::Owned>, Rdd<U::Owned>) -> R,
    ) -> DStream<R::Record> {
        drop((other, f));
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Runs `f` on the batch, and what it returns.
    pub fn transform<T: Data, R: IntoRdd>(
        &self,
        op: &OpMeta,
        input: Step<Rdd<T>>,
        f: impl FnOnce(Rdd<T>, Time) -> R,
    ) -> Step<Rdd<R::Record>> {
        let part = self.own_part();
        let input = input?.part_of(part.clone());
        self.transformed(op, part, || f(input, self.time()))
    }

    /// Runs `f` on the batches of two streams, and what it returns.
    pub fn transform_with<T: Data, U: Data, R: IntoRdd>(
        &self,
        op: &OpMeta,
        first: Step<Rdd<T>>,
        second: Step<Rdd<U>>,
        f: impl FnOnce(Rdd<T>, Rdd<U>, Time) -> R,
    ) -> Step<Rdd<R::Record>> {
        let part = self.own_part();
        let (first, second) = (first?.part_of(part.clone()), second?.part_of(part.clone()));
        self.transformed(op, part, || f(first, second, self.time()))
    }

    fn transformed<R: IntoRdd>(
        &self,
        op: &OpMeta,
        part: Option<PartOf>,
        f: impl FnOnce() -> R,
    ) -> Step<Rdd<R::Record>> {
        let returned = self.guard(std::slice::from_ref(op), || f().into_rdd());
        let output = returned.and_then(|output| output.map_err(|error| self.refused(op, error)));
        self.of_whole(op, part, output)
    }

    /// The mark of what is in this process, if there are others.
    fn own_part(&self) -> Option<PartOf> {
        let exchange = self.config().exchange.as_deref();
        exchange.is_some_and(|exchange| exchange.processes() > 1).then(PartOf::default)
    }

    /// Refuses what is wrong since `f` has had only a part of the batch.
    fn of_whole<T>(&self, op: &OpMeta, part: Option<PartOf>, output: Step<Rdd<T>>) -> Step<Rdd<T>> {
        let (Some(part), Some(exchange)) = (part, self.config().exchange.as_deref()) else { return output };
        let (process, processes) = (exchange.process(), exchange.processes());
        if let Some(needed) = part.needed() {
            let message = format!(
                "`{needed}` inside `{}` would see only the records of process {process} of {processes}: write an \
                 operator of the stream in place of it, such as `count`, `reduce`, `top`, `reduce_by_key` or \
                 `join`, which all processes run together, or `foreach_rdd`, which gets the whole batch in process \
                 0",
                op.name
            );
            return Err(self.failed(op, message));
        }
        let output = output?;
        if !output.is_part() && !output.is_empty() {
            let message = format!(
                "what `{}` has returned is not made of its batch, so each of the {processes} processes would add it: \
                 return what is made of the `Rdd` by `map`, `filter`, a `join` with a table or the like",
                op.name
            );
            return Err(self.failed(op, message));
        }
        Ok(output.part_of(None))
    }
}
