//! From a finding's chain to paths: a task, the resource that it waits for, the task that must act,
//! and so on.
//!
//! Key types: [`Path`], [`Hop`]. A cycle is one closed path; tasks that are not on it, such as
//! servers that a queue could have used instead, begin paths of their own.

use crate::report::finding::Finding;
use crate::report::step::Step;
use crate::witness::Role;

/// A task, and what it waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hop<'a> {
    pub(super) task: &'a str,
    pub(super) resource: Option<&'a str>,
    /// The same; of a request, with what it asks.
    pub(super) shown: Option<&'a str>,
    /// The task that must act, and its role in two words.
    pub(super) then: Option<(&'a str, &'static str)>,
    /// The last forbidden entry of the task.
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
    let mut needs = finding.needs().filter(|step| step.task == task);
    let then = needs.next().and_then(|step| Some((step.to.as_deref()?, role(step))));
    let mut waits = finding.waits.iter().filter(|waiting| waiting.task == task);
    let resource = waits.next().map(|waiting| waiting.resource.as_str());
    let forbidden =
        finding.chain.iter().rfind(|step| step.task == task && step.forbidden_by.is_some());
    let shown = resource.map(|resource| in_full(finding, resource));
    Hop { task, resource, shown, then, forbidden }
}

/// `request #18: write block 0 = sectors 0..8 of loop0`, where a step says what the request asks.
fn in_full<'a>(finding: &'a Finding, resource: &'a str) -> &'a str {
    let mut requests = finding.chain.iter().filter_map(Step::request);
    let found = requests.find(|(request, _)| *request == resource);
    found.map_or(resource, |(_, in_full)| in_full)
}

/// The role in which the next task must act, in two words.
const fn role(needs: &Step) -> &'static str {
    match needs.role() {
        Some(Role::Holds) => "held by",
        Some(Role::Serves) => "served by",
        Some(Role::ServesQueue) => "queued for",
        Some(Role::AheadInLine) => "behind",
        Some(Role::Promised) => "promised by",
        Some(Role::Exits | Role::HasElement) | None => "needs",
    }
}
