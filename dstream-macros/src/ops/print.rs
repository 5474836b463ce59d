//! `print`.

use quote::{quote, quote_spanned};

use super::{Arg, Editor, Kind, OUTPUT_OPTIONS, OpSpec, Output};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "print",
    usage: "print()` or `print(n)",
    forms: &[&[], &[Arg::Value]],
    options: &OUTPUT_OPTIONS,
    kind: Kind::Output(Output {
        hoist: |op| {
            let n = op.call.args.first().map_or_else(|| quote!(10), |n| quote!(#n));
            Some(quote_spanned!(op.span() => ::dstream::__private::Print::new(#n, __ds_builder.interval())))
        },
        sink: |op| {
            let print = op.hoisted();
            quote_spanned!(op.span() => ::dstream::__private::First::new(#print.needs()))
        },
        whole: false,
        emit: |op, rdd, batch| {
            let print = op.hoisted();
            quote_spanned!(op.span() => #print.emit(#rdd, #batch))
        },
    }),
    editor: |call| Editor {
        default_args: if call.args.is_empty() { quote!(10) } else { quote!() },
        view: None,
    },
};
