//! `dashboard`.

use quote::quote_spanned;
use syn::{Expr, ExprLit, Lit, LitStr};

use super::{Arg, Kind, OpSpec, Output, plain_editor};
use crate::ast::Call;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "dashboard",
    usage: "dashboard(\"title\", chart)",
    forms: &[&[Arg::Value, Arg::Value]],
    // It can't fail.
    options: &[],
    kind: Kind::Output(Output {
        hoist: |op| {
            let (title, chart) = (op.call.args.first(), op.call.args.get(1));
            Some(quote_spanned!(op.span() => __ds_builder.dashboard(#title, #chart)))
        },
        sink: |op| {
            let dashboard = op.hoisted();
            quote_spanned!(op.span() => #dashboard.sink())
        },
        whole: false,
        emit: |op, rdd, batch| {
            let dashboard = op.hoisted();
            quote_spanned!(op.span() => #dashboard.of(#rdd).emit(#batch))
        },
    }),
    editor: plain_editor,
};

/// The title of a chart, if it is written in the program: it is the name of the output, too.
pub(crate) fn title<'a>(spec: &OpSpec, call: &'a Call) -> Option<&'a LitStr> {
    match call.args.first() {
        Some(Expr::Lit(ExprLit { lit: Lit::Str(title), .. })) if std::ptr::eq(spec, &SPEC) => Some(title),
        _ => None,
    }
}
