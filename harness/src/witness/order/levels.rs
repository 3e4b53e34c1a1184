//! Reclaim and allocations: which pseudo-locks they take and hold; claims.
//!
//! An allocation takes every level that its effective mask permits, whether or not it reclaims.
//! Reclaim holds the widest. Written from docs/kernel/lockdep.md, "The annotation", "Priming" and
//! "What the annotation cannot see".

use super::held::{Hold, Key};
use super::node::{Level, Node, NodeId};
use super::rd03_order::{Order, Want};
use crate::event::{Gfp, Prime, ReclaimKind, ScopeKind, Site, TaskFlags};
use crate::witness::{Finding, Frame, FrameKind, Moment};

impl Order {
    pub(super) fn allocation(
        &mut self,
        at: &Moment<'_>,
        mask: Gfp,
        flags: TaskFlags,
        site: Site,
        out: &mut Vec<Finding>,
    ) {
        if !exempt(mask, flags, at.view.frames(at.event.task)) {
            self.levels(at, mask, Some(site), out);
        }
    }

    pub(super) fn reclaim(
        &mut self,
        at: &Moment<'_>,
        kind: ReclaimKind,
        mask: Gfp,
        out: &mut Vec<Finding>,
    ) {
        match kind {
            // kswapd is what every allocation may have to wait for, whatever it was woken by. It
            // allocates nothing, so entering reclaim waits for no other reclaimer.
            ReclaimKind::Kswapd => self.hold_reclaim(at, Gfp::KERNEL, Key::Reclaim, false),
            _ => self.enter_reclaim(at, mask, Key::Reclaim, out),
        }
    }

    fn level(&mut self, level: Level) -> Option<NodeId> {
        let known = &mut self.levels[level as usize];
        if known.is_none() {
            *known = self.graph.nodes.id(Node::reclaim(level));
        }
        *known
    }

    /// Takes the pseudo-locks that `mask` permits.
    fn levels(&mut self, at: &Moment<'_>, mask: Gfp, site: Option<Site>, out: &mut Vec<Finding>) {
        let permitted = Level::permitted(mask);
        self.actor(at, at.event.task);
        let known = self.actors.get(at.event.task.0 as usize).and_then(Option::as_ref).is_some_and(
            |actor| !self.graph.are_new_levels(&actor.holds, permitted.len(), actor.claims > 0),
        );
        if known {
            return;
        }
        for level in permitted {
            if let Some(node) = self.level(*level) {
                self.take(
                    at,
                    at.event.task,
                    Want { mask: Some(mask), ..Want::plain(node, site) },
                    out,
                );
            }
        }
    }

    fn enter_reclaim(&mut self, at: &Moment<'_>, mask: Gfp, key: Key, out: &mut Vec<Finding>) {
        self.levels(at, mask, None, out);
        self.hold_reclaim(at, mask, key, true);
    }

    /// Holds the widest pseudo-lock that `mask` permits.
    fn hold_reclaim(&mut self, at: &Moment<'_>, mask: Gfp, key: Key, waited: bool) {
        let widest = Level::permitted(mask).last();
        if let Some(node) = widest.and_then(|level| self.level(*level)) {
            self.hold(at, Hold { node, shared: false, waited, site: None, key, via: None });
        }
    }

    pub(super) fn prime(&mut self, at: &Moment<'_>, prime: Prime, out: &mut Vec<Finding>) {
        let task = at.event.task;
        match prime {
            Prime::Begin | Prime::End => {
                if let Some(actor) = self.actor(at, task) {
                    let change = if prime == Prime::Begin { 1 } else { -1 };
                    actor.claims = actor.claims.saturating_add_signed(change);
                }
            }
            Prime::Enter(mask) => self.enter_reclaim(at, mask, Key::Claim, out),
            Prime::Leave => self.drop_last(task, Key::Claim),
        }
    }
}

/// Whether an allocation takes nothing: the task is the reclaimer, or the request has
/// `__GFP_NOLOCKDEP`.
pub(in crate::witness) fn exempt(mask: Gfp, flags: TaskFlags, frames: &[Frame]) -> bool {
    let reclaimer = |kind| {
        matches!(kind, FrameKind::Scope { kind: ScopeKind::Noreclaim | ScopeKind::Kswapd, .. })
    };
    flags.contains(TaskFlags::MEMALLOC)
        || mask.contains(Gfp::NOLOCKDEP)
        || frames.iter().any(|frame| reclaimer(frame.kind))
}
