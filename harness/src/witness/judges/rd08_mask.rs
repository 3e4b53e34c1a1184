//! RD08: an allocation's effective mask is not what its request and its task's scopes make it.
//!
//! The judge has the rule itself and applies it to the scopes that it saw entered and left: it does
//! not ask the allocator, nor the flag word that the allocator read. A task whose scopes were
//! misused is judged by that (RD06), and here no more. Where the events do not say what else
//! narrows a mask (a recording of a real kernel) only the two rules that hold anyway are judged: no
//! bit is gained, and the mask makes sense. Invariants 3 and 4 of the project's description of
//! reclaim, section 9; the rule is that of 2.3 and 2.7.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{EventKind, Gfp, ScopeKind, Site, TaskFlags, TaskId};
use crate::witness::{
    Breach, Chain, Finding, Frame, FrameKind, Judge, Moment, Reads, StepKind, View,
};

/// The judge of invariants 3 and 4.
#[derive(Debug, Default)]
pub(super) struct Mask {
    found: BTreeSet<(TaskId, Breach, Site)>,
    /// The events are those of a world, which tells everything that narrows a mask.
    told: bool,
    /// A NOFS scope takes I/O too.
    joined: bool,
    /// What the next allocation of a task may do at all.
    allowed: BTreeMap<TaskId, Gfp>,
    /// Tasks whose scopes are not what they should be.
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
                    let mut chain = Chain::new(view);
                    chain.task(task, None);
                    chain.ends_with(StepKind::Broke { breach, subject: None }, Some(site), event);
                    out.push(chain.finish(breach.code(), event));
                }
            }
            _ => {}
        }
    }
}

/// What an allocation says of itself.
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
        // A nowait scope leaves IO and FS, which mean nothing then: that is not the request's
        // fault.
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

/// What is left of `mask` in the scopes among `frames`.
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
