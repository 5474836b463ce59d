//! Records as columns, and columns as records.

use std::{any::type_name, sync::Arc};

use datafusion::arrow::{
    array::RecordBatch,
    datatypes::{FieldRef, Schema},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_arrow::schema::{SchemaLike, TracingOptions};

use crate::SqlError;

/// The columns that the fields of `T` are, found by what its `Deserialize` asks for: a batch without records
/// has them as well.
pub(crate) fn columns_of<T: DeserializeOwned>() -> Result<Vec<FieldRef>, SqlError> {
    let options = TracingOptions::default()
        .strings_as_large_utf8(false)
        .sequence_as_large_list(false)
        .bytes_as_large_binary(false)
        .map_as_struct(false)
        .enums_without_data_as_strings(true);
    let expected =
        "expected a struct with named fields, which are numbers, texts, options, lists, maps and structs";
    let columns = Vec::<FieldRef>::from_type::<T>(options).map_err(|error| {
        SqlError::new(format!("`{}` has no columns: {expected}: {error}", type_name::<T>()))
    })?;
    match columns.is_empty() {
        true => Err(SqlError::new(format!("`{}` has no fields: {expected}", type_name::<T>()))),
        false => Ok(columns),
    }
}

/// The records, each once, as columns.
pub(crate) fn to_columns<T: Serialize>(schema: &Schema, records: &[T]) -> Result<RecordBatch, SqlError> {
    serde_arrow::to_record_batch(schema.fields(), &records).map_err(|error| {
        SqlError::new(format!("a record of `{}` does not fit its columns: {error}", type_name::<T>()))
    })
}

/// The rows as records.
pub(crate) fn to_records<T: DeserializeOwned>(rows: &RecordBatch) -> Result<Vec<T>, SqlError> {
    serde_arrow::from_record_batch(rows)
        .map_err(|error| SqlError::new(format!("a row of the result is no `{}`: {error}", type_name::<T>())))
}

/// The schema of these columns.
pub(crate) fn schema_of(columns: Vec<FieldRef>) -> Arc<Schema> {
    Arc::new(Schema::new(columns))
}
