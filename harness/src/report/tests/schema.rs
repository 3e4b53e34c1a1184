//! The JSON form is what `docs/report.schema.json` says, and `docs/report-json.md` names every
//! field.
//!
//! Key function: [`wrong`], a validator for the few words of JSON Schema that the file uses; a word
//! that it does not know is an error, so that nothing in the file goes unchecked.

use serde_json::{Map, Value};

use crate::report::{StepKind, samples};
use crate::witness::Code;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/report.schema.json"))
        .expect("the schema is JSON")
}

/// What is wrong with `value`, by path; empty where it is as `schema` says.
fn wrong(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (word, rule) in schema.as_object().expect("a schema is an object") {
        match word.as_str() {
            "$ref" => {
                let target = rule.as_str().and_then(|path| root.pointer(path.strip_prefix('#')?));
                complaints.extend(wrong(
                    root,
                    target.expect("a reference leads somewhere"),
                    value,
                    path,
                ));
            }
            "type" if !has_type(rule, value) => {
                complaints.push(format!("{path}: not of type {rule}"));
            }
            "const" if rule != value => complaints.push(format!("{path}: not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                complaints.push(format!("{path}: {value} is none of {rule}"));
            }
            "minimum" if value.as_i64().is_some_and(|number| Some(number) < rule.as_i64()) => {
                complaints.push(format!("{path}: less than {rule}"));
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    complaints.extend(wrong(root, rule, item, &format!("{path}/{index}")));
                }
            }
            "required" => {
                let missing = rule.as_array().unwrap().iter().filter_map(Value::as_str);
                let missing = missing.filter(|field| value.get(field).is_none());
                complaints.extend(missing.map(|field| format!("{path}/{field}: missing")));
            }
            "properties" => complaints.extend(fields(root, rule.as_object().unwrap(), value, path)),
            "additionalProperties" => {
                assert_eq!(rule, false, "fields that nobody knows are never allowed");
            }
            "type" | "const" | "enum" | "minimum" | "$schema" | "title" | "$defs" => {}
            other => panic!("the validator does not know `{other}`"),
        }
    }
    complaints
}

fn fields(root: &Value, known: &Map<String, Value>, value: &Value, path: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (field, inner) in value.as_object().into_iter().flatten() {
        let place = format!("{path}/{field}");
        match known.get(field) {
            Some(schema) => complaints.extend(wrong(root, schema, inner, &place)),
            None => complaints.push(format!("{place}: unknown")),
        }
    }
    complaints
}

fn has_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the validator does not know the type `{other}`"),
    }
}

#[test]
fn every_report_conforms_to_the_schema() {
    let schema = schema();
    for report in samples::all() {
        let json = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(wrong(&schema, &schema, &json, ""), Vec::<String>::new(), "{}", report.name);
    }
}

#[test]
fn one_report_has_what_only_an_order_has() {
    let all = samples::all();
    let finding =
        all.iter().flat_map(|report| &report.findings).find(|finding| finding.order.is_some());
    let finding = finding.expect("a sample has an order that cannot be kept");
    assert!(!finding.nodes.is_empty());
    assert!(finding.chain.iter().all(|step| step.kind == StepKind::Ordered));
}

#[test]
fn a_value_against_the_schema_is_found() {
    let schema = schema();
    let healthy: Value = serde_json::from_str(&samples::c01().to_json()).unwrap();
    let broken = |path: &str, new: Value| {
        let mut json = healthy.clone();
        match json.pointer_mut(path) {
            Some(old) => *old = new,
            None => json[path] = new,
        }
        wrong(&schema, &schema, &json, "")
    };
    assert_eq!(broken("color", "red".into()), ["/color: unknown"]);
    assert_eq!(broken("/schedules", "many".into()), ["/schedules: not of type \"integer\""]);
    assert_eq!(broken("/schedules", (-1).into()), ["/schedules: less than 0"]);
    assert_eq!(broken("/schema", 2.into()), ["/schema: not 1"]);
    assert_eq!(
        broken("/findings/0/waits/0", serde_json::json!({ "task": "t" })),
        ["/findings/0/waits/0/resource: missing"]
    );
    assert!(broken("/findings/0/chain/0/kind", "walk".into())[0].contains("is none of"));
}

#[test]
fn the_schema_lists_every_code() {
    let known: Vec<_> = Code::ALL.iter().map(|code| Value::from(code.name())).collect();
    assert_eq!(schema().pointer("/$defs/finding/properties/code/enum"), Some(&Value::from(known)));
}

#[test]
fn the_page_names_every_field_and_every_kind() {
    let page = include_str!("../../../docs/report-json.md");
    let schema = schema();
    let objects = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    let fields = objects.filter_map(|object| object["properties"].as_object()).flat_map(Map::keys);
    let kinds = schema.pointer("/$defs/step/properties/kind/enum").unwrap().as_array().unwrap();
    let kinds = kinds.iter().map(|kind| kind.as_str().unwrap());
    let names = |name: &str| {
        page.split('`')
            .skip(1)
            .step_by(2)
            .any(|code| code.split([',', '{', '}', ' ']).any(|word| word == name))
    };
    let missing: Vec<&str> =
        fields.map(String::as_str).chain(kinds).filter(|name| !names(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
