//! The edge that closes a finding, in words that name its tasks.
//!
//! Key functions: [`of_chain`], [`of_cycle`]. Each returns sentences: which task no scope helps, or
//! whose allocation comes back; then, of each allocation that reclaims, what a scope around it
//! would take from that reclaim. That the finding would then not be made is known only from trying
//! (`Report::cuts`). Written from docs/kernel/proposals.md, "The two edges".

use super::names::Words;
use crate::event::{Gfp, ReclaimKind, TaskId};
use crate::report::finding::ClosingEdge;
use crate::witness::{self as judged, Edge, FrameKind, Level, NodeKind, StepKind};

/// The sentences of a finding whose chain leads from task to task.
pub(super) fn of_chain(words: &Words<'_>, edge: Option<ClosingEdge>) -> Vec<String> {
    let Some(edge) = edge else {
        return Vec::new();
    };
    let finding = words.finding;
    let named = |tasks: Vec<TaskId>| tasks.into_iter().map(|task| words.task(task)).collect();
    let (reclaim, others): (Vec<TaskId>, Vec<TaskId>) =
        finding.tasks.iter().partition(|task| reclaims(finding, **task));
    let mut sentences = vec![match edge {
        ClosingEdge::E1 => own_allocation(named(returning(finding, &reclaim))),
        ClosingEdge::E2 => wait(named(reclaim.clone()), named(others)),
    }];
    for task in reclaim {
        sentences.extend(in_reclaim(words, task));
    }
    sentences
}

/// The tasks whose own allocation comes back: of those that reclaim the one that enters what is
/// forbidden, or else those that serve; alone, the task itself.
fn returning(finding: &judged::Finding, reclaim: &[TaskId]) -> Vec<TaskId> {
    let entry = finding.chain.iter().rev().find(|step| step.forbidden.is_some());
    if let Some(entry) = entry.filter(|entry| reclaim.contains(&entry.task)) {
        return vec![entry.task];
    }
    let serves = |task: TaskId| {
        finding.chain.iter().any(|step| {
            step.task == task
                && matches!(
                    step.what,
                    StepKind::Frame(FrameKind::Serving { .. } | FrameKind::Working { .. })
                )
        })
    };
    let servers: Vec<TaskId> = reclaim.iter().copied().filter(|task| serves(*task)).collect();
    if servers.is_empty() { reclaim.to_vec() } else { servers }
}

fn reclaims(finding: &judged::Finding, task: TaskId) -> bool {
    let reclaim = |step: &judged::Step| {
        step.task == task && matches!(step.what, StepKind::Frame(FrameKind::Reclaim { .. }))
    };
    finding.chain.iter().any(reclaim)
}

/// What a scope changes in each reclaim of `task` in the chain.
fn in_reclaim(words: &Words<'_>, task: TaskId) -> Vec<String> {
    let mut allocation: Option<(&judged::Step, Gfp)> = None;
    let mut sentences = Vec::new();
    for step in words.finding.chain.iter().filter(|step| step.task == task) {
        match step.what {
            StepKind::Frame(FrameKind::Alloc { effective, .. }) => {
                allocation = Some((step, effective));
            }
            StepKind::Frame(FrameKind::Reclaim { kind: ReclaimKind::Kswapd, .. }) => {
                sentences.push(format!(
                    "no scope changes what {} may do: its mask is that of kswapd",
                    words.task(task)
                ));
            }
            StepKind::Frame(FrameKind::Reclaim { .. }) => {
                let Some((at, mask)) = allocation.take() else {
                    continue;
                };
                let place = at.site.and_then(|site| words.place(site)).unwrap_or_default();
                sentences.push(permissions(&allocation_of(&words.task(task), &place), mask));
            }
            _ => {}
        }
    }
    sentences
}

/// What a scope around the allocation takes from its reclaim, which has `mask`.
fn permissions(allocation: &str, mask: Gfp) -> String {
    match (mask.contains(Gfp::FS), mask.contains(Gfp::IO)) {
        (true, true) => format!(
            "scope nofs around {allocation} ({mask}) takes __GFP_FS from its reclaim, noio also \
             __GFP_IO"
        ),
        (true, false) => {
            format!("scope nofs around {allocation} ({mask}) takes __GFP_FS from its reclaim")
        }
        (false, true) => {
            format!("scope noio around {allocation} ({mask}) takes __GFP_IO from its reclaim")
        }
        (false, false) => format!("no scope takes more from {allocation}: its mask is {mask}"),
    }
}

fn allocation_of(task: &str, place: &str) -> String {
    let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
    format!("the allocation of {task}{at}")
}

fn own_allocation(tasks: Vec<String>) -> String {
    format!(
        "allocation edge: an allocation of {} itself comes back; a scope around it can cut it",
        tasks.join(", ")
    )
}

fn wait(reclaimers: Vec<String>, others: Vec<String>) -> String {
    let of = reclaimers.join(", ");
    match &*others {
        [] => format!("wait edge: the reclaim of {of} waits for another task of the cycle"),
        [one] => {
            format!(
                "wait edge: the reclaim of {of} waits for {one}; no scope on task {one} cuts it"
            )
        }
        many => {
            let many = many.join(", ");
            format!(
                "wait edge: the reclaim of {of} waits for {many}; no scope on these tasks cuts it"
            )
        }
    }
}

/// The sentences of a possible recursion. `acts` says of an edge that its task has it because it
/// serves, works or must exit.
pub(super) fn of_cycle(
    edges: &[Edge],
    edge: Option<ClosingEdge>,
    task: impl Fn(&Edge) -> String,
    acts: impl Fn(&Edge) -> bool,
    place: impl Fn(&Edge) -> String,
) -> Vec<String> {
    let Some(edge) = edge else {
        return Vec::new();
    };
    let unique = |wanted: &dyn Fn(&Edge) -> bool| {
        let mut names: Vec<String> = Vec::new();
        for name in edges.iter().filter(|edge| edge.declared.is_none() && wanted(edge)).map(&task) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    };
    let allocates = |edge: &Edge| level_taken(edge).is_some();
    let reclaimers = unique(&|edge| level(edge.from.kind).is_some());
    let mut sentences = vec![match edge {
        ClosingEdge::E1 => {
            let server = unique(&|edge| allocates(edge) && acts(edge));
            own_allocation(if server.is_empty() { unique(&allocates) } else { server })
        }
        ClosingEdge::E2 => {
            let allocating = unique(&allocates);
            let waiting = if reclaimers.is_empty() { allocating.clone() } else { reclaimers };
            let mut others = unique(&|edge| acts(edge) && !allocates(edge));
            others.retain(|name| !allocating.contains(name));
            wait(waiting, others)
        }
    }];
    sentences.extend(edges.iter().filter_map(|edge| {
        let allocation = allocation_of(&task(edge), &place(edge));
        let (level, mask) = level_taken(edge)?;
        Some(match level {
            Level::Fs | Level::Io => {
                let scope = if level == Level::Fs { "nofs" } else { "noio" };
                let level = level.name();
                format!("scope {scope} around {allocation} ({mask}) takes {level} from it")
            }
            Level::Any => format!("no scope takes {} from {allocation} ({mask})", level.name()),
        })
    }));
    sentences
}

/// The reclaim that an allocation of the edge may need, and its mask.
fn level_taken(edge: &Edge) -> Option<(Level, Gfp)> {
    level(edge.to.kind).zip(edge.mask).filter(|_| edge.declared.is_none())
}

const fn level(kind: NodeKind) -> Option<Level> {
    match kind {
        NodeKind::Reclaim(level) => Some(level),
        _ => None,
    }
}
