//! From a finding's chain to paths: task, what it waits for, who must act, and on.
//!
//! Key types: [`Path`], [`Hop`]. A cycle is one closed path; tasks that are not on it, such as
//! servers that a queue could have used instead, begin paths of their own.

use crate::report::{Finding, Step};

/// A task, and what it waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hop<'a> {
    pub(super) task: &'a str,
    pub(super) resource: Option<&'a str>,
    /// The same with what a request asks.
    pub(super) shown: Option<&'a str>,
    /// Who must act, in which role.
    pub(super) then: Option<(&'a str, &'static str)>,
    /// The last entry of the task that should not have been.
    pub(super) forbidden: Option<&'a Step>,
}

/// Hops that lead from one to the next; a closed one leads back to its first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) hops: Vec<Hop<'a>>,
    pub(super) closed: bool,
}

/// Every path of `finding`, each task once.
pub(super) fn paths(finding: &Finding) -> Vec<Path<'_>> {
    let mut paths: Vec<Path<'_>> = Vec::new();
    for task in &finding.tasks {
        let known = paths.iter().flat_map(|path| &path.hops).any(|hop| hop.task == task);
        if !known {
            let path = path(finding, task, &paths);
            paths.push(path);
        }
    }
    paths
}

fn path<'a>(finding: &'a Finding, first: &'a str, others: &[Path<'_>]) -> Path<'a> {
    let mut hops: Vec<Hop<'a>> = vec![hop(finding, first)];
    while let Some((next, _)) = hops.last().and_then(|hop| hop.then) {
        let elsewhere = others.iter().flat_map(|path| &path.hops).any(|hop| hop.task == next);
        if elsewhere || hops.iter().any(|hop| hop.task == next) {
            return Path { closed: next == first, hops };
        }
        hops.push(hop(finding, next));
    }
    Path { hops, closed: false }
}

fn hop<'a>(finding: &'a Finding, task: &'a str) -> Hop<'a> {
    let own = |step: &&Step| step.task == task;
    let needs = finding.chain.iter().filter(own).find(|step| step.kind == "needs");
    let resource =
        finding.waits.iter().find(|link| link.task == task).map(|link| link.resource.as_str());
    let then = needs
        .and_then(|step| Some((step.to.as_deref()?, role(step, resource.unwrap_or_default()))));
    let forbidden = finding.chain.iter().filter(own).rfind(|step| step.forbidden_by.is_some());
    let shown = resource.map(|resource| in_full(finding, resource));
    Hop { task, resource, shown, then, forbidden }
}

/// `request #18: write block 0 = sectors 0..8 of loop0`, where a step says what the request asks.
fn in_full<'a>(finding: &'a Finding, resource: &'a str) -> &'a str {
    let told = |step: &'a Step| {
        let rest = step.text.find(resource).map(|at| &step.text[at..])?;
        rest[resource.len()..].starts_with(": ").then_some(rest)
    };
    let steps =
        finding.chain.iter().filter(|step| matches!(step.kind.as_str(), "submitted" | "serving"));
    steps.filter_map(told).next().unwrap_or(resource)
}

/// In which role the next task must act, in two words.
fn role(needs: &Step, resource: &str) -> &'static str {
    let said = needs.text.strip_prefix(resource).unwrap_or(&needs.text);
    let roles = [
        (" is held by", "held by"),
        (" is served by", "served by"),
        (" is queued for", "queued for"),
        (":", "behind"),
    ];
    roles.iter().find(|(begins, _)| said.starts_with(begins)).map_or("needs", |(_, role)| role)
}
