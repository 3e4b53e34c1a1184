//! RD11: scopes and masks that restrict more than they need to, or nothing.
//!
//! Lints, not failures: they judge what a run did, and another run of the same code may need what this one did
//! not. So they are made only where a test asks for them. Written from the project's description of scoped
//! allocation, 2.5 and 9 (lints).

use std::collections::BTreeSet;

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind, Subject};
use super::frames::{Frame, FrameKind};
use super::panel::Judge;
use super::view::View;
use crate::event::{Entered, Event, EventKind, Gfp, Layer, ScopeKind, Site, TaskId};

/// The judge of RD11.
#[derive(Debug, Default)]
pub(super) struct Lint {
    told: BTreeSet<(Breach, Option<Site>)>,
    /// The last allocation of each task.
    allocated: std::collections::BTreeMap<TaskId, u64>,
}

impl Judge for Lint {
    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let task = event.task;
        let wrong = match event.kind {
            EventKind::AllocBegin { requested, site, .. } => {
                self.allocated.insert(task, event.seq);
                redundant(view.frames(task), requested).then_some((Breach::RedundantMask, None, Some(site)))
            }
            EventKind::ScopeEnter { kind: ScopeKind::Noio, scope, site, how: Entered::Held } => {
                let subject = Subject::Scope { kind: ScopeKind::Noio, scope };
                let needs = view.frames(task).iter().any(|frame| needs_noio(frame.kind));
                (!needs).then_some((Breach::NoioWhereNofsWouldDo, Some(subject), Some(site)))
            }
            EventKind::ScopeExit { kind, scope } if kind.restricts() => {
                let entered = view.closed().map(|frame| (frame.seq, frame.site));
                let last = self.allocated.get(&task).copied();
                entered.filter(|(seq, _)| last.is_none_or(|last| last < *seq)).map(|(_, site)| {
                    (Breach::ScopeWithoutAllocation, Some(Subject::Scope { kind, scope }), site)
                })
            }
            _ => None,
        };
        let Some((breach, subject, site)) = wrong else {
            return;
        };
        if self.told.insert((breach, site)) {
            let mut chain = Chain::new(view);
            chain.task(task, None);
            chain.ends_with(StepKind::Broke { breach, subject }, site, event);
            out.push(chain.finish(breach.code(), event));
        }
    }
}

/// Whether the request itself says what an open scope says.
fn redundant(frames: &[Frame], requested: Gfp) -> bool {
    let explicit = requested.allow_blocking() && !requested.contains(Gfp::FS);
    let reclaims = frames.iter().any(|frame| matches!(frame.kind, FrameKind::Reclaim { .. }));
    let covered = |kind| match kind {
        ScopeKind::Nofs => requested.contains(Gfp::IO),
        ScopeKind::Noio => true,
        _ => false,
    };
    let scoped = |frame: &Frame| matches!(frame.kind, FrameKind::Scope { kind, .. } if covered(kind));
    explicit && !reclaims && frames.iter().any(scoped)
}

/// Whether being in the middle of this makes I/O dangerous.
fn needs_noio(kind: FrameKind) -> bool {
    match kind {
        FrameKind::Serving { .. } | FrameKind::Working { .. } | FrameKind::Reclaim { .. } => true,
        FrameKind::Layer { layer } => {
            [Layer::IO, Layer::LOOP, Layer::BUFIO, Layer::SWAP].contains(&layer.layer)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::panel::Witness;
    use crate::witness::script::Script;

    /// The lints of `story`, in order; without asking for them there are none.
    #[track_caller]
    fn check(expect: &[Breach], story: impl Fn(&mut Script, TaskId)) {
        for lints in [true, false] {
            let mut s = Script::default();
            if lints {
                s.witness = Witness::new().with_lints();
            }
            let task = s.task("cp");
            story(&mut s, task);
            let last = |finding: &Finding| match finding.chain.last()?.what {
                StepKind::Broke { breach, .. } => Some(breach),
                _ => None,
            };
            let made: Vec<_> = s.witness.findings().iter().filter_map(last).collect();
            assert_eq!(made, if lints { expect } else { &[] });
        }
    }

    #[test]
    fn a_scope_in_which_nothing_is_allocated() {
        check(&[Breach::ScopeWithoutAllocation], |s, task| {
            s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
            s.scope(task, ScopeKind::Nofs, 1);
            s.end_scope(task, ScopeKind::Nofs, 1);
        });
        check(&[], |s, task| {
            s.scope(task, ScopeKind::Nofs, 1);
            s.alloc(task, Gfp::KERNEL, Gfp::NOFS);
            s.end_scope(task, ScopeKind::Nofs, 1);
        });
    }

    #[test]
    fn a_mask_that_says_what_the_scope_says() {
        let in_scope = |kind, mask| {
            move |s: &mut Script, task| {
                s.layer_of_blocks(task);
                s.scope(task, kind, 1);
                s.alloc(task, mask, mask);
            }
        };
        check(&[Breach::RedundantMask], in_scope(ScopeKind::Nofs, Gfp::NOFS));
        check(&[Breach::RedundantMask], in_scope(ScopeKind::Noio, Gfp::NOIO));
        check(&[], in_scope(ScopeKind::Nofs, Gfp::NOIO));
        check(&[], in_scope(ScopeKind::Nofs, Gfp::NOWAIT));
        check(&[], in_scope(ScopeKind::Nofs, Gfp::KERNEL));
    }

    #[test]
    fn a_noio_scope_outside_the_block_layer() {
        check(&[Breach::NoioWhereNofsWouldDo], |s, task| {
            s.scope(task, ScopeKind::Noio, 1);
            s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
        });
        check(&[], |s, task| {
            s.layer_of_blocks(task);
            s.scope(task, ScopeKind::Noio, 1);
            s.alloc(task, Gfp::KERNEL, Gfp::NOIO);
        });
    }
}
