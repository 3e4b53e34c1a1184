//! RD08: an allocation's effective mask is not what its request and its task's scopes make it.
//!
//! The judge has the rule itself and applies it to the scopes that it saw entered and left: it does
//! not ask the allocator, nor the flag word that the allocator read. A task whose scopes were
//! misused is judged by that (RD06), and here no more. Where the events do not say what else
//! narrows a mask (a recording of a real kernel) only the two rules that hold anyway are judged: no
//! bit is gained, and the mask makes sense. Invariants 3 and 4 of the project's description of
//! reclaim, section 9; the rule is that of 2.3 and 2.7.

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind};
use super::frames::{Frame, FrameKind};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Event, EventKind, Gfp, ScopeKind, Site, TaskFlags, TaskId};

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

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let task = event.task;
        match event.kind {
            EventKind::Watermarks { .. } => self.told = true,
            EventKind::ScopesJoined => self.joined = true,
            EventKind::AllocConstrained { mask } => drop(self.allowed.insert(task, mask)),
            EventKind::ScopeMisuse { owner, .. } => self.misused.extend([task, owner]),
            EventKind::AllocBegin { order, requested, effective, flags, site } => {
                let allowed = self.allowed.remove(&task).unwrap_or(requested);
                let request = Request { order, requested, allowed, effective, flags };
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
struct Request {
    order: u32,
    requested: Gfp,
    /// What is left of the request before scopes.
    allowed: Gfp,
    effective: Gfp,
    flags: TaskFlags,
}

impl Mask {
    fn breach(&self, task: TaskId, request: &Request, view: &View) -> Option<Breach> {
        let Request { order, requested, allowed, effective, flags } = *request;
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
mod tests {
    use super::*;
    use crate::event::Misuse;
    use crate::units::Pages;
    use crate::witness::script::{Script, breaches};

    /// The breaches that are named, in order, in a world.
    #[track_caller]
    fn check(expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
        let mut s = Script::default();
        let task = s.task("cp");
        s.on(task, EventKind::Watermarks { min: Pages(1000), low: Pages(1250), high: Pages(1500) });
        story(&mut s, task);
        assert_eq!(breaches(&s), expect);
    }

    fn in_scope(
        kind: ScopeKind,
        requested: Gfp,
        effective: Gfp,
    ) -> impl FnOnce(&mut Script, TaskId) {
        move |s, task| {
            s.scope(task, kind, 1);
            s.alloc(task, requested, effective);
        }
    }

    /// An allocation of a task that may not wait.
    fn nowait(s: &mut Script, task: TaskId, requested: Gfp, effective: Gfp) {
        let (flags, site) = (TaskFlags::MEMALLOC_NOWAIT, Site { file: "x.rs", line: 1 });
        s.on(task, EventKind::AllocBegin { order: 0, requested, effective, flags, site });
    }

    #[test]
    fn a_mask_gains_nothing() {
        check(&[Breach::MaskGrew], |s, task| s.alloc(task, Gfp::NOFS, Gfp::KERNEL));
        check(&[], |s, task| s.alloc(task, Gfp::NOFS, Gfp::NOFS));
    }

    #[test]
    fn a_mask_makes_sense() {
        check(&[Breach::MalformedMask], |s, task| s.alloc(task, Gfp::KERNEL, Gfp::NOIO | Gfp::FS));
        check(&[Breach::MalformedMask], |s, task| {
            let nofail = Gfp::KERNEL | Gfp::NOFAIL;
            nowait(s, task, nofail, nofail - Gfp::DIRECT_RECLAIM);
        });
        check(&[Breach::MalformedMask], |s, task| {
            s.scope(task, ScopeKind::Nowait, 1);
            nowait(s, task, Gfp::KERNEL, Gfp::KERNEL - Gfp::DIRECT_RECLAIM - Gfp::IO);
        });
    }

    #[test]
    fn a_scope_is_applied_and_no_more_than_it() {
        let ignored = &[Breach::ScopeIgnored][..];
        check(ignored, in_scope(ScopeKind::Nofs, Gfp::KERNEL, Gfp::KERNEL));
        check(ignored, in_scope(ScopeKind::Nofs, Gfp::KERNEL, Gfp::NOIO));
        check(ignored, in_scope(ScopeKind::Noio, Gfp::KERNEL, Gfp::NOFS));
        check(ignored, |s, task| s.alloc(task, Gfp::KERNEL, Gfp::NOFS));
        check(&[], in_scope(ScopeKind::Nofs, Gfp::KERNEL, Gfp::NOFS));
        check(&[], in_scope(ScopeKind::Noio, Gfp::KERNEL, Gfp::NOIO));
        check(&[], in_scope(ScopeKind::Pin, Gfp::HIGHUSER_MOVABLE, Gfp::HIGHUSER));
        check(&[], |s, task| {
            s.scope(task, ScopeKind::Nowait, 1);
            nowait(s, task, Gfp::KERNEL, Gfp::KERNEL - Gfp::DIRECT_RECLAIM);
        });
        check(&[], in_scope(ScopeKind::Noreclaim, Gfp::KERNEL, Gfp::KERNEL));
    }

    #[test]
    fn what_nobody_may_do_is_taken_first_and_from_one_allocation() {
        check(&[Breach::ScopeIgnored], |s, task| {
            s.on(task, EventKind::AllocConstrained { mask: Gfp::NOIO });
            s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
            s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
        });
    }

    #[test]
    fn a_policy_may_join_the_scopes() {
        let joined = |effective| {
            move |s: &mut Script, task| {
                s.on(task, EventKind::ScopesJoined);
                in_scope(ScopeKind::Nofs, Gfp::KERNEL, effective)(s, task);
            }
        };
        check(&[], joined(Gfp::NOIO));
        check(&[Breach::ScopeIgnored], joined(Gfp::NOFS));
    }

    #[test]
    fn a_task_whose_scopes_were_misused_is_judged_by_that_alone() {
        check(&[], |s, task| {
            let (what, kind, site) =
                (Misuse::ZeroToken, ScopeKind::Nofs, Site { file: "x.rs", line: 1 });
            s.scope(task, kind, 1);
            s.on(task, EventKind::ScopeMisuse { what, kind, owner: task, scope: 1, site });
            s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
        });
    }

    #[test]
    fn a_recording_says_too_little_for_the_rule() {
        let mut s = Script::default();
        let task = s.task("cp");
        s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
        assert_eq!(breaches(&s), []);
    }
}
