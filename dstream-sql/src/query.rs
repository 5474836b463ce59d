//! A query: checked when it is built, and run with each batch.

use std::{any::type_name, fmt, marker::PhantomData, sync::Arc};

use datafusion::{
    arrow::array::RecordBatch,
    catalog::TableProvider,
    error::DataFusionError,
    execution::SessionState,
    logical_expr::LogicalPlan,
    physical_plan::collect,
    prelude::{SQLOptions, SessionContext},
};
use dstream_core::{
    Data, Rdd,
    rdd::{RddActions, RddOps},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    SqlContext, SqlError,
    check::{refuse_what_changes, with_columns_of},
    columns::{columns_of, schema_of, to_columns, to_records},
    context::{Threads, wait},
    table::BatchTable,
};

/// A query that is being built: its text is known, `I` are the records of its tables.
#[derive(Debug)]
pub struct QueryBuilder<I> {
    context: SqlContext,
    text: String,
    tables: Vec<Arc<BatchTable>>,
    /// The first mistake, which is told by `build`.
    mistake: Option<SqlError>,
    records: PhantomData<fn(I)>,
}

/// A query that has been checked, over tables of records `I`, with a result of records `T`.
///
/// It runs with each batch, in [`transform`](dstream_core::DStream::transform) or
/// [`transform_with`](dstream_core::DStream::transform_with).
pub struct Query<I, T> {
    state: SessionState,
    session: SessionContext,
    plan: LogicalPlan,
    tables: Vec<Arc<BatchTable>>,
    threads: Threads,
    records: PhantomData<fn(I) -> T>,
}

impl QueryBuilder<()> {
    pub(crate) fn new(context: SqlContext, text: String) -> QueryBuilder<()> {
        QueryBuilder { context, text, tables: Vec::new(), mistake: None, records: PhantomData }
    }

    /// The name of the table whose rows are the records of a batch, a field a column.
    pub fn table<A: Data + Serialize + DeserializeOwned>(self, name: &str) -> QueryBuilder<(A,)> {
        self.and_table::<A, _>(name)
    }
}

impl<A> QueryBuilder<(A,)> {
    /// The name of a second table, whose rows are the records of another stream's batch.
    pub fn table<B: Data + Serialize + DeserializeOwned>(self, name: &str) -> QueryBuilder<(A, B)> {
        self.and_table::<B, _>(name)
    }
}

impl<I> QueryBuilder<I> {
    fn and_table<T: DeserializeOwned, J>(mut self, name: &str) -> QueryBuilder<J> {
        let added = columns_of::<T>().and_then(|columns| {
            let table = Arc::new(BatchTable::new(schema_of(columns)));
            self.tables.push(Arc::clone(&table));
            self.context.register_table(name, table)
        });
        let QueryBuilder { context, text, tables, mistake, .. } = self;
        QueryBuilder { context, text, tables, mistake: mistake.or(added.err()), records: PhantomData }
    }

    /// Plans the query, whose rows become records `T`: a column for each field, of its name.
    ///
    /// # Errors
    ///
    /// If the text is no query, names what there is not, or would give another result when a batch runs again
    /// (`now()`, `random()`); if it does more than read; if a column has no field or a field no column; and if
    /// the type of a column does not fit its field: numbers must not lose digits, and what may be NULL needs an
    /// `Option`. Integers may be of another size; a value that is too large for its field fails the batch.
    pub fn build<T: Data + DeserializeOwned>(self) -> Result<Query<I, T>, SqlError> {
        let QueryBuilder { context, text, tables, mistake, .. } = self;
        mistake.map_or(Ok(()), Err)?;
        let wanted = columns_of::<T>()?;
        let (session, threads) = (context.session()?, context.runtime()?);
        for (name, table) in context.tables {
            // Quoted, since a name without quotes would become one of small letters.
            session.register_table(format!("\"{name}\""), table).map_err(SqlError::of_run)?;
        }
        let state = session.state();
        let (planner, query) = (state.clone(), text.clone());
        let plan = wait(threads.handle(), async move { planner.create_logical_plan(&query).await })?;
        let about = |error: DataFusionError| SqlError::of_query(error, &text);
        let plan = plan.map_err(about)?;
        let reads =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        reads.verify_plan(&plan).map_err(|_| {
            let first = text.split_whitespace().next().unwrap_or_default();
            SqlError::new(format!("a query only reads: expected SELECT, found `{first}`"))
                .at_word(&text, first)
        })?;
        refuse_what_changes(&plan, &text)?;
        let options = state.config_options();
        let plan = state.analyzer().execute_and_check(plan, options, |_, _| {}).map_err(about)?;
        let plan = with_columns_of::<T>(plan, &wanted, &text)?;
        let plan = state.optimize(&plan).map_err(about)?;
        let query = Query { state, session, plan, tables, threads, records: PhantomData };
        // What only shows when it runs, such as a join that has no way to be run.
        query.rows().map_err(about)?;
        Ok(query)
    }
}

impl<A: Data + Serialize, T: Data + DeserializeOwned> Query<(A,), T> {
    /// The result over the records of one batch.
    ///
    /// # Errors
    ///
    /// If the query fails, such as by a division by zero, a number that is too large for its type, or more memory
    /// than it [may have](SqlContext::memory_limit).
    pub fn run(&mut self, records: &Rdd<A>) -> Result<Rdd<T>, SqlError> {
        self.fill(0, records)?;
        self.result()
    }
}

impl<A: Data + Serialize, B: Data + Serialize, T: Data + DeserializeOwned> Query<(A, B), T> {
    /// The result over the records of one batch of two streams.
    ///
    /// # Errors
    ///
    /// As for one table.
    pub fn run(&mut self, first: &Rdd<A>, second: &Rdd<B>) -> Result<Rdd<T>, SqlError> {
        self.fill(0, first)?;
        self.fill(1, second)?;
        self.result()
    }
}

impl<I, T: Data + DeserializeOwned> Query<I, T> {
    /// The records become columns, a partition at a time, in parallel.
    fn fill<R: Data + Serialize>(&self, at: usize, records: &Rdd<R>) -> Result<(), SqlError> {
        let table = &self.tables[at];
        let schema = table.schema();
        let rows = records.by_ref().map_partitions(|part| [to_columns(&schema, part.as_slice())]).collect();
        table.replace(rows.into_iter().collect::<Result<_, _>>()?);
        Ok(())
    }

    fn result(&self) -> Result<Rdd<T>, SqlError> {
        let rows = self.rows().map_err(SqlError::of_run);
        self.tables.iter().for_each(|table| table.replace(Vec::new()));
        let mut records = Vec::new();
        for rows in rows? {
            records.append(&mut to_records(&rows)?);
        }
        Ok(Rdd::parallelize(records))
    }

    fn rows(&self) -> Result<Vec<RecordBatch>, DataFusionError> {
        let (state, plan, tasks) = (self.state.clone(), self.plan.clone(), self.session.task_ctx());
        let rows = wait(self.threads.handle(), async move {
            let plan = state.query_planner().create_physical_plan(&plan, &state).await?;
            collect(plan, tasks).await
        });
        rows.map_err(|error| DataFusionError::External(Box::new(error)))?
    }
}

impl<I, T> fmt::Debug for Query<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query<{}>({})", type_name::<T>(), self.plan.display_indent())
    }
}
