//! Checks the keys, the types of their values, and the signature of the function.
//!
//! Key types: [`AttributeSpec`], [`SpecErrors`]. Checking continues after a mistake, so that all
//! are reported.

use std::collections::BTreeMap;

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{FnArg, Ident, ItemFn, Lit, LitInt, LitStr, ReturnType, Type};

use crate::known::{CODES, ERAS, PRESSURES, TIERS};
use crate::parse::{Arg, Args, Value};

/// Beside a kind of pressure: the test passes where nothing finds memory short.
const OPTIONAL: &str = "optional";

const KEYS: &[&str] =
    &["tier", "era", "expect", "pressure", "schedules", "seed", "deadline", "task_stack"];

/// The checked arguments of the attribute.
#[derive(Default)]
pub(crate) struct AttributeSpec {
    /// Rows of [`TIERS`] and where each was written; empty for the default.
    pub(crate) tiers: Vec<((&'static str, &'static str), Span)>,
    pub(crate) era: Option<LitStr>,
    pub(crate) expect: Vec<Ident>,
    pub(crate) pressure: bool,
    /// The test passes where nothing finds memory short.
    pub(crate) pressure_optional: bool,
    pub(crate) schedules: Option<LitInt>,
    pub(crate) seed: Option<LitInt>,
    pub(crate) deadline: Option<LitStr>,
    pub(crate) task_stack: Option<LitInt>,
    pub(crate) takes_world: bool,
}

/// Every mistake, in source order.
#[derive(Default)]
pub(crate) struct SpecErrors(Option<syn::Error>);

impl SpecErrors {
    fn add(&mut self, at: impl ToTokens, message: impl std::fmt::Display) {
        self.merge(syn::Error::new_spanned(at, message));
    }

    fn add_at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.merge(syn::Error::new(span, message));
    }

    fn merge(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }
}

/// Turns the parsed arguments into a [`AttributeSpec`], or reports everything that is wrong with
/// them.
pub(crate) fn validate(args: Args, item: &ItemFn) -> Result<AttributeSpec, syn::Error> {
    let mut errors = SpecErrors::default();
    let mut spec = AttributeSpec::default();
    let mut seen = BTreeMap::new();
    for arg in args.0 {
        if seen.insert(arg.key.to_string(), ()).is_some() {
            errors.add(&arg.key, format!("`{}` is given twice", arg.key));
            continue;
        }
        key(arg, &mut spec, &mut errors);
    }
    spec.takes_world = function(item, &mut errors);
    errors.0.map_or(Ok(spec), Err)
}

fn key(arg: Arg, spec: &mut AttributeSpec, errors: &mut SpecErrors) {
    let Arg { key, values } = arg;
    match key.to_string().as_str() {
        "tier" => {
            for value in distinct(values, errors) {
                let text = value.text();
                match TIERS.iter().find(|(tier, _)| *tier == text) {
                    Some(tier) => spec.tiers.push((*tier, value.span())),
                    None => errors
                        .add(&value, unknown("tier", &text, TIERS.iter().map(|(tier, _)| *tier))),
                }
            }
        }
        "expect" => {
            for value in distinct(values, errors) {
                match &value {
                    Value::Word(code) if CODES.contains(&code.to_string().as_str()) => {
                        spec.expect.push(code.clone());
                    }
                    _ => errors
                        .add(&value, unknown("finding code", &value.text(), CODES.iter().copied())),
                }
            }
        }
        "pressure" => {
            let (optional, values): (Vec<_>, Vec<_>) =
                distinct(values, errors).into_iter().partition(|value| value.text() == OPTIONAL);
            spec.pressure_optional = !optional.is_empty();
            let Some(value) = single(&key, values, errors) else {
                if let Some(optional) = optional.first() {
                    errors.add(optional, "`optional` goes with a kind of pressure");
                }
                return;
            };
            match value.text() {
                text if PRESSURES.contains(&text.as_str()) => spec.pressure = true,
                text => errors.add(&value, unknown("pressure", &text, PRESSURES.iter().copied())),
            }
        }
        "era" => spec.era = single(&key, values, errors).and_then(|value| era(&value, errors)),
        "schedules" => {
            spec.schedules =
                single(&key, values, errors).and_then(|value| number(&value, 1, errors));
        }
        "seed" => {
            spec.seed = single(&key, values, errors).and_then(|value| number(&value, 0, errors));
        }
        "deadline" => {
            spec.deadline = single(&key, values, errors).and_then(|value| time(&value, errors));
        }
        "task_stack" => {
            spec.task_stack =
                single(&key, values, errors).and_then(|value| number(&value, 1 << 17, errors));
        }
        text => errors.add(&key, unknown("key", text, KEYS.iter().copied())),
    }
}

fn unknown<'a>(what: &str, text: &str, known: impl Iterator<Item = &'a str>) -> String {
    format!("unknown {what} `{text}`; use one of {}", known.collect::<Vec<_>>().join(", "))
}

/// The values without duplicates; each duplicate is reported.
fn distinct(values: Vec<Value>, errors: &mut SpecErrors) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for value in values {
        if kept.iter().any(|known| known.text() == value.text()) {
            errors.add(&value, format!("`{}` is listed twice", value.text()));
        } else {
            kept.push(value);
        }
    }
    kept
}

fn single(key: &Ident, mut values: Vec<Value>, errors: &mut SpecErrors) -> Option<Value> {
    if values.len() > 1 {
        errors.add_at(values[1].span(), format!("`{key}` takes one value"));
        return None;
    }
    values.pop()
}

fn era(value: &Value, errors: &mut SpecErrors) -> Option<LitStr> {
    match value {
        Value::Literal(Lit::Str(text)) if ERAS.contains(&text.value().as_str()) => {
            return Some(text.clone());
        }
        Value::Literal(Lit::Str(text)) => {
            errors.add(text, unknown("era", &text.value(), ERAS.iter().copied()));
        }
        _ => errors.add(value, "an era is a string: `era = \"v3.10\"`"),
    }
    None
}

fn time(value: &Value, errors: &mut SpecErrors) -> Option<LitStr> {
    let is_time = |text: &str| {
        let digits = text.strip_suffix("ms").or_else(|| text.strip_suffix('s'));
        text == "0" || digits.is_some_and(|digits| digits.parse::<u32>().is_ok())
    };
    match value {
        Value::Literal(Lit::Str(text)) if is_time(&text.value()) => Some(text.clone()),
        _ => {
            errors.add(value, "a deadline is a time: `\"200ms\"`, `\"10s\"`, or `\"0\"` for none");
            None
        }
    }
}

fn number(value: &Value, at_least: u64, errors: &mut SpecErrors) -> Option<LitInt> {
    match value {
        Value::Literal(Lit::Int(int))
            if int.base10_parse::<u64>().is_ok_and(|number| number >= at_least) =>
        {
            Some(int.clone())
        }
        _ => {
            errors.add(value, format!("this must be a number from {at_least} to 2^64 - 1"));
            None
        }
    }
}

/// Checks the signature; returns whether the function takes the world.
fn function(item: &ItemFn, errors: &mut SpecErrors) -> bool {
    let signature = &item.sig;
    if let Some(token) = &signature.asyncness {
        errors.add(token, "a test in a world is not async; spawn its tasks with `World::spawn`");
    }
    if let Some(token) = &signature.unsafety {
        errors.add(token, "a test function is not unsafe");
    }
    if !signature.generics.params.is_empty() {
        errors.add(&signature.generics, "a test function has no generic parameters");
    }
    if let ReturnType::Type(_, ty) = &signature.output {
        errors.add(ty, "a test in a world returns nothing; panic, or expect a finding");
    }
    if let Some(test) = item.attrs.iter().find(|attr| attr.path().is_ident("test")) {
        errors.add_at(
            test.span(),
            "`#[reclaimdep::test]` already makes this a test; remove `#[test]`",
        );
    }
    match signature.inputs.first() {
        None => false,
        Some(FnArg::Typed(arg)) if signature.inputs.len() == 1 && is_world(&arg.ty) => true,
        Some(_) => {
            errors.add(&signature.inputs, "a test takes `world: &World` or nothing");
            true
        }
    }
}

fn is_world(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    let Type::Path(path) = &*reference.elem else {
        return false;
    };
    reference.mutability.is_none()
        && path.path.segments.last().is_some_and(|last| last.ident == "World")
}
