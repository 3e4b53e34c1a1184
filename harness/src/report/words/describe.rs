//! A judge's finding in words.
//!
//! Key function: [`describe`]. Modules of the judges are read here beside those of the report, so
//! the judge's types are called `judged::Finding`, `judged::Step`.

use std::collections::BTreeSet;

use super::names::{Words, scope_name};
use super::{closing, order};
use crate::event::{Names, Resource, TaskId};
use crate::report::facts::Origin;
use crate::report::finding::{ClosingEdge, Finding, Held, Waiting};
use crate::report::step::Step;
use crate::witness::{self as judged, Code, FrameKind, StepKind};

/// Puts `finding` into words; `names` are those of the world that it was made in.
#[must_use]
pub fn describe(finding: &judged::Finding, names: &Names) -> Finding {
    if let Some(cycle) = &finding.order {
        return Finding { origin: Origin::new(finding, names), ..order::describe(finding, cycle) };
    }
    let words = Words { names, finding };
    let waiting = |(task, resource): (TaskId, _)| Waiting {
        task: words.task(task),
        resource: words.resource(resource),
    };
    // Of waits within each other the last is in force.
    let mut waits: Vec<(TaskId, Resource)> = Vec::new();
    for step in &finding.chain {
        if let StepKind::Wait { resource, .. } = step.what {
            waits.pop_if(|(task, _)| *task == step.task);
            waits.push((step.task, resource));
        }
    }
    let edge = closing_edge(finding);
    Finding {
        code: finding.code,
        title: finding.code.title().to_owned(),
        headline: headline(&words),
        seq: finding.seq,
        time: finding.time,
        tasks: finding.tasks.iter().map(|task| words.task(*task)).collect(),
        chain: finding.chain.iter().map(|step| describe_step(&words, step)).collect(),
        edge,
        closing: closing::of_chain(&words, edge),
        summary: summary(&words),
        waits: waits.into_iter().map(waiting).collect(),
        cycle: finding.cycle.iter().copied().map(waiting).collect(),
        breakable: finding.breakable.iter().map(|task| words.task(*task)).collect(),
        held: finding.tasks.iter().map(|task| held(&words, *task)).collect(),
        nodes: nodes(&words),
        order: None,
        elsewhere: None,
        part_of: None,
        origin: Origin::new(finding, names),
    }
}

fn describe_step(words: &Words<'_>, step: &judged::Step) -> Step {
    let phrase = words.step(step);
    Step {
        task: words.task(step.task),
        kind: phrase.kind,
        text: phrase.text,
        short: phrase.short,
        site: step.site.and_then(|site| words.place(site)),
        forbidden_by: step.forbidden.map(|by| words.restriction(by)),
        to: match step.what {
            StepKind::Needs { on, .. } | StepKind::AlsoNeeds { on, .. } => Some(words.task(on)),
            _ => None,
        },
        seq: step.seq,
        time: step.time,
        details: phrase.details,
    }
}

/// The last forbidden entry of the chain: the one that the finding is about.
fn entry(finding: &judged::Finding) -> Option<&judged::Step> {
    finding.chain.iter().rev().find(|step| step.forbidden.is_some())
}

fn headline(words: &Words<'_>) -> String {
    let finding = words.finding;
    let forbidden = entry(finding).and_then(|step| Some((step, step.forbidden?)));
    match (finding.code, forbidden) {
        (Code::RD01, Some((step, by))) => format!(
            "{} {} below its own reclaim; {} forbids it",
            words.task(step.task),
            words.step(step).text,
            words.restriction(by)
        ),
        (Code::RD02, Some((step, by))) => format!(
            "{} {} while {} waits for it; {} forbids it",
            words.task(step.task),
            words.step(step).text,
            words.task(by.task),
            words.restriction(by)
        ),
        (Code::RD04, _) => match &*finding.tasks {
            [one] => format!("{} waits for itself", words.task(*one)),
            tasks => {
                let names: Vec<String> = tasks.iter().map(|task| words.task(*task)).collect();
                format!("{} wait for each other", names.join(", "))
            }
        },
        (Code::RD05, _) => hang(finding),
        (Code::RD06, _) => misuse(words).unwrap_or_else(|| finding.code.meaning().to_owned()),
        (code, _) => breach(words).unwrap_or_else(|| code.meaning().to_owned()),
    }
}

fn hang(finding: &judged::Finding) -> String {
    let count = |test: fn(&StepKind) -> bool| {
        let tasks = finding.chain.iter().filter(|step| test(&step.what)).map(|step| step.task);
        tasks.collect::<BTreeSet<_>>().len()
    };
    let waiting = count(|what| matches!(what, StepKind::Wait { .. }));
    let waits = match waiting {
        1 => "1 waits, and its wait forms no cycle".to_owned(),
        n => format!("{n} wait, and their waits form no cycle"),
    };
    match count(|what| *what == StepKind::Running) {
        0 => format!("no task can run: {waits}"),
        1 => format!("the step budget is spent: 1 runs, {waits}"),
        n => format!("the step budget is spent: {n} run, {waits}"),
    }
}

/// `rsync, shrinker dm-bufio:loop0: count waits`.
fn breach(words: &Words<'_>) -> Option<String> {
    let step = words.finding.chain.last()?;
    let StepKind::Broke { breach, subject } = step.what else {
        return None;
    };
    let about = subject.map_or_else(String::new, |subject| format!(", {}", words.subject(subject)));
    Some(format!("{}{about}: {}", words.task(step.task), breach.name()))
}

/// `scope nofs#1 of rsync: left twice`.
fn misuse(words: &Words<'_>) -> Option<String> {
    match words.finding.chain.last()?.what {
        StepKind::Misused { what, kind, owner, scope } => {
            Some(format!("{}: {what}", words.scope(kind, scope, owner)))
        }
        _ => None,
    }
}

/// `rsync -> request #0 -> loop0 -> lock journal of fs:lower -> rsync`.
fn summary(words: &Words<'_>) -> String {
    let finding = words.finding;
    let (Some(first), true) = (finding.tasks.first(), has_path(finding.code)) else {
        return String::new();
    };
    let mut line = words.task(*first);
    for step in &finding.chain {
        if let StepKind::Needs { resource, on, .. } = step.what {
            line = format!("{line} -> {} -> {}", words.resource(resource), words.task(on));
            if on == *first {
                return line;
            }
        }
    }
    match entry(finding) {
        Some(step) => format!("{line} -> {}", words.step(step).short),
        None => line,
    }
}

/// Whether the chain leads from one task to the next. Chains of other codes say where a task was
/// when it broke a rule.
const fn has_path(code: Code) -> bool {
    matches!(code, Code::RD01 | Code::RD02 | Code::RD03 | Code::RD04)
}

/// E1, the allocation edge, where a task alone, or a server in its role, comes back by its own
/// allocation; E2, the wait edge, where a reclaimer waits for another task.
fn closing_edge(finding: &judged::Finding) -> Option<ClosingEdge> {
    let reclaims =
        |step: &&judged::Step| matches!(step.what, StepKind::Frame(FrameKind::Reclaim { .. }));
    if !has_path(finding.code) || !finding.chain.iter().any(|step| reclaims(&step)) {
        return None;
    }
    if let Some(entry) = entry(finding) {
        let before = finding.chain.iter().take_while(|step| !std::ptr::eq(*step, entry));
        let own = before.filter(reclaims).last().is_some_and(|reclaim| reclaim.task == entry.task);
        return Some(if own { ClosingEdge::E1 } else { ClosingEdge::E2 });
    }
    let serving = |step: &judged::Step| {
        matches!(step.what, StepKind::Frame(FrameKind::Serving { .. } | FrameKind::Working { .. }))
    };
    let server_reclaims = finding.chain.iter().filter(reclaims).any(|reclaim| {
        let earlier = |step: &&judged::Step| step.task == reclaim.task && step.seq < reclaim.seq;
        finding.chain.iter().filter(earlier).any(serving)
    });
    let own = finding.tasks.len() == 1 || server_reclaims;
    Some(if own { ClosingEdge::E1 } else { ClosingEdge::E2 })
}

fn held(words: &Words<'_>, task: TaskId) -> Held {
    let mut held = Held::nothing(words.task(task));
    for step in words.finding.chain.iter().filter(|step| step.task == task) {
        match step.what {
            StepKind::Holds { lock, mode } => held.locks.push(words.held_lock(lock, mode)),
            StepKind::HasElement { pool } => {
                held.elements.push(words.resource(Resource::Pool(pool)));
            }
            StepKind::Promised { condition, .. } => {
                held.promises.push(words.resource(Resource::Condition(condition)));
            }
            StepKind::Frame(FrameKind::Scope { kind, scope, .. }) => {
                held.scopes.push(scope_name(kind, scope));
            }
            _ => {}
        }
    }
    held
}

/// What the tasks of a deadlock or of a recursion hold and wait for, under the names that an order
/// has for it.
fn nodes(words: &Words<'_>) -> Vec<String> {
    let finding = words.finding;
    let node = |step: &judged::Step| match step.what {
        StepKind::Holds { lock, .. } => words.ordered(Resource::Lock(lock)),
        StepKind::HasElement { pool } => words.ordered(Resource::Pool(pool)),
        StepKind::Promised { condition, .. } => words.ordered(Resource::Condition(condition)),
        StepKind::Wait { resource, .. } => words.ordered(resource),
        StepKind::Frame(FrameKind::Serving { request }) => {
            words.ordered(Resource::Request(request))
        }
        StepKind::Frame(FrameKind::Working { work }) => words.ordered(Resource::Work(work)),
        _ => Vec::new(),
    };
    match finding.code {
        Code::RD01 | Code::RD02 | Code::RD04 => finding.chain.iter().flat_map(node).collect(),
        _ => Vec::new(),
    }
}
