//! Which findings are part of a larger one, and the order in which a report has them.
//!
//! Key function: [`arrange`]. A finding is part of another if what it shows is in the middle of
//! what the other shows: the same entry below the same reclaim, the same wait, the same order. That
//! is decided by [`Facts`], never by words. A part keeps its code and its chain.

use std::cmp::Reverse;

use super::facts::Facts;
use super::finding::Finding;
use crate::event::{Layer, Resource, TaskId};
use crate::witness::{self as judged, Code, FrameKind, Node, NodeKind, StepKind, Subject};

/// Puts the findings of the reported schedule before those of others, in each the finding that
/// explains most first, each followed by its parts, and says of each part what it is part of.
/// Findings that were read from a report are parts of none.
pub(super) fn arrange(findings: Vec<Finding>) -> Vec<Finding> {
    let whole: Vec<usize> = (0..findings.len()).map(|index| whole(&findings, index)).collect();
    let key = |index: &usize| {
        let of = whole[*index];
        let parts = whole.iter().filter(|whole| **whole == of).count();
        let (group, own) = (rank(findings[of].code), rank(findings[*index].code));
        (schedule(&findings[of]), group, Reverse(parts), of, *index != of, own, *index)
    };
    let mut order: Vec<usize> = (0..findings.len()).collect();
    order.sort_by_cached_key(key);
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, index)| places[*index] = place);
    let mut findings: Vec<Finding> = findings
        .into_iter()
        .zip(whole.iter().enumerate())
        .map(|(finding, (index, of))| Finding {
            part_of: (*of != index).then_some(places[*of]),
            ..finding
        })
        .collect();
    // The places are a permutation: each swap puts one finding where it belongs.
    for index in 0..places.len() {
        while places[index] != index {
            let to = places[index];
            findings.swap(index, to);
            places.swap(index, to);
        }
    }
    findings
}

/// How much findings of a code explain; the least number explains most. What stopped the run comes
/// before what went wrong in it, that before what could go wrong, and that before advice.
const fn rank(code: Code) -> u8 {
    match code {
        Code::RD04 => 0,
        Code::RD05 => 1,
        Code::RD02 => 2,
        Code::RD01 => 3,
        Code::RD03 => 5,
        Code::RD11 => 6,
        _ => 4,
    }
}

/// The schedule of a finding; 0 for the reported one.
fn schedule(finding: &Finding) -> u64 {
    finding.elsewhere.as_ref().map_or(0, |elsewhere| elsewhere.schedule)
}

/// The largest finding that number `index` is part of; itself where there is none. Every rule leads
/// to a code that explains more, to more tasks or to what was seen, so the way has an end.
fn whole(findings: &[Finding], index: usize) -> usize {
    let mut at = index;
    loop {
        let larger = (0..findings.len()).filter(|other| {
            schedule(&findings[at]) == schedule(&findings[*other])
                && is_part_of(&findings[at], &findings[*other])
        });
        match larger.min_by_key(|other| (rank(findings[*other].code), *other)) {
            Some(other) => at = other,
            None => return at,
        }
    }
}

/// Whether `small` is part of `large`, which is of the same schedule. Findings that were read from
/// a report have no facts; their report says what they are part of.
pub(super) fn is_part_of(small: &Finding, large: &Finding) -> bool {
    match (small.origin.0.as_deref(), large.origin.0.as_deref()) {
        (Some(small), Some(large)) => is_part(small, large),
        _ => false,
    }
}

fn is_part(small: &Facts, large: &Facts) -> bool {
    match (small.finding.code, large.finding.code) {
        (Code::RD01, Code::RD02 | Code::RD04) => enters_in(small, large),
        (Code::RD02, Code::RD04) => {
            waits_in(small, large) && within(&small.finding.tasks, &large.finding.tasks)
        }
        (Code::RD02, Code::RD02) => {
            small.finding.tasks.len() < large.finding.tasks.len()
                && within(&small.finding.tasks, &large.finding.tasks)
                && small.chain().iter().all(|step| happens_in(step, large))
        }
        (Code::RD03, Code::RD01 | Code::RD02 | Code::RD04) => is_kept_by(small, large),
        (Code::RD03, Code::RD03) => {
            is_declared(small)
                && !is_declared(large)
                && things(small).all(|thing| things(large).any(|other| other == thing))
        }
        (Code::RD09, Code::RD04) => stands_in(small, large),
        _ => false,
    }
}

fn within(few: &[TaskId], many: &[TaskId]) -> bool {
    few.iter().all(|task| many.contains(task))
}

/// Whether the step of one finding is one of the other; what forbids it may be another scope.
fn happens_in(step: &judged::Step, large: &Facts) -> bool {
    large
        .chain()
        .iter()
        .any(|other| (other.task, other.seq, other.what) == (step.task, step.seq, step.what))
}

/// Whether the forbidden entry of a recursion is in the middle of `large`: its task is in the same
/// layer, below the same reclaim. It may have left the layer since and entered it again.
fn enters_in(small: &Facts, large: &Facts) -> bool {
    let Some(entry) = small.entry() else {
        return false;
    };
    let before = small.chain().iter().take_while(|step| !std::ptr::eq(*step, entry));
    let reclaim = before.filter(|step| {
        step.task == entry.task && matches!(step.what, StepKind::Frame(FrameKind::Reclaim { .. }))
    });
    reclaim.last().is_some_and(|reclaim| happens_in(reclaim, large))
        && large.chain().iter().any(|step| {
            step.task == entry.task && step.seq >= entry.seq && enters(step) == enters(entry)
        })
}

/// The layer that a step enters, and which one of it.
fn enters(step: &judged::Step) -> Option<(Layer, Option<u32>)> {
    match step.what {
        StepKind::Frame(FrameKind::Layer { layer }) | StepKind::PagedOut { layer, .. } => {
            Some((layer.layer, Some(layer.instance)))
        }
        StepKind::Submitted { .. } | StepKind::Wait { resource: Resource::Request(_), .. } => {
            Some((Layer::IO, None))
        }
        _ => None,
    }
}

/// Whether the wait that carries a scope is a wait of the deadlock, inside the same scope.
fn waits_in(small: &Facts, large: &Facts) -> bool {
    let wait = small.chain().iter().find_map(|step| match step.what {
        StepKind::Wait { resource, .. } => Some((step.task, resource)),
        _ => None,
    });
    let by = small.entry().and_then(|entry| entry.forbidden);
    wait.is_some_and(|wait| large.finding.cycle.contains(&wait))
        && by.is_some_and(|by| {
            large.chain().iter().any(|step| (step.task, step.seq) == (by.task, by.seq))
        })
}

/// Whether the order goes through nothing but what tasks of `large` have, want or reclaim.
fn is_kept_by(small: &Facts, large: &Facts) -> bool {
    let edges = small.finding.order.iter().flat_map(|cycle| &cycle.edges);
    things(small).next().is_some()
        && edges.into_iter().all(|edge| large.involves(&edge.from) && large.involves(&edge.to))
}

fn is_declared(facts: &Facts) -> bool {
    let edges = facts.finding.order.iter().flat_map(|cycle| &cycle.edges);
    edges.into_iter().any(|edge| edge.declared.is_some())
}

/// What an order goes through besides reclaim.
fn things(facts: &Facts) -> impl Iterator<Item = &Node> {
    let edges = facts.finding.order.iter().flat_map(|cycle| &cycle.edges);
    edges.map(|edge| &edge.from).filter(|node| !matches!(node.kind, NodeKind::Reclaim(_)))
}

/// Whether the holder that a convoy stands behind waits in the deadlock, with the same lock held.
fn stands_in(small: &Facts, large: &Facts) -> bool {
    let Some(last) = small.chain().last() else {
        return false;
    };
    let StepKind::Broke { subject: Some(Subject::Lock(lock)), .. } = last.what else {
        return false;
    };
    let mut own = small.chain().iter().filter(|step| step.task == last.task);
    let holds = own.clone().any(|step| {
        matches!(step.what, StepKind::Holds { lock: held, .. } if held == lock)
            && happens_in(step, large)
    });
    holds
        && own.any(|step| match step.what {
            StepKind::Wait { resource, .. } => large.finding.cycle.contains(&(step.task, resource)),
            _ => false,
        })
}

#[cfg(test)]
mod tests;
