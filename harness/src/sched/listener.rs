//! What production code tells its world through the scope crate: scopes, layers, locks, shrinkers.
//!
//! Key types: [`WorldListener`], [`Production`]. A process has one listener, which finds the world
//! from the running task. For each lock of production code a world has a lock of its own, numbered
//! in the order of first use, so that the numbers are the same in every replay.
//!
//! Locking: the table of production locks is a leaf, and is not held while a task waits.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use reclaimdep_scope::listener::{Listener, ShrinkerHandle};
use reclaimdep_scope::{LayerRef, LockRef, MisuseReport, Scope, ScopeKind, Shrinker, Site};

use super::lock::{BareLock, Patience};
use super::place;
use super::side::harness_side;
use super::task::{Current, with_current};
use super::{Sched, SpinLock};
use crate::event::{EventKind, LockMode, TaskId};

/// Registers a shrinker of production code with a world's memory.
pub(crate) type RegisterShrinker = fn(&Sched, Arc<dyn Shrinker>) -> Option<ShrinkerHandle>;

/// What a world keeps for the production code that runs in it. It must hold no reference to the
/// world: that would be a cycle.
#[derive(Default)]
pub(super) struct Production {
    locks: SpinLock<BTreeMap<u64, Arc<BareLock>>>,
    register_shrinker: OnceLock<RegisterShrinker>,
}

impl Sched {
    /// Sets how shrinkers of production code get into the world's memory. Only the first call
    /// counts.
    pub(crate) fn on_register_shrinker(&self, register: RegisterShrinker) {
        self.0.production.register_shrinker.get_or_init(|| register);
    }

    fn production_lock(&self, lock: LockRef) -> Arc<BareLock> {
        let _side = harness_side();
        let mut locks = self.0.production.locks.lock();
        let number = locks.len();
        let core = locks.entry(lock.key).or_insert_with(|| {
            Arc::new(BareLock::new(self, lock.class, &format!("#{number}"), "mutex"))
        });
        Arc::clone(core)
    }
}

/// The process's listener: passes each call on to the world of the running task.
#[derive(Debug)]
pub(super) struct WorldListener;

/// The one listener of the process.
pub(super) static LISTENER: WorldListener = WorldListener;

fn current() -> Option<Current> {
    with_current(Current::clone)
}

fn tell(kind: EventKind) {
    if let Some(Current { sched, task, .. }) = current() {
        sched.emit_for(task, kind);
    }
}

impl Listener for WorldListener {
    fn scope_enter(&self, Scope { kind, seq, site, how }: Scope) {
        tell(EventKind::ScopeEnter { kind, scope: seq, site, how });
    }

    fn scope_exit(&self, kind: ScopeKind, seq: u32) {
        tell(EventKind::ScopeExit { kind, scope: seq });
    }

    fn scope_misuse(&self, MisuseReport { what, kind, owner, seq, site }: MisuseReport) {
        tell(EventKind::ScopeMisuse { what, kind, owner: TaskId(owner), scope: seq, site });
    }

    fn users_site(&self, site: Site) -> Site {
        place::user_site(site)
    }

    fn layer_enter(&self, layer: LayerRef, site: Site) {
        tell(EventKind::LayerEnter { layer, site });
    }

    fn layer_exit(&self, layer: LayerRef) {
        tell(EventKind::LayerExit { layer });
    }

    fn lock(&self, lock: LockRef, site: Site) {
        if let Some(Current { sched, .. }) = current() {
            let lock = sched.production_lock(lock);
            let taken = lock.acquire(&sched, LockMode::Exclusive, Patience::Uninterruptible, site);
            debug_assert!(taken.is_ok(), "an uninterruptible wait is never broken");
        }
    }

    fn try_lock(&self, lock: LockRef, site: Site) -> bool {
        current().is_none_or(|Current { sched, .. }| {
            sched.production_lock(lock).try_acquire(&sched, LockMode::Exclusive, site)
        })
    }

    fn unlock(&self, lock: LockRef) {
        if let Some(Current { sched, .. }) = current() {
            sched.production_lock(lock).release(&sched);
        }
    }

    fn register_shrinker(&self, shrinker: Arc<dyn Shrinker>) -> Option<ShrinkerHandle> {
        let Current { sched, .. } = current()?;
        let register = sched.0.production.register_shrinker.get()?;
        register(&sched, shrinker)
    }
}
