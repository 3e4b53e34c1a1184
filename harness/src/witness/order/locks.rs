//! Locks: taken where they are asked for, before any wait; held from where they are had.
//!
//! A try-lock waits for no task, so it takes nothing as far as order is concerned; if it succeeds,
//! the task holds the lock.

use super::held::{Hold, Key};
use super::node::NodeId;
use super::rd03_order::{Order, Want};
use crate::event::{EventKind, LockId, LockMode, Site};
use crate::witness::{Finding, Moment};

impl Order {
    pub(super) fn lock(&mut self, at: &Moment<'_>, out: &mut Vec<Finding>) {
        let task = at.event.task;
        match at.event.kind {
            EventKind::LockAttempt { lock, mode, try_lock, site } => {
                self.want_lock(at, lock, mode, !try_lock, site, out);
            }
            EventKind::LockAcquired { lock, mode, site } => {
                let Some(node) = self.lock_node(at, lock, mode) else {
                    return;
                };
                let attempt = self.actor(at, task).and_then(|actor| actor.attempt.take());
                let waited = attempt == Some((lock, true));
                let shared = mode == LockMode::Shared;
                self.hold(
                    at,
                    Hold {
                        node,
                        shared,
                        waited,
                        site: Some(site),
                        key: Key::Lock(lock),
                        via: None,
                    },
                );
            }
            EventKind::LockReleased { lock } => self.drop_last(task, Key::Lock(lock)),
            _ => {}
        }
    }

    /// What is taken: the lock, or the lock as one of a subclass.
    fn lock_node(&mut self, at: &Moment<'_>, lock: LockId, mode: LockMode) -> Option<NodeId> {
        let node = self.resolver.lock(lock, at.names, &mut self.graph.nodes)?;
        match mode {
            LockMode::Nested(subclass) => self.graph.nodes.nested(node, subclass),
            LockMode::Exclusive | LockMode::Shared => Some(node),
        }
    }

    pub(super) fn want_lock(
        &mut self,
        at: &Moment<'_>,
        lock: LockId,
        mode: LockMode,
        waits: bool,
        site: Site,
        out: &mut Vec<Finding>,
    ) {
        let task = at.event.task;
        let Some(actor) = self.actor(at, task) else {
            return;
        };
        actor.attempt = Some((lock, waits));
        let node = self.lock_node(at, lock, mode);
        let Some(node) = node.filter(|_| waits) else {
            return;
        };
        let shared = mode == LockMode::Shared;
        self.take(at, task, Want { shared, ..Want::plain(node, Some(site)) }, out);
        if !shared {
            let cycles = self.graph.writer(node);
            self.report(at, cycles, out);
        }
    }
}
