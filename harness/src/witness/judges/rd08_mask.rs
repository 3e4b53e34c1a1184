//! RD08: the effective mask of an allocation is not what its request and the scopes of its task
//! give.
//!
//! The judge applies the rule itself, to the scopes that it saw entered and left. It asks neither
//! the allocator nor the flag word that the allocator read. A task whose scopes were misused is
//! judged by RD06 alone. Events that do not say what else narrows a mask (a recording of a real
//! kernel) are judged by two rules only: no bit is gained, and the mask is well formed. Invariants
//! 3 and 4 of docs/kernel/rules.md, "Invariants"; the rule is that of docs/kernel/scopes.md, "The
//! effective mask" and "The nowait scope".

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{EventKind, Gfp, ScopeKind, Site, TaskFlags, TaskId};
use crate::witness::{Breach, Finding, Frame, FrameKind, Judge, Moment, Reads, View, broken_rule};

/// The judge of invariants 3 and 4.
#[derive(Debug, Default)]
pub(super) struct Mask {
    found: BTreeSet<(TaskId, Breach, Site)>,
    /// The events come from a world, which reports everything that narrows a mask.
    told: bool,
    /// A NOFS scope takes IO too, under a policy that joins the two scopes.
    joined: bool,
    /// What is left of the next request of each task, before scopes.
    allowed: BTreeMap<TaskId, Gfp>,
    /// Tasks whose scopes were misused.
    misused: BTreeSet<TaskId>,
}

impl Judge for Mask {
    fn reads(&self) -> Reads {
        Reads::MEMORY.and(Reads::ALLOCATIONS).and(Reads::MISUSE)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        let task = event.task;
        match event.kind {
            EventKind::Watermarks { .. } => self.told = true,
            EventKind::ScopesJoined => self.joined = true,
            EventKind::AllocConstrained { mask } => drop(self.allowed.insert(task, mask)),
            EventKind::ScopeMisuse { owner, .. } => self.misused.extend([task, owner]),
            EventKind::AllocBegin { order, requested, effective, flags, site } => {
                let allowed = self.allowed.remove(&task).unwrap_or(requested);
                let request = AllocationMasks { order, requested, allowed, effective, flags };
                let Some(breach) = self.breach(task, &request, view) else {
                    return;
                };
                if self.found.insert((task, breach, site)) {
                    out.push(broken_rule(moment, task, breach, None, Some(site)));
                }
            }
            _ => {}
        }
    }
}

/// The masks and flags of one allocation.
struct AllocationMasks {
    order: u32,
    requested: Gfp,
    /// What is left of the request before scopes.
    allowed: Gfp,
    effective: Gfp,
    flags: TaskFlags,
}

impl Mask {
    fn breach(&self, task: TaskId, request: &AllocationMasks, view: &View) -> Option<Breach> {
        let AllocationMasks { order, requested, allowed, effective, flags } = *request;
        if effective - requested != Gfp::EMPTY {
            return Some(Breach::MaskGrew);
        }
        // A nowait scope leaves IO and FS set, where they mean nothing. That is no mistake of the
        // request.
        let nowait = flags.contains(TaskFlags::MEMALLOC_NOWAIT);
        let seen = if nowait { effective | requested & Gfp::DIRECT_RECLAIM } else { effective };
        if requested.validate_request(order, flags).is_err() || seen.validate().is_err() {
            return Some(Breach::MalformedMask);
        }
        let judged = self.told && !self.misused.contains(&task);
        let differs = effective != in_scopes(allowed, view.frames(task), self.joined);
        (judged && differs).then_some(Breach::ScopeIgnored)
    }
}

/// `mask` after the scopes among `frames`.
fn in_scopes(mask: Gfp, frames: &[Frame], joined: bool) -> Gfp {
    let [mut nofs, mut noio, mut nowait, mut pin] = [false; 4];
    for frame in frames {
        match frame.kind {
            FrameKind::Scope { kind: ScopeKind::Nofs | ScopeKind::Context(_), .. } => nofs = true,
            FrameKind::Scope { kind: ScopeKind::Noio, .. } => noio = true,
            FrameKind::Scope { kind: ScopeKind::Nowait, .. } => nowait = true,
            FrameKind::Scope { kind: ScopeKind::Pin, .. } => pin = true,
            _ => {}
        }
    }
    let lost = if nowait {
        Gfp::DIRECT_RECLAIM
    } else if noio || joined && nofs {
        Gfp::IO | Gfp::FS
    } else if nofs {
        Gfp::FS
    } else {
        Gfp::EMPTY
    };
    mask - lost - if pin { Gfp::MOVABLE } else { Gfp::EMPTY }
}

#[cfg(test)]
mod tests;
