//! Generates one `#[test]` for each tier; each is one call of `reclaimdep::rt::run_test`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, ItemFn};

use crate::known::TIERS;
use crate::validate::AttributeSpec;

/// The test, or a module of tests where several tiers are named.
pub(crate) fn expand(spec: &AttributeSpec, mut item: ItemFn) -> TokenStream {
    let (to_test, to_body): (Vec<_>, Vec<_>) = item.attrs.drain(..).partition(belongs_to_the_test);
    // A `cfg` goes on both, because the body may name items that exist only under it.
    let conditions = to_test.iter().filter(|attr| attr.path().is_ident("cfg")).cloned();
    item.attrs = to_body.into_iter().chain(conditions).collect();
    let visibility = std::mem::replace(&mut item.vis, syn::Visibility::Inherited);
    let name = item.sig.ident.clone();
    match spec.tiers.as_slice() {
        [] => one(spec, &tier(TIERS[0], Span::call_site()), &to_test, &visibility, &item),
        [(row, span)] => one(spec, &tier(*row, *span), &to_test, &visibility, &item),
        several => {
            // The function and the module can share the name: one is a value, the other a type.
            let tests = several.iter().map(|(row, span)| {
                let test = test_name(row.0);
                let call =
                    call(spec, &tier(*row, *span), &test, &body(spec, &quote!(super::#name)));
                quote! { #(#to_test)* #[::core::prelude::v1::test] fn #test() { #call } }
            });
            quote! {
                #[cfg(test)]
                #item
                #[cfg(test)]
                #visibility mod #name { #(#tests)* }
            }
        }
    }
}

fn one(
    spec: &AttributeSpec,
    tier: &TokenStream,
    attrs: &[Attribute],
    visibility: &syn::Visibility,
    item: &ItemFn,
) -> TokenStream {
    let name = &item.sig.ident;
    let call = call(spec, tier, name, &body(spec, &quote!(#name)));
    quote! {
        #(#attrs)*
        #[::core::prelude::v1::test]
        #visibility fn #name() {
            #item
            #call
        }
    }
}

/// Whether the attribute belongs on the test, because it decides whether and how the test runs. All
/// other attributes belong on the body.
fn belongs_to_the_test(attr: &Attribute) -> bool {
    ["ignore", "should_panic", "cfg", "doc"].iter().any(|name| attr.path().is_ident(name))
}

/// The tier as a value. `loop` goes through a macro of the harness, which is an error in a build
/// without the feature; the error points at the word.
fn tier((name, variant): (&str, &str), span: Span) -> TokenStream {
    if name == "loop" {
        return quote_spanned!(span=> ::reclaimdep::__loop_tier!());
    }
    let variant = format_ident!("{variant}");
    quote!(::reclaimdep::Tier::#variant)
}

/// The name of the test of a tier; `loop` is a keyword and cannot name a function.
fn test_name(tier: &str) -> Ident {
    if tier == "loop" { format_ident!("loop_") } else { format_ident!("{tier}") }
}

fn body(spec: &AttributeSpec, path: &TokenStream) -> TokenStream {
    if spec.takes_world { path.clone() } else { quote!(|_: &::reclaimdep::World| #path()) }
}

fn call(spec: &AttributeSpec, tier: &TokenStream, name: &Ident, body: &TokenStream) -> TokenStream {
    let name = name.to_string();
    let AttributeSpec { expect, pressure, pressure_optional, .. } = spec;
    let era = option(spec.era.as_ref());
    let schedules = option(spec.schedules.as_ref());
    let seed = option(spec.seed.as_ref());
    let deadline = option(spec.deadline.as_ref());
    let task_stack = option(spec.task_stack.as_ref());
    quote! {
        ::reclaimdep::rt::run_test(
            ::reclaimdep::rt::TestSpec {
                name: ::core::concat!(::core::module_path!(), "::", #name),
                file: ::core::file!(),
                line: ::core::line!(),
                tier: #tier,
                era: #era,
                expect: &[#(::reclaimdep::Code::#expect),*],
                pressure: #pressure,
                pressure_optional: #pressure_optional,
                schedules: #schedules,
                deadline: #deadline,
                task_stack: #task_stack,
                seed: #seed,
            },
            #body,
        );
    }
}

fn option(value: Option<&impl quote::ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// The errors, and the function unchanged, so that the compiler reports these mistakes and no
/// others.
pub(crate) fn failed(errors: &syn::Error, mut item: ItemFn) -> TokenStream {
    item.attrs.retain(|attr| !attr.path().is_ident("test"));
    let errors = errors.to_compile_error();
    quote! {
        #errors
        #[allow(dead_code, reason = "the attribute on it was rejected")]
        #item
    }
}
