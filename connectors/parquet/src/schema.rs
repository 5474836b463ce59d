//! The columns of a type.

use std::{any::type_name, fmt::Write};

use arrow_schema::{Field, FieldRef};
use serde::de::DeserializeOwned;
use serde_arrow::schema::{SchemaLike, TracingOptions};

/// The columns that the fields of `T` are, found by what its `Deserialize` asks for; so an empty batch has
/// them as well.
pub(crate) fn columns_of<T: DeserializeOwned>() -> Result<Vec<FieldRef>, String> {
    // The types that all readers know: not those whose offsets have 64 bits.
    let options = TracingOptions::default()
        .strings_as_large_utf8(false)
        .sequence_as_large_list(false)
        .bytes_as_large_binary(false)
        .map_as_struct(false)
        .enums_without_data_as_strings(true);
    let expected =
        "expected a struct with named fields, which are numbers, texts, options, lists, maps and structs";
    let columns = Vec::<FieldRef>::from_type::<T>(options)
        .map_err(|error| format!("`{}` has no columns: {expected}: {error}", type_name::<T>()))?;
    match columns.is_empty() {
        true => Err(format!("`{}` has no fields: {expected}", type_name::<T>())),
        false => Ok(columns),
    }
}

/// The columns of a file, for people.
pub(crate) fn in_words<'a>(columns: impl IntoIterator<Item = &'a Field>) -> String {
    const MANY: usize = 40;
    let mut text = String::new();
    for (at, column) in columns.into_iter().enumerate() {
        if at == MANY {
            text.push_str(", ..");
            break;
        }
        let (separator, option) =
            (if at == 0 { "" } else { ", " }, if column.is_nullable() { "?" } else { "" });
        // Into a string it can't fail.
        let _ = write!(text, "{separator}`{}: {}{option}`", column.name(), column.data_type());
    }
    text
}
