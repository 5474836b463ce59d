//! What is checked of a query before the first batch.

use std::any::type_name;

use datafusion::{
    arrow::datatypes::{DataType, FieldRef},
    common::tree_node::{TreeNode, TreeNodeRecursion},
    error::DataFusionError,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Volatility, cast, ident},
};

use crate::{SqlError, nulls::may_be_null};

/// Refuses what would give another result when a batch runs again: `now()`, `random()` and the like.
pub(crate) fn refuse_what_changes(plan: &LogicalPlan, text: &str) -> Result<(), SqlError> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                let function = match expression {
                    Expr::ScalarFunction(call) => Some((call.func.name(), call.func.signature().volatility)),
                    _ => None,
                };
                match function {
                    Some((name, volatility)) if volatility != Volatility::Immutable => {
                        found = Some(name.to_owned());
                        Ok(TreeNodeRecursion::Stop)
                    }
                    _ => Ok(TreeNodeRecursion::Continue),
                }
            })
        })
    });
    walked.map_err(|error| SqlError::of_query(error, text))?;
    let Some(name) = found else { return Ok(()) };
    Err(SqlError::new(format!(
        "`{name}` is another value whenever a batch runs again: give the records a field that has it, such as the \
         time of the batch"
    ))
    .at_word(text, &name))
}

/// The plan with exactly the columns of the records that it makes, in their order.
pub(crate) fn with_columns_of<T>(
    plan: LogicalPlan,
    wanted: &[FieldRef],
    text: &str,
) -> Result<LogicalPlan, SqlError> {
    let (record, schema) = (short_name::<T>(), plan.schema().clone());
    let names =
        || schema.fields().iter().map(|field| format!("`{}`", field.name())).collect::<Vec<_>>().join(", ");
    let mut columns = Vec::new();
    for wanted in wanted {
        let mut found = schema.iter().enumerate().filter(|(_, (_, field))| field.name() == wanted.name());
        let Some((at, (qualifier, field))) = found.next() else {
            return Err(SqlError::new(format!(
                "the result has no column `{}`, which is a field of `{record}`; it has {}",
                wanted.name(),
                names()
            )));
        };
        if found.next().is_some() {
            let message = format!("the result has two columns `{}`: name one of them with AS", wanted.name());
            return Err(SqlError::new(message).at_word(text, wanted.name()));
        }
        let (from, to) = (field.data_type(), wanted.data_type());
        if !may_become(from, to) {
            let message = format!(
                "`{}` is of type {from}, the field of `{record}` of type {to}: change the field, or write \
                 CAST(.. AS ..)",
                wanted.name()
            );
            return Err(SqlError::new(message).at_word(text, wanted.name()));
        }
        if !wanted.is_nullable() && may_be_null(&plan, at) {
            let message = format!(
                "`{0}` may be NULL: make the field of `{record}` an `Option`, or write coalesce(.., ..) AS {0}",
                wanted.name()
            );
            return Err(SqlError::new(message).at_word(text, wanted.name()));
        }
        let column = match qualifier {
            Some(_) => Expr::Column((qualifier, field).into()),
            None => ident(field.name()),
        };
        let cast = if from == to { column } else { cast(column, to.clone()) };
        columns.push(cast.alias(wanted.name()));
    }
    if let Some(field) = schema.fields().iter().find(|field| wanted.iter().all(|w| w.name() != field.name()))
    {
        let message = format!("the column `{}` of the result is no field of `{record}`", field.name());
        return Err(SqlError::new(message).at_word(text, field.name()));
    }
    let projected = LogicalPlanBuilder::from(plan).project(columns).and_then(LogicalPlanBuilder::build);
    projected.map_err(|error: DataFusionError| SqlError::of_query(error, text))
}

/// Whether each value of one type is one of the other, or it is found when it is not.
fn may_become(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    let is_text = |kind: &DataType| matches!(kind, Utf8 | LargeUtf8 | Utf8View);
    let is_bytes = |kind: &DataType| matches!(kind, Binary | LargeBinary | BinaryView);
    match (from, to) {
        (Null, _) => true,
        (from, to) if from.equals_datatype(to) => true,
        // A value that is too large is an error of the batch, as it is in SQL.
        (from, to) if from.is_integer() && to.is_integer() => true,
        (Int8 | Int16 | UInt8 | UInt16, Float32 | Float64) => true,
        (Int32 | UInt32 | Float16 | Float32, Float64) | (Float16, Float32) => true,
        (from, Dictionary(_, to)) => is_text(from) && is_text(to),
        (from, to) if is_text(from) && is_text(to) => true,
        (from, to) => is_bytes(from) && is_bytes(to),
    }
}

fn short_name<T>() -> &'static str {
    let name = type_name::<T>();
    name.rsplit("::").next().filter(|short| !short.ends_with('>')).unwrap_or(name)
}
