//! `save_as_text_files` and `save_as_object_files`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{Arg, Editor, Kind, Op, OpSpec, Output, collect};

pub(super) static TEXT: OpSpec = spec(
    "save_as_text_files",
    "save_as_text_files(prefix)` or `save_as_text_files(prefix, suffix)",
    |op, rdd, time| {
        let save = op.hoisted();
        quote_spanned!(op.span() => #save.text(#rdd, #time))
    },
);

pub(super) static OBJECTS: OpSpec = spec(
    "save_as_object_files",
    "save_as_object_files(prefix)` or `save_as_object_files(prefix, suffix)",
    |op, rdd, time| {
        let save = op.hoisted();
        quote_spanned!(op.span() => #save.objects(#rdd, #time))
    },
);

const fn spec(
    name: &'static str,
    usage: &'static str,
    emit: fn(&Op<'_>, &proc_macro2::Ident, &proc_macro2::Ident) -> TokenStream,
) -> OpSpec {
    OpSpec {
        name,
        usage,
        forms: &[&[Arg::Value], &[Arg::Value, Arg::Value]],
        options: &["skip_empty"],
        kind: Kind::Output(Output { hoist, sink: collect, whole: true, emit }),
        editor: |call| Editor {
            default_args: if call.args.len() < 2 { quote!(, "") } else { quote!() },
            view: None,
        },
    }
}

fn hoist(op: &Op<'_>) -> Option<TokenStream> {
    let prefix = op.call.args.first();
    let suffix = op.call.args.get(1).map_or_else(|| quote!(""), |suffix| quote!(#suffix));
    let skip = op.call.option("skip_empty").map_or_else(|| quote!(false), |skip| quote!(#skip));
    Some(quote_spanned!(op.span() => ::dstream::__private::Save::new(#prefix, #suffix, #skip)))
}
