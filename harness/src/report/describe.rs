//! From a judge's finding to words.

use super::finding::{Edge, Finding, Held, Link, Step};
use super::order;
use super::words::{self, Words};
use crate::event::{Names, TaskId};
use crate::witness::{self as judged, Code, FrameKind, StepKind};

/// Puts `finding` into the words of the world that `names` belongs to.
#[must_use]
pub fn describe(finding: &judged::Finding, names: &Names) -> Finding {
    if let Some(cycle) = &finding.order {
        return order::describe(finding, cycle);
    }
    let words = Words { names, finding };
    let link = |(task, resource): (TaskId, _)| Link {
        task: words.task(task),
        resource: words.resource(resource),
    };
    let waits = finding.chain.iter().filter_map(|step| match step.what {
        StepKind::Wait { resource, .. } => Some(link((step.task, resource))),
        _ => None,
    });
    Finding {
        code: finding.code,
        title: finding.code.title().to_owned(),
        headline: headline(&words),
        seq: finding.seq,
        time: finding.time,
        tasks: finding.tasks.iter().map(|task| words.task(*task)).collect(),
        chain: finding.chain.iter().map(|step| describe_step(&words, step)).collect(),
        edge: edge(finding),
        summary: summary(&words),
        waits: waits.collect(),
        cycle: finding.cycle.iter().copied().map(link).collect(),
        breakable: finding.breakable.iter().map(|task| words.task(*task)).collect(),
        held: finding.tasks.iter().map(|task| held(&words, *task)).collect(),
        nodes: order::things(&words),
        order: None,
    }
}

fn describe_step(words: &Words<'_>, step: &judged::Step) -> Step {
    let phrase = words.step(step);
    Step {
        task: words.task(step.task),
        kind: phrase.kind.to_owned(),
        text: phrase.text,
        short: phrase.short,
        site: step.site.map(|site| words.place(site)),
        forbidden_by: step.forbidden.map(|by| words.restriction(by)),
        to: match step.what {
            StepKind::Needs { on, .. } => Some(words.task(on)),
            _ => None,
        },
        seq: step.seq,
        time: step.time,
    }
}

/// The last forbidden entry of the chain: the one that was found.
fn entry(finding: &judged::Finding) -> Option<&judged::Step> {
    finding.chain.iter().rev().find(|step| step.forbidden.is_some())
}

fn entered(words: &Words<'_>, step: &judged::Step) -> String {
    words.step(step).text
}

fn headline(words: &Words<'_>) -> String {
    let finding = words.finding;
    let forbidden = entry(finding).and_then(|step| Some((step, step.forbidden?)));
    match (finding.code, forbidden) {
        (Code::RD01, Some((step, by))) => {
            let (task, entered) = (words.task(step.task), entered(words, step));
            format!("{task} {entered} below its own reclaim; {} forbids it", words.restriction(by))
        }
        (Code::RD02, Some((step, by))) => {
            let (task, entered, waiter) =
                (words.task(step.task), entered(words, step), words.task(by.task));
            format!(
                "{task} {entered} while {waiter} waits for it; {} forbids it",
                words.restriction(by)
            )
        }
        (Code::RD04, _) => match &*finding.tasks {
            [one] => format!("{} waits for itself", words.task(*one)),
            tasks => {
                let names: Vec<String> = tasks.iter().map(|task| words.task(*task)).collect();
                format!("{} wait for each other", names.join(", "))
            }
        },

        (Code::RD06, _) => misuse(words).unwrap_or_else(|| finding.code.meaning().to_owned()),
        (Code::RD05, _) => {
            let waits = finding
                .chain
                .iter()
                .filter(|step| matches!(step.what, StepKind::Wait { .. }))
                .count();
            let runs = finding.chain.iter().filter(|step| step.what == StepKind::Running).count();
            if runs > 0 {
                format!(
                    "the step budget is spent: {runs} running, {waits} waiting, and no cycle among them"
                )
            } else {
                format!("nothing can go on: {waits} waiting, and no cycle among them")
            }
        }
        (code, _) => breach(words).unwrap_or_else(|| code.meaning().to_owned()),
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

/// Whether the chain leads somewhere, rather than saying where a task was when it broke a rule.
fn has_path(code: Code) -> bool {
    matches!(code, Code::RD01 | Code::RD02 | Code::RD03 | Code::RD04)
}

/// E1 where a task alone, or a server in its role, comes back by its own allocation; E2 where a
/// reclaimer waits for another task.
fn edge(finding: &judged::Finding) -> Option<Edge> {
    let reclaims =
        |step: &&judged::Step| matches!(step.what, StepKind::Frame(FrameKind::Reclaim { .. }));
    if !has_path(finding.code) || !finding.chain.iter().any(|step| reclaims(&step)) {
        return None;
    }
    if let Some(entry) = entry(finding) {
        let before = finding.chain.iter().take_while(|step| !std::ptr::eq(*step, entry));
        let own = before.filter(reclaims).last().is_some_and(|reclaim| reclaim.task == entry.task);
        return Some(if own { Edge::E1 } else { Edge::E2 });
    }
    let serving = |step: &judged::Step| {
        matches!(step.what, StepKind::Frame(FrameKind::Serving { .. } | FrameKind::Working { .. }))
    };
    let server_reclaims = finding.chain.iter().filter(reclaims).any(|reclaim| {
        let earlier = |step: &&judged::Step| step.task == reclaim.task && step.seq < reclaim.seq;
        finding.chain.iter().filter(earlier).any(serving)
    });
    Some(if finding.tasks.len() == 1 || server_reclaims { Edge::E1 } else { Edge::E2 })
}

fn held(words: &Words<'_>, task: TaskId) -> Held {
    let mut held = Held { task: words.task(task), locks: Vec::new(), scopes: Vec::new() };
    for step in words.finding.chain.iter().filter(|step| step.task == task) {
        match step.what {
            StepKind::Holds { .. } => held.locks.push(without_verb(&words.step(step).text)),
            StepKind::Frame(FrameKind::Scope { kind, scope, .. }) => {
                held.scopes.push(words::scope_name(kind, scope));
            }
            _ => {}
        }
    }
    held
}

fn without_verb(text: &str) -> String {
    text.strip_prefix("holds ").unwrap_or(text).to_owned()
}
