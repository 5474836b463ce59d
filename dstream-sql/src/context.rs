//! `SqlContext`: tables that stay, and how queries run.

use std::{
    future::Future,
    sync::{Arc, mpsc},
};

use datafusion::{
    catalog::TableProvider,
    datasource::MemTable,
    execution::{memory_pool::GreedyMemoryPool, runtime_env::RuntimeEnvBuilder},
    prelude::{CsvReadOptions, SessionConfig, SessionContext},
};
use dstream_core::{Data, Rdd};
use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{
    QueryBuilder, SqlError,
    columns::{columns_of, schema_of, to_columns},
};

/// What queries share: tables that stay the same, and how much of the machine they may use.
///
/// ```
/// use dstream::{prelude::*, sql::SqlContext};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Record, Serialize, Deserialize)]
/// struct User {
///     id: u64,
///     name: String,
/// }
///
/// #[derive(Debug, Clone, Record, Serialize, Deserialize)]
/// struct Order {
///     user: u64,
///     amount: f64,
/// }
///
/// #[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
/// struct Total {
///     name: String,
///     total: f64,
/// }
///
/// let mut sql = SqlContext::new();
/// sql.register("users", &Rdd::parallelize(vec![User { id: 7, name: "Ada".into() }]))?;
/// let mut totals = sql
///     .sql("SELECT name, sum(amount) AS total FROM orders JOIN users ON id = user GROUP BY name")
///     .table::<Order>("orders")
///     .build::<Total>()?;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let orders = queue_stream(vec![vec![Order { user: 7, amount: 1.5 }, Order { user: 7, amount: 2.0 }]]);
///     orders.transform(move |rdd| totals.run(&rdd)).collect_to(&out);
/// })?;
/// ssc.run_batches(1)?;
/// assert_eq!(out.values(), [vec![Total { name: "Ada".into(), total: 3.5 }]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SqlContext {
    pub(crate) tables: Vec<(String, Arc<dyn TableProvider>)>,
    threads: Option<usize>,
    memory_limit: Option<usize>,
}

impl SqlContext {
    /// A context without tables, whose queries each run on one thread.
    pub fn new() -> SqlContext {
        SqlContext::default()
    }

    /// How many threads a query may use, 1 by default.
    ///
    /// With more of them the rows of a query without `ORDER BY` come in no particular order, and sums of
    /// floating-point numbers are rounded in another order whenever a batch runs again.
    pub fn threads(mut self, threads: usize) -> SqlContext {
        self.threads = Some(threads.max(1));
        self
    }

    /// How many bytes the sorts, joins and groups of one query may hold; without it there is no limit. A query
    /// that needs more fails, and with it the batch.
    pub fn memory_limit(mut self, bytes: usize) -> SqlContext {
        self.memory_limit = Some(bytes);
        self
    }

    /// Adds the records of an [`Rdd`] as a table that stays, a field a column.
    ///
    /// # Errors
    ///
    /// If the records are no structs with named fields, or there is a table of that name.
    pub fn register<T: Data + Serialize + DeserializeOwned>(
        &mut self,
        name: &str,
        records: &Rdd<T>,
    ) -> Result<(), SqlError> {
        let schema = schema_of(columns_of::<T>()?);
        let rows = records.partitions().map(|part| to_columns(&schema, part)).collect::<Result<_, _>>()?;
        let table = MemTable::try_new(schema, vec![rows]).map_err(SqlError::of_run)?;
        self.register_table(name, Arc::new(table))
    }

    /// Adds a CSV file with a header, or a folder of such files, as a table that stays. The types of its columns
    /// are guessed from its first 1,000 lines. It is read now, and stays in memory.
    ///
    /// # Errors
    ///
    /// If there is no such file, it can't be read as CSV, or there is a table of that name.
    pub fn register_csv(&mut self, name: &str, path: &str) -> Result<(), SqlError> {
        let about = |error: SqlError| SqlError::new(format!("the CSV file `{path}`: {error}"));
        let (path, runtime) = (path.to_owned(), self.runtime()?);
        let rows = wait(runtime.handle(), async move {
            let frame = SessionContext::new().read_csv(path, CsvReadOptions::new()).await?;
            Ok((Arc::clone(frame.schema().inner()), frame.collect().await?))
        });
        let (schema, rows) = rows.and_then(|rows| rows.map_err(SqlError::of_run)).map_err(about)?;
        if schema.fields().is_empty() {
            return Err(about(SqlError::new("is not there, or has no columns")));
        }
        let table = MemTable::try_new(schema, vec![rows]).map_err(SqlError::of_run)?;
        self.register_table(name, Arc::new(table))
    }

    /// Adds any table of DataFusion's.
    ///
    /// # Errors
    ///
    /// If there is a table of that name.
    pub fn register_table(&mut self, name: &str, table: Arc<dyn TableProvider>) -> Result<(), SqlError> {
        if self.tables.iter().any(|(other, _)| other == name) {
            return Err(SqlError::new(format!(
                "there are two tables of the name `{name}`: give one another name"
            )));
        }
        self.tables.push((name.to_owned(), table));
        Ok(())
    }

    /// Begins a query: a `SELECT` in DataFusion's dialect, which is close to PostgreSQL's. The tables of streams
    /// come next, with [`table`](QueryBuilder::table).
    pub fn sql(&self, text: impl Into<String>) -> QueryBuilder<()> {
        QueryBuilder::new(self.clone(), text.into())
    }

    /// With the same threads and limits, and no tables.
    pub(crate) fn session(&self) -> Result<SessionContext, SqlError> {
        let mut config = SessionConfig::new().with_target_partitions(self.threads.unwrap_or(1));
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        let mut runtime = RuntimeEnvBuilder::new();
        if let Some(limit) = self.memory_limit {
            runtime = runtime.with_memory_pool(Arc::new(GreedyMemoryPool::new(limit)));
        }
        let runtime = runtime.build_arc().map_err(SqlError::of_run)?;
        Ok(SessionContext::new_with_config_rt(config, runtime))
    }

    /// The threads of a query.
    pub(crate) fn runtime(&self) -> Result<Threads, SqlError> {
        let mut threads = Builder::new_multi_thread();
        let threads = threads.worker_threads(self.threads.unwrap_or(1)).thread_name("dstream-sql").build();
        let started =
            threads.map_err(|error| SqlError::new(format!("can't start threads for queries: {error}")));
        started.map(|runtime| Threads { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

/// Threads that end without being waited for, which a thread that runs async code must not do.
#[derive(Debug)]
pub(crate) struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs what is async and waits for it. Also from a thread that runs async code, which `block_on` refuses.
pub(crate) fn wait<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, SqlError> {
    let (done, outcome) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // Nobody waits any more only if the thread that asked has ended.
        let _ = done.send(work.await);
    });
    outcome.recv().map_err(|_| SqlError::new("the query has panicked"))
}
