//! `#[derive(Record)]`: how a type is owned, and how it is looked up as a key before it is owned.
//!
//! A type without lifetimes is its own owned form. One with lifetimes gets a twin: the same fields in the
//! same order, each in its owned form. So `Hash`, derived for both, gives both the same hash.

use std::mem;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Data, DeriveInput, Field, Fields, GenericParam, LitStr, Path, PredicateType, Token, Type,
    TypeParamBound, Variant, WherePredicate,
    meta::ParseNestedMeta,
    parse::{Parse, Parser},
    punctuated::Punctuated,
};

use crate::{
    diag::{Diags, did_you_mean, one_of, span_of},
    root,
};

/// The derive, as a pure function of tokens.
pub(crate) fn record(input: TokenStream) -> TokenStream {
    let mut diags = Diags::default();
    let code = match syn::parse2(input) {
        Ok(input) => expand(input, &mut diags),
        Err(error) => {
            diags.syntax(error);
            TokenStream::new()
        }
    };
    if diags.is_empty() {
        return code;
    }
    // The code comes along: where the type is used, there is no second error.
    let errors = diags.to_tokens();
    quote!(#code const _: () = { #errors };)
}

fn expand(mut input: DeriveInput, diags: &mut Diags) -> TokenStream {
    if let Data::Union(data) = &input.data {
        diags.error_at(
            &data.union_token,
            "found a union, expected a struct or an enum: which field of a union is the record can't be \
             known",
        );
        return TokenStream::new();
    }
    let options = Options::read(&input, diags);
    bounds_to_where(&mut input);
    let code = if has_lifetimes(&input) { borrowed(&input, &options) } else { itself(&input, options.key) };
    match &options.root {
        Some(root) => root::replace(code, root),
        None => code,
    }
}

/// What `#[record(..)]` asks for.
struct Options {
    key: bool,
    owned: Ident,
    derives: Vec<Path>,
    /// Where the program has `dstream`, if not under that name.
    root: Option<Path>,
}

impl Options {
    fn read(input: &DeriveInput, diags: &mut Diags) -> Options {
        let owned = format_ident!("{}Owned", input.ident);
        let mut options = Options { key: false, owned, derives: Vec::new(), root: None };
        let mut seen = Vec::new();
        for attr in input.attrs.iter().filter(|attr| is_record(attr)) {
            let read = attr.parse_nested_meta(|meta| options.read_one(meta, input, &mut seen));
            read.unwrap_or_else(|error| diags.syntax(error));
        }
        for (variant, fields) in shapes(input) {
            let of_variant = variant.iter().flat_map(|variant| &variant.attrs);
            let of_fields = fields.iter().flat_map(|field| &field.attrs);
            for attr in of_variant.chain(of_fields).filter(|attr| is_record(attr)) {
                diags.error_at(attr, "`#[record(..)]` belongs to the whole type: write it above the type");
            }
        }
        options
    }

    /// What the owned form of each field must be, so that the twin can be; `None` if a derive is asked for
    /// whose needs are not known.
    fn owned_bounds(&self) -> Option<TokenStream> {
        let mut bounds = quote! {
            ::dstream::__private::serde::Serialize + ::dstream::__private::serde::de::DeserializeOwned
                + ::core::fmt::Debug
        };
        if self.key {
            bounds.extend(quote!(+ ::core::cmp::Eq + ::core::hash::Hash));
        }
        for path in &self.derives {
            bounds.extend(match path.segments.last()?.ident.to_string().as_str() {
                "Clone" | "Debug" | "Serialize" | "Deserialize" => continue,
                "PartialEq" => quote!(+ ::core::cmp::PartialEq),
                "Eq" => quote!(+ ::core::cmp::Eq),
                "PartialOrd" => quote!(+ ::core::cmp::PartialOrd),
                "Ord" => quote!(+ ::core::cmp::Ord),
                "Hash" => quote!(+ ::core::hash::Hash),
                "Copy" => quote!(+ ::core::marker::Copy),
                "Default" => quote!(+ ::core::default::Default),
                _ => return None,
            });
        }
        Some(bounds)
    }

    fn read_one(
        &mut self,
        meta: ParseNestedMeta,
        input: &DeriveInput,
        seen: &mut Vec<String>,
    ) -> syn::Result<()> {
        let name = meta.path.to_token_stream().to_string();
        match name.as_str() {
            "key" => self.key = true,
            "owned" => self.owned = quoted(&meta, Ident::parse, "a name in quotes: `owned = \"Name\"`")?,
            "crate" => {
                let expected = "the path of the crate in quotes: `crate = \"::ds\"`";
                self.root = Some(quoted(&meta, Path::parse_mod_style, expected)?);
            }
            "derive" => {
                let list;
                syn::parenthesized!(list in meta.input);
                self.derives.extend(Punctuated::<Path, Token![,]>::parse_terminated(&list)?);
            }
            _ => {
                let hint = did_you_mean(&name, ["key", "owned", "derive", "crate"]);
                let known = one_of(["key", "owned = \"Name\"", "derive(Trait, ..)", "crate = \"::path\""]);
                let known = if hint.is_empty() {
                    format!(": expected {known}")
                } else {
                    format!(" expected {known}")
                };
                return Err(meta.error(format!("unknown option `{name}`{hint}{known}")));
            }
        }
        if matches!(name.as_str(), "owned" | "derive") && !has_lifetimes(input) {
            let this = &input.ident;
            let instead = if name == "derive" { "write `#[derive(..)]` on the type" } else { "remove it" };
            let message = format!(
                "`{name}` speaks of an owned twin, but `{this}` has no lifetimes and is its own: {instead}"
            );
            return Err(meta.error(message));
        }
        if seen.contains(&name) {
            return Err(meta.error(format!("found `{name}` a second time: remove one of the two")));
        }
        seen.push(name);
        Ok(())
    }
}

/// The value of an option, which is written in quotes.
fn quoted<T>(meta: &ParseNestedMeta, parse: impl Parser<Output = T>, expected: &str) -> syn::Result<T> {
    let value = meta.value()?.parse::<TokenTree>()?;
    syn::parse2::<LitStr>(value.to_token_stream())
        .and_then(|text| text.parse_with(parse))
        .map_err(|_| syn::Error::new_spanned(&value, format!("found `{value}`, expected {expected}")))
}

fn is_record(attr: &Attribute) -> bool {
    attr.path().is_ident("record")
}

fn has_lifetimes(input: &DeriveInput) -> bool {
    input.generics.lifetimes().next().is_some()
}

/// A type without lifetimes.
fn itself(input: &DeriveInput, key: bool) -> TokenStream {
    let name = &input.ident;
    let (params, args, bounds) = input.generics.split_for_impl();
    // Here rustc says that `Clone` is missing.
    let this = quote_spanned!(name.span()=> Self);
    let key = key.then(|| {
        let bounds = key_bounds(input);
        quote! {
            #[automatically_derived]
            impl #params ::dstream::Key for #name #args #bounds {
                #[inline]
                fn same_key(&self, owned: &Self) -> bool {
                    ::dstream::__private::same_key(self, owned)
                }
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #params ::dstream::Record for #name #args #bounds {
            type Owned = #this;

            #[inline]
            fn own(self) -> Self {
                self
            }
        }
        #key
    }
}

/// A type with lifetimes, and its twin.
fn borrowed(input: &DeriveInput, options: &Options) -> TokenStream {
    let lifetimes: Vec<_> = input.generics.lifetimes().map(|l| l.lifetime.ident.to_string()).collect();
    let closed = Closed::of(input, options);
    let asserts = closed.asserts();
    let twin = twin(input, options, &closed, &lifetimes);
    let mut conditional = input.clone();
    demand(&mut conditional, &closed);
    let input = &conditional;
    let name = &input.ident;
    let twin_name = &twin.ident;
    let (params, args, _) = input.generics.split_for_impl();
    let (_, twin_args, _) = twin.generics.split_for_impl();

    let twin_docs = docs(&input.attrs);
    let twin_doc = format!("[`{name}`] in its owned form: what is kept of it when its stage is done.");
    // A derived `Hash` starts with the discriminant, in the type that `repr` gives it.
    let repr = input.attrs.iter().filter(|attr| attr.path().is_ident("repr") && is_enum(input));
    let derives = derives(options);
    let twin_impls = itself(&twin, options.key);
    let serde = root::SERDE;
    let twin_items = with_static(
        quote! {
            #[doc = #twin_doc]
            #[doc = ""]
            #(#twin_docs)*
            #[derive(#(#derives),*)]
            #[serde(crate = #serde)]
            #[allow(dead_code, missing_docs, nonstandard_style, private_bounds)]
            #(#repr)*
            #twin
            #twin_impls
        },
        &lifetimes,
    );

    let bounds = &input.generics.where_clause;
    let arms = shapes(input).map(|(variant, fields)| {
        let record = bindings("record", fields);
        let owned = fields
            .iter()
            .zip(&record)
            .map(|(field, record)| quote_spanned!(span_of(&field.ty)=> ::dstream::Record::own(#record)));
        let owned = shape(quote!(#twin_name), variant, fields, owned);
        let record = shape(quote!(Self), variant, fields, record.iter());
        quote!(#record => #owned)
    });
    let key = options.key.then(|| borrowed_key(input, &twin));
    quote! {
        #asserts
        #twin_items
        #[automatically_derived]
        #[allow(deprecated)]
        impl #params ::dstream::Record for #name #args #bounds {
            type Owned = #twin_name #twin_args;

            #[inline]
            fn own(self) -> Self::Owned {
                match self {
                    #(#arms,)*
                }
            }
        }
        #key
    }
}

/// A type with lifetimes is compared with its twin field by field.
fn borrowed_key(input: &DeriveInput, twin: &DeriveInput) -> TokenStream {
    let (name, twin_name) = (&input.ident, &twin.ident);
    let (params, args, _) = input.generics.split_for_impl();
    let (_, twin_args, _) = twin.generics.split_for_impl();
    let bounds = key_bounds(input);
    let arms = shapes(input).map(|(variant, fields)| {
        let (key, owned) = (bindings("key", fields), bindings("owned", fields));
        let same = fields.iter().zip(key.iter().zip(&owned)).map(|(field, (key, owned))| {
            quote_spanned!(span_of(&field.ty)=> && ::dstream::Key::same_key(#key, #owned))
        });
        let key = shape(quote!(Self), variant, fields, key.iter());
        let owned = shape(quote!(#twin_name), variant, fields, owned.iter());
        quote!((#key, #owned) => true #(#same)*)
    });
    let other = (shapes(input).count() > 1).then(|| quote!(_ => false,));
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #params ::dstream::Key for #name #args #bounds {
            #[inline]
            fn same_key(&self, owned: &#twin_name #twin_args) -> bool {
                match (self, owned) {
                    #(#arms,)*
                    #other
                }
            }
        }
    }
}

/// The owned form of a type with lifetimes; [`with_static`] is still to be applied.
fn twin(input: &DeriveInput, options: &Options, closed: &Closed<'_>, lifetimes: &[String]) -> DeriveInput {
    let mut twin = input.clone();
    twin.ident = options.owned.clone();
    twin.attrs.clear();
    let params = mem::take(&mut twin.generics.params).into_iter();
    twin.generics.params = params.filter(|param| !matches!(param, GenericParam::Lifetime(_))).collect();
    // Bounds that name a lifetime go with it: rustc can't tell `T: Of<'a>` from `T: Of<'static>` when both
    // must hold.
    let kept = twin.generics.where_clause.iter_mut().flat_map(|clause| mem::take(&mut clause.predicates));
    let kept = kept.filter_map(|mut predicate| {
        let WherePredicate::Type(PredicateType { bounded_ty, bounds, .. }) = &mut predicate else {
            return None;
        };
        *bounds = mem::take(bounds).into_iter().filter(|bound| !names(bound, lifetimes)).collect();
        (!bounds.is_empty() && !names(bounded_ty, lifetimes)).then_some(predicate)
    });
    let kept: Punctuated<_, _> = kept.collect();
    if let Some(clause) = &mut twin.generics.where_clause {
        clause.predicates = kept;
    }
    demand(&mut twin, closed);
    let own = |field: &mut Field| {
        field.attrs = docs(&field.attrs);
        let ty = &field.ty;
        field.ty = Type::Verbatim(quote_spanned!(span_of(ty)=> <#ty as ::dstream::Record>::Owned));
    };
    match &mut twin.data {
        Data::Struct(data) => data.fields.iter_mut().for_each(own),
        Data::Enum(data) => data.variants.iter_mut().for_each(|variant| {
            variant.attrs = docs(&variant.attrs);
            variant.fields.iter_mut().for_each(own);
        }),
        Data::Union(_) => {}
    }
    twin
}

/// The types of fields that must be records of themselves, whatever the type's parameters are.
///
/// The twin and all impls are there only if these are, and a function that asks for them is called for each.
/// So where one is no record, rustc says it once, at the field, and not at each use of `<Field as
/// Record>::Owned` in what is derived.
///
/// Left out are types that depend on a parameter: rustc would then know less of them.
struct Closed<'a> {
    types: Vec<&'a Type>,
    /// What their owned forms must be, for what is derived for the twin.
    owned: TokenStream,
}

impl<'a> Closed<'a> {
    fn of(input: &'a DeriveInput, options: &Options) -> Closed<'a> {
        let Some(owned) = options.owned_bounds() else {
            return Closed { types: Vec::new(), owned: TokenStream::new() };
        };
        let params = input.generics.params.iter().filter_map(|param| match param {
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
            GenericParam::Lifetime(_) => None,
        });
        let params: Vec<_> = params.collect();
        let is_open = |tree: &TokenTree| match tree {
            TokenTree::Punct(punct) => punct.as_char() == '\'',
            TokenTree::Ident(word) => *word == "Self" || params.contains(&word),
            _ => false,
        };
        let types = shapes(input).flat_map(|(_, fields)| fields).map(|field| &field.ty);
        let types = types.filter(|ty| !matches!(ty, Type::Macro(_)) && !any(ty.to_token_stream(), &is_open));
        Closed { types: types.collect(), owned }
    }

    /// The condition of the twin and of the impls. With a lifetime, though an unused one: without, rustc
    /// takes it as something to be proven on the spot.
    fn predicates(&self) -> impl Iterator<Item = WherePredicate> {
        let owned = &self.owned;
        self.types.iter().map(move |ty| {
            let bound = quote!(::dstream::Record<Owned: #owned>);
            WherePredicate::Type(PredicateType {
                attrs: Vec::new(),
                lifetimes: Some(syn::parse_quote!(for<'__ds>)),
                bounded_ty: (*ty).clone(),
                colon_token: Token![:](Span::mixed_site()),
                bounds: [TypeParamBound::Verbatim(bound)].into_iter().collect(),
            })
        })
    }

    /// Where rustc says what a field is not.
    fn asserts(&self) -> Option<TokenStream> {
        let owned = &self.owned;
        let calls = self.types.iter().map(|ty| quote_spanned!(span_of(ty)=> field::<#ty>();));
        (!self.types.is_empty()).then(|| {
            quote! {
                const _: () = {
                    const fn field<T: ::dstream::Record<Owned: #owned>>() {}
                    #(#calls)*
                };
            }
        })
    }
}

/// Adds the conditions on fields to a type and its impls.
fn demand(input: &mut DeriveInput, closed: &Closed<'_>) {
    if !closed.types.is_empty() {
        input.generics.make_where_clause().predicates.extend(closed.predicates());
    }
}

/// Whether there is such a token.
fn any(tokens: TokenStream, is: &dyn Fn(&TokenTree) -> bool) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Group(group) => any(group.stream(), is),
        tree => is(&tree),
    })
}

/// What is derived for the twin: what every record needs, then what the user adds.
fn derives(options: &Options) -> Vec<TokenStream> {
    let mut known = vec![
        ("Clone", quote!(::core::clone::Clone)),
        ("Debug", quote!(::core::fmt::Debug)),
        ("Serialize", quote!(::dstream::__private::serde::Serialize)),
        ("Deserialize", quote!(::dstream::__private::serde::Deserialize)),
    ];
    if options.key {
        known.extend([
            ("PartialEq", quote!(::core::cmp::PartialEq)),
            ("Eq", quote!(::core::cmp::Eq)),
            ("Hash", quote!(::core::hash::Hash)),
        ]);
    }
    let is_known = |path: &&Path| path.segments.last().is_some_and(|l| known.iter().any(|k| l.ident == k.0));
    let added: Vec<_> =
        options.derives.iter().filter(|path| !is_known(path)).map(Path::to_token_stream).collect();
    known.into_iter().map(|(_, path)| path).chain(added).collect()
}

/// The one shape of a struct, or those of an enum's variants.
fn shapes(input: &DeriveInput) -> impl Iterator<Item = (Option<&Variant>, &Fields)> {
    let (fields, variants) = match &input.data {
        Data::Struct(data) => (Some(&data.fields), None),
        Data::Enum(data) => (None, Some(&data.variants)),
        Data::Union(_) => (None, None),
    };
    let variants = variants.into_iter().flatten().map(|variant| (Some(variant), &variant.fields));
    fields.map(|fields| (None, fields)).into_iter().chain(variants)
}

/// A pattern or a value: `Path { 0: item, .. }` fits all kinds of fields.
fn shape(
    of: TokenStream,
    variant: Option<&Variant>,
    fields: &Fields,
    items: impl Iterator<Item = impl ToTokens>,
) -> TokenStream {
    let variant = variant.map(|variant| &variant.ident).map(|variant| quote!(::#variant));
    let members = fields.members();
    quote!(#of #variant { #(#members: #items),* })
}

/// A name for each field.
fn bindings(prefix: &str, fields: &Fields) -> Vec<Ident> {
    (0..fields.len()).map(|at| format_ident!("__ds_{prefix}_{at}", span = Span::mixed_site())).collect()
}

fn is_enum(input: &DeriveInput) -> bool {
    matches!(input.data, Data::Enum(_))
}

fn docs(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("doc")).cloned().collect()
}

/// Makes every type parameter a `Data`, and moves all bounds to the `where` clause: from then on they are in
/// one place.
fn bounds_to_where(input: &mut DeriveInput) {
    let mut moved = Vec::new();
    for param in input.generics.type_params_mut() {
        let mut bounds = mem::take(&mut param.bounds);
        param.colon_token = None;
        bounds.push(TypeParamBound::Verbatim(quote!(::dstream::Data)));
        moved.push(WherePredicate::Type(PredicateType {
            attrs: Vec::new(),
            lifetimes: None,
            bounded_ty: Type::Verbatim(param.ident.to_token_stream()),
            colon_token: Token![:](param.ident.span()),
            bounds,
        }));
    }
    if !moved.is_empty() {
        input.generics.make_where_clause().predicates.extend(moved);
    }
}

/// The bounds under which the type is a key.
fn key_bounds(input: &DeriveInput) -> TokenStream {
    let bounds = input.generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let params = input.generics.type_params().map(|param| &param.ident);
    quote!(where #(#bounds,)* #(#params: ::dstream::Key,)*)
}

/// Whether one of the lifetimes is named.
fn names(tokens: &impl ToTokens, lifetimes: &[String]) -> bool {
    let tokens = tokens.to_token_stream();
    with_static(tokens.clone(), lifetimes).to_string() != tokens.to_string()
}

/// Replaces the named lifetimes by `'static`. On tokens: nothing else in a type is written like one of its
/// lifetimes.
fn with_static(tokens: TokenStream, lifetimes: &[String]) -> TokenStream {
    let mut after_quote = false;
    let replaced = tokens.into_iter().map(|tree| {
        let is_name =
            mem::replace(&mut after_quote, matches!(&tree, TokenTree::Punct(p) if p.as_char() == '\''));
        match tree {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), with_static(group.stream(), lifetimes));
                inner.set_span(group.span());
                inner.into()
            }
            TokenTree::Ident(name) if is_name && lifetimes.iter().any(|l| name == l) => {
                Ident::new("static", name.span()).into()
            }
            tree => tree,
        }
    });
    replaced.collect()
}
