//! `save_as_text_files`, `save_as_object_files` and `save_as_hadoop_files`: `write_to` with the sinks
//! `TextFiles`, `ObjectFiles` and `HadoopFiles`.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::{Arg, Editor, Kind, Op, OpSpec, Output, collect, write_to};

pub(super) static TEXT: OpSpec =
    spec("save_as_text_files", "save_as_text_files(prefix)` or `save_as_text_files(prefix, suffix)", |op| {
        hoist(op, "TextFiles")
    });

pub(super) static OBJECTS: OpSpec = spec(
    "save_as_object_files",
    "save_as_object_files(prefix)` or `save_as_object_files(prefix, suffix)",
    |op| hoist(op, "ObjectFiles"),
);

pub(super) static HADOOP: OpSpec = OpSpec {
    options: &["compression", "on_error", "retry", "skip_empty"],
    ..spec(
        "save_as_hadoop_files",
        "save_as_hadoop_files(prefix)` or `save_as_hadoop_files(prefix, suffix)",
        |op| hoist(op, "HadoopFiles"),
    )
};

const fn spec(name: &'static str, usage: &'static str, hoist: fn(&Op<'_>) -> Option<TokenStream>) -> OpSpec {
    OpSpec {
        name,
        usage,
        forms: &[&[Arg::Value], &[Arg::Value, Arg::Value]],
        options: &["on_error", "retry", "skip_empty"],
        kind: Kind::Output(Output { hoist, sink: collect, whole: true, emit: write_to::emit }),
        editor: |call| Editor {
            default_args: if call.args.len() < 2 { quote!(, "") } else { quote!() },
            view: None,
        },
    }
}

fn hoist(op: &Op<'_>, sink: &str) -> Option<TokenStream> {
    let sink = Ident::new(sink, op.span());
    let prefix = op.call.args.first();
    let suffix = op.call.args.get(1).map_or_else(|| quote!(""), |suffix| quote!(#suffix));
    let skip = op.call.option("skip_empty").map_or_else(|| quote!(false), |skip| quote!(#skip));
    let compression = op
        .call
        .option("compression")
        .map(|compression| quote_spanned!(op.span() => .compression(#compression)));
    let files = quote_spanned! {op.span() =>
        ::dstream::__private::#sink::new(#prefix, #suffix).skip_empty(#skip) #compression
    };
    Some(quote_spanned!(op.span() => ::dstream::__private::WriteTo::new(#files)))
}
