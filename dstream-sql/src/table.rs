//! A table whose rows are those of the batch that is being run.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::{Session, TableProvider},
    datasource::memory::MemorySourceConfig,
    error::Result,
    logical_expr::{Expr, TableType},
    physical_plan::ExecutionPlan,
};

/// A table whose rows are put into it anew for each batch.
#[derive(Debug)]
pub(crate) struct BatchTable {
    schema: SchemaRef,
    rows: Mutex<Vec<RecordBatch>>,
}

impl BatchTable {
    pub(crate) fn new(schema: SchemaRef) -> BatchTable {
        BatchTable { schema, rows: Mutex::default() }
    }

    /// The rows from now on, in their order.
    pub(crate) fn replace(&self, rows: Vec<RecordBatch>) {
        let before = std::mem::replace(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner), rows);
        drop(before);
    }
}

#[async_trait]
impl TableProvider for BatchTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(MemorySourceConfig::try_new_exec(&[rows], self.schema(), projection.cloned())?)
    }
}
