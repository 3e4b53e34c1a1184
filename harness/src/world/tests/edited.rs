//! Recordings are possible histories; one changed number in one is an error or leaves the findings.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{c01, c01_body};
use crate::era::Era;
use crate::event::Gfp;
use crate::inject::Bug;
use crate::recording::judge_events;
use crate::witness::Code;
use crate::world::{Builder, World};

fn record(builder: Builder, body: impl Fn(&World) + Send + Sync + 'static) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    builder.record(file.path()).run(body).unwrap();
    std::fs::read_to_string(file.path()).unwrap()
}

fn codes(file: &str) -> Option<BTreeMap<Code, usize>> {
    let judged = judge_events(file.as_bytes()).ok()?;
    let mut codes = BTreeMap::new();
    for finding in judged.report.findings {
        *codes.entry(finding.code).or_default() += 1;
    }
    judged.damage.is_none().then_some(codes)
}

/// Every number in `value`, by its path.
fn numbers(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Number(_) => out.push(path.to_owned()),
        Value::Array(all) => {
            for (place, inner) in all.iter().enumerate() {
                numbers(inner, &format!("{path}/{place}"), out);
            }
        }
        Value::Object(all) => {
            for (key, inner) in all {
                numbers(inner, &format!("{path}/{key}"), out);
            }
        }
        _ => {}
    }
}

/// Changes one number of an event in each place of `file`, to the next and to the one before.
/// Returns the kind and the path of each change that is read without an error and loses a finding.
fn lost(file: &str) -> Vec<String> {
    let lines: Vec<&str> = file.lines().collect();
    let found = codes(file).expect("the recording is sound");
    assert!(!found.is_empty(), "there is something to lose");
    let mut lost = Vec::new();
    for (place, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with('[')) {
        let event: Value = serde_json::from_str(line).unwrap();
        let mut paths = Vec::new();
        numbers(&event, "", &mut paths);
        for path in paths {
            let old = event.pointer(&path).and_then(Value::as_u64).expect("it is a number");
            for new in [old.checked_add(1), old.checked_sub(1)].into_iter().flatten() {
                let mut changed = event.clone();
                *changed.pointer_mut(&path).unwrap() = new.into();
                let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
                lines[place] = changed.to_string();
                let text = lines.join("\n") + "\n";
                let Some(now) = codes(&text) else { continue };
                if found.iter().any(|(code, count)| now.get(code).is_none_or(|now| now < count)) {
                    lost.push(format!("{path}: {old} -> {new} in {line}"));
                }
            }
        }
    }
    lost
}

/// Places where another number is another possible history, in which less is wrong.
const OTHER_HISTORIES: &[&str] = &[];

#[test]
fn one_changed_number_is_an_error_or_leaves_the_findings() {
    let builder = c01(Era::V3_10).expect(&[Code::RD02, Code::RD04]);
    let file = record(builder, c01_body);
    let lost: Vec<String> = lost(&file)
        .into_iter()
        .filter(|change| !OTHER_HISTORIES.iter().any(|known| change.contains(known)))
        .collect();
    assert!(lost.is_empty(), "{} changes lose a finding:\n{}", lost.len(), lost.join("\n"));
}

#[test]
fn a_recording_of_planted_bugs_is_read_to_its_end() {
    for bug in Bug::ALL {
        let file = record(World::builder().plant(*bug).schedules(1), |world| {
            let _page = world.mm().alloc(0, Gfp::KERNEL);
        });
        assert!(codes(&file).is_some(), "{bug:?}");
    }
}
