//! Whether a column of a result may be NULL. DataFusion takes it that every function may return NULL, and every
//! aggregate; then hardly a field could be anything but an `Option`.

use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Cast, Expr, ExprSchemable, Join, JoinType, LogicalPlan,
    expr::AggregateFunctionParams,
};

/// Aggregates that are NULL only if all values of the group are.
const OF_VALUES: [&str; 9] =
    ["sum", "avg", "mean", "min", "max", "median", "first_value", "last_value", "string_agg"];

/// Whether the column of the plan's result may be NULL. A value that is, although this says it is none, is an
/// error of the batch when it is read into a field that is no `Option`.
pub(crate) fn may_be_null(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.get(column).is_none_or(|value| is_null(value, &projection.input))
        }
        LogicalPlan::Sort(sort) => may_be_null(&sort.input, column),
        LogicalPlan::Limit(limit) => may_be_null(&limit.input, column),
        LogicalPlan::Filter(filter) => may_be_null(&filter.input, column),
        LogicalPlan::SubqueryAlias(alias) => may_be_null(&alias.input, column),
        LogicalPlan::Distinct(distinct) => may_be_null(distinct.input(), column),
        LogicalPlan::Union(union) => union.inputs.iter().any(|input| may_be_null(input, column)),
        LogicalPlan::Aggregate(aggregate) => aggregate_is_null(aggregate, column),
        LogicalPlan::Join(Join { left, right, join_type: JoinType::Inner, .. }) => {
            match column.checked_sub(left.schema().fields().len()) {
                None => may_be_null(left, column),
                Some(column) => may_be_null(right, column),
            }
        }
        // The rows that come in, and behind them what was computed over them.
        LogicalPlan::Window(window) if column < window.input.schema().fields().len() => {
            may_be_null(&window.input, column)
        }
        other => other.schema().field(column).is_nullable(),
    }
}

fn aggregate_is_null(aggregate: &Aggregate, column: usize) -> bool {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let declared = schema.field(column).is_nullable();
    // A query without groups has a row for no rows at all, and so has one of several groupings.
    if group_expr.is_empty() || group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_))) {
        return declared;
    }
    let Some(at) = column.checked_sub(group_expr.len()) else {
        return is_null(&group_expr[column], input);
    };
    match aggr_expr.get(at).map(without_alias) {
        Some(Expr::AggregateFunction(call)) if OF_VALUES.contains(&call.func.name()) => {
            let AggregateFunctionParams { args, filter, .. } = &call.params;
            filter.is_some() || args.iter().any(|value| is_null(value, input))
        }
        _ => declared,
    }
}

fn is_null(value: &Expr, input: &LogicalPlan) -> bool {
    match without_alias(value) {
        Expr::Column(column) => match input.schema().maybe_index_of_column(column) {
            Some(at) => may_be_null(input, at),
            None => true,
        },
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(Cast { expr, .. }) | Expr::Negative(expr) | Expr::Not(expr) => is_null(expr, input),
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => is_null(left, input) || is_null(right, input),
        Expr::ScalarFunction(call) => match call.func.name() {
            "coalesce" => call.args.iter().all(|value| is_null(value, input)),
            // Those which are NULL by what the values are.
            "nullif" | "regexp_match" | "array_element" | "get_field" | "map_extract" => true,
            _ => call.args.iter().any(|value| is_null(value, input)),
        },
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            case.else_expr.is_none() || results.into_iter().any(|value| is_null(value, input))
        }
        // Of no row, too.
        Expr::ScalarSubquery(_) => true,
        other => other.nullable(input.schema()).unwrap_or(true),
    }
}

fn without_alias(value: &Expr) -> &Expr {
    match value {
        Expr::Alias(alias) => without_alias(&alias.expr),
        other => other,
    }
}
