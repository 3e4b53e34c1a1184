//! RD10: reclaim claimed progress, and the allocation that it was for failed.
//!
//! A shrinker that hands its work to a queue claims objects that are still there; the allocator believes in
//! progress and gives up. It is a finding only where what was claimed would have been enough, and nobody else
//! got memory meanwhile, for then it went to them. Written from the project's description of reclaim, 4.5 and
//! 7.5 (H4).

use std::collections::BTreeMap;

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind};
use super::frames::FrameKind;
use super::panel::Judge;
use super::view::View;
use crate::event::{AllocOutcome, Event, EventKind, TaskId};

/// The judge of RD10.
#[derive(Debug, Default)]
pub(super) struct Phantom {
    /// What reclaim claimed for the allocation that each task is in.
    claims: BTreeMap<TaskId, u64>,
}

impl Judge for Phantom {
    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        match event.kind {
            EventKind::AllocBegin { .. } => {
                self.claims.insert(event.task, 0);
            }
            EventKind::ReclaimExit { freed, .. } => {
                if let Some(claim) = self.claims.get_mut(&event.task) {
                    *claim = claim.saturating_add(freed);
                }
            }
            EventKind::AllocEnd { outcome: AllocOutcome::Ok, .. } => self.claims.clear(),
            EventKind::AllocEnd { outcome: AllocOutcome::Failed, .. } => {
                let claimed = self.claims.remove(&event.task).unwrap_or(0);
                let closed = view.closed();
                let needed = closed.and_then(|frame| match frame.kind {
                    FrameKind::Alloc { order, .. } => 1_u64.checked_shl(order),
                    _ => None,
                });
                if needed.is_some_and(|needed| claimed >= needed) {
                    let mut chain = Chain::new(view);
                    chain.task(event.task, None);
                    let what = StepKind::Broke { breach: Breach::PhantomProgress, subject: None };
                    chain.ends_with(what, closed.and_then(|frame| frame.site), event);
                    out.push(chain.finish(Breach::PhantomProgress.code(), event));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::event::{AllocOutcome, EventKind, Gfp, ReclaimKind, TaskId};
    use crate::units::Pages;
    use crate::witness::script::Script;

    /// An allocation for which reclaim claims `freed`, with `meanwhile` before it ends.
    #[track_caller]
    fn check(expect: &[&str], freed: u64, outcome: AllocOutcome, meanwhile: impl FnOnce(&mut Script)) {
        let mut s = Script::default();
        let task: TaskId = s.task("cp");
        s.alloc(task, Gfp::KERNEL, Gfp::KERNEL);
        s.on(task, EventKind::ReclaimEnter { kind: ReclaimKind::Direct, mask: Gfp::KERNEL });
        s.on(task, EventKind::ReclaimExit { freed, priority: 0 });
        meanwhile(&mut s);
        s.on(task, EventKind::AllocEnd { outcome, left: Pages(0) });
        assert_eq!(s.codes(), expect);
    }

    fn another_gets_memory(s: &mut Script) {
        let other = s.task("other");
        s.alloc(other, Gfp::KERNEL, Gfp::KERNEL);
        s.on(other, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(0) });
    }

    #[test]
    fn progress_that_helped_nobody_is_found() {
        check(&["RD10"], 32, AllocOutcome::Failed, |_| {});
    }

    #[test]
    fn real_progress_and_none_are_quiet() {
        check(&[], 32, AllocOutcome::Ok, |_| {});
        check(&[], 0, AllocOutcome::Failed, |_| {});
        check(&[], 32, AllocOutcome::Failed, another_gets_memory);
    }
}
