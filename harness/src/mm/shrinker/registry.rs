//! The registered shrinkers, and one walk over them.
//!
//! Key types: [`Registry`], [`Registration`], [`ShrinkerWalk`]. A walk copies the list and holds no
//! lock over a callback, so a shrinker may register, unregister or wait. The walk holds a
//! pseudo-lock of the shrinker that runs: unregistering waits for that scan, and the judges see
//! which task it waits for. With the old rwsem every scan holds the rwsem of the registry, and
//! registering waits for all scans. A shrinker that panics is a finding and is not called again.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use reclaimdep_scope::{Bracket, Stop};

use super::pass::{DEFAULT_BATCH, Pass};
use super::{EMPTY, PortShrinker, ScanControl};
use crate::era::{MmKnobs, SlabAlgorithm};
use crate::event::{
    EventKind, Gfp, LockId, LockMode, ReclaimTarget, Resource, ShrinkPass, ShrinkerId, Site, TaskId,
};
use crate::inject::{Bug, Plan};
use crate::mm::policy::Target;
use crate::sched::{RwSem, Sched, Side, SpinLock, WaitQueue, Waiting, harness_side};

/// The most scans of one shrinker in one pass. Without this bound a pass would never end for a
/// shrinker that scans 0 objects.
const MAX_SCANS: u32 = 1 << 16;

struct RegisteredShrinker {
    id: ShrinkerId,
    /// The pseudo-lock that a scan holds.
    lock: LockId,
    shrinker: Arc<dyn PortShrinker>,
    registrar: TaskId,
    /// The side whose code it is.
    side: Side,
    /// Deferred objects, by whether they are of memcg reclaim.
    deferred: SpinLock<BTreeMap<bool, u64>>,
    scans: AtomicU32,
    /// It was unregistered, or it has panicked.
    dead: AtomicBool,
    idle: WaitQueue,
}

/// The registered shrinkers of a world.
pub(in super::super) struct Registry {
    sched: Sched,
    algorithm: SlabAlgorithm,
    entries: SpinLock<Vec<Arc<RegisteredShrinker>>>,
    rwsem: Option<RwSem<()>>,
}

/// A registered shrinker. [`Registration::unregister`] unregisters it and waits for scans in
/// flight; a drop unregisters it without waiting.
#[must_use = "the shrinker is unregistered when this is dropped"]
pub struct Registration {
    registry: Arc<Registry>,
    entry: Arc<RegisteredShrinker>,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").field("shrinker", &self.entry.id).finish_non_exhaustive()
    }
}

impl Registration {
    /// The shrinker's id in events.
    pub(in super::super) fn id(&self) -> ShrinkerId {
        self.entry.id
    }

    /// Unregisters, and waits until no scan of the shrinker runs (`shrinker_free`). A call from a
    /// scan of the same shrinker waits for itself; the judges report that.
    #[track_caller]
    pub fn unregister(self) {
        let _side = harness_side();
        let site = Site::here();
        let Self { registry, entry } = &self;
        // With the old rwsem this waits for all scans by taking it once.
        drop(registry.rwsem.as_ref().map(RwSem::write));
        registry.remove(entry);
        let sched = &registry.sched;
        if entry.scans.load(Ordering::SeqCst) == 0 {
            return;
        }
        let (lock, resource) = (entry.lock, Resource::Lock(entry.lock));
        sched.emit(EventKind::LockAttempt {
            lock,
            mode: LockMode::Exclusive,
            try_lock: false,
            site,
        });
        let waiting = Waiting { resource, why: "shrinker scans", breakable: false, site };
        let ended = entry.idle.wait_until(waiting, || entry.scans.load(Ordering::SeqCst) == 0);
        debug_assert!(ended.is_ok(), "a wait for scans is never broken");
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.remove(&self.entry);
    }
}

/// The reclaim that walks the shrinkers.
pub(in super::super) struct ShrinkerWalk<'a> {
    /// The mask for one shrinker, by the policy.
    pub(in super::super) mask: &'a dyn Fn(&dyn PortShrinker) -> Gfp,
    pub(in super::super) priority: u32,
    /// Only the memcg's objects.
    pub(in super::super) in_memcg: bool,
    /// Only shrinkers of these names; `None` for all.
    pub(in super::super) only: Option<&'a [String]>,
    pub(in super::super) plan: &'a Plan,
}

impl Registry {
    pub(in super::super) fn new(sched: &Sched, knobs: &MmKnobs) -> Arc<Self> {
        let rwsem = knobs.shrinker_rwsem.then(|| RwSem::new(sched, "shrinker_rwsem", "", ()));
        Arc::new(Self {
            sched: sched.clone(),
            algorithm: knobs.slab,
            entries: SpinLock::default(),
            rwsem,
        })
    }

    /// Registers (`register_shrinker`); with the old rwsem this waits for every scan in flight.
    #[track_caller]
    pub(in super::super) fn register(
        self: &Arc<Self>,
        shrinker: Arc<dyn PortShrinker>,
    ) -> Registration {
        let side = Side::now();
        let _side = harness_side();
        let _excluded = self.rwsem.as_ref().map(RwSem::write);
        // This is code of the user, so it must not run under the lock of events.
        let name = side.call(|| shrinker.name().to_owned());
        let (id, lock) = self
            .sched
            .names(|names| (names.add_shrinker(&name), names.add_lock("shrinker", &name)));
        let entry = Arc::new(RegisteredShrinker {
            id,
            lock,
            shrinker,
            registrar: self.sched.current(),
            side,
            deferred: SpinLock::default(),
            scans: AtomicU32::new(0),
            dead: AtomicBool::new(false),
            idle: WaitQueue::new(&self.sched),
        });
        self.sched.emit(EventKind::ShrinkerRegistered { shrinker: id, site: Site::here() });
        self.entries.lock().push(Arc::clone(&entry));
        Registration { registry: Arc::clone(self), entry }
    }

    fn remove(&self, entry: &Arc<RegisteredShrinker>) {
        entry.dead.store(true, Ordering::SeqCst);
        let mut entries = self.entries.lock();
        let before = entries.len();
        entries.retain(|known| !Arc::ptr_eq(known, entry));
        let gone = entries.len() < before;
        drop(entries);
        if gone {
            // The dropping thread may be no task of the world any more.
            let task = self.sched.try_current().unwrap_or(entry.registrar);
            self.sched.emit_for(task, EventKind::ShrinkerUnregistered { shrinker: entry.id });
        }
    }

    /// Every shrinker with a position in the stack, and that position.
    pub(in super::super) fn targets(&self) -> Vec<(ReclaimTarget, Target)> {
        let entries = self.entries.lock().clone();
        let target = |entry: &Arc<RegisteredShrinker>| {
            let target = entry.side.call(|| entry.shrinker.target())?;
            Some((ReclaimTarget::Shrinker(entry.id), target))
        };
        entries.iter().filter_map(target).collect()
    }

    /// One pass over every shrinker (`shrink_slab`); returns how many objects they report as freed.
    pub(in super::super) fn shrink(&self, walk: &ShrinkerWalk<'_>) -> u64 {
        let held = match &self.rwsem {
            None => None,
            Some(rwsem) => match rwsem.try_read() {
                Some(guard) => Some(guard),
                // A task registers a shrinker. 0 would look as if nothing could be freed.
                None => return 1,
            },
        };
        let entries = self.entries.lock().clone();
        let wanted = |entry: &&Arc<RegisteredShrinker>| {
            let name = entry.shrinker.name();
            let asked = walk.only.is_none_or(|only| only.iter().any(|wanted| wanted == name));
            asked && (!walk.in_memcg || entry.shrinker.is_memcg_aware())
        };
        let mut freed = 0_u64;
        for entry in entries.iter().filter(wanted) {
            freed = freed.saturating_add(self.shrink_one(entry, walk));
        }
        drop(held);
        freed
    }

    /// Asks every shrinker for its count with `mask`, without a scan.
    pub(in super::super) fn count_all(&self, mask: Gfp) {
        let entries = self.entries.lock().clone();
        for entry in entries.iter().filter(|entry| !entry.dead.load(Ordering::SeqCst)) {
            let mut running = RunningShrinker::begin(self, entry);
            running.count(mask);
        }
    }

    /// One pass over one shrinker (`do_shrink_slab`).
    fn shrink_one(&self, entry: &Arc<RegisteredShrinker>, walk: &ShrinkerWalk<'_>) -> u64 {
        let mut running = RunningShrinker::begin(self, entry);
        if entry.dead.load(Ordering::SeqCst) {
            return 0;
        }
        let (sched, shrinker, id) = (&self.sched, &*entry.shrinker, entry.id);
        let mask = (walk.mask)(shrinker);
        let Some(freeable) = running.count(mask) else {
            return 0;
        };
        if freeable == 0 || freeable == EMPTY {
            return 0;
        }
        let (in_memcg, priority, seeks) = (walk.in_memcg, walk.priority, shrinker.seeks());
        let before = {
            // Reported under the lock, so that events have the order of the changes of the count.
            let mut owed = entry.deferred.lock();
            let deferred = owed.insert(in_memcg, 0).unwrap_or(0);
            let bounded = self.algorithm == SlabAlgorithm::V5_13;
            let pass = ShrinkPass { in_memcg, freeable, deferred, priority, seeks, bounded };
            sched.emit(EventKind::ShrinkPassBegin { shrinker: id, pass });
            deferred
        };
        let pass = Pass::new(self.algorithm, freeable, before, priority, seeks);
        let batch = match shrinker.batch() {
            0 => DEFAULT_BATCH,
            batch => batch,
        };
        let (mut left, mut freed, mut scanned) = (pass.total, 0_u64, 0_u64);
        for _ in 0..MAX_SCANS {
            if left == 0 || !pass.goes_on(left, batch) {
                break;
            }
            let nr_to_scan = left.min(batch);
            let mut control =
                ScanControl { in_memcg: walk.in_memcg, ..ScanControl::new(mask, nr_to_scan) };
            sched.emit(EventKind::ShrinkScanBegin { shrinker: id, mask, nr_to_scan });
            let outcome = running.call(|shrinker| shrinker.scan(&mut control)).unwrap_or(Err(Stop));
            let nr_scanned = control.nr_scanned;
            let (freed_now, deferred) = (outcome.ok(), shrinker.defers());
            sched.emit(EventKind::ShrinkScanEnd {
                shrinker: id,
                freed: freed_now,
                scanned: nr_scanned,
                deferred,
            });
            let Ok(count) = outcome else { break };
            freed = freed.saturating_add(count);
            left = left.saturating_sub(nr_scanned);
            scanned = scanned.saturating_add(nr_scanned);
        }
        let mut deferred = entry.deferred.lock();
        let owed = deferred.entry(in_memcg).or_insert(0);
        let left = match walk.plan {
            plan if plan.has(Bug::DeferredForgotten) => 0,
            plan if plan.has(Bug::DeferredUnbounded) => before + pass.delta,
            _ => pass.deferred_after(scanned),
        };
        *owed = owed.saturating_add(left);
        sched.emit(EventKind::ShrinkPassEnd { shrinker: id, in_memcg, left, owed: *owed });
        freed
    }
}

/// A running shrinker: unregistering it waits until this is dropped.
struct RunningShrinker<'a> {
    registry: &'a Registry,
    entry: &'a Arc<RegisteredShrinker>,
}

impl<'a> RunningShrinker<'a> {
    fn begin(registry: &'a Registry, entry: &'a Arc<RegisteredShrinker>) -> Self {
        entry.scans.fetch_add(1, Ordering::SeqCst);
        // With the old rwsem a scan holds the rwsem instead.
        if registry.rwsem.is_none() {
            let (lock, mode, site) = (entry.lock, LockMode::Shared, Site::here());
            registry.sched.emit(EventKind::LockAttempt { lock, mode, try_lock: true, site });
            registry.sched.emit(EventKind::LockAcquired { lock, mode, site });
        }
        Self { registry, entry }
    }

    fn count(&mut self, mask: Gfp) -> Option<u64> {
        let (sched, shrinker) = (&self.registry.sched, self.entry.id);
        sched.emit(EventKind::ShrinkCountBegin { shrinker, mask });
        let count = self.call(|shrinker| shrinker.count(mask))?;
        sched.emit(EventKind::ShrinkCountEnd { shrinker, count });
        Some(count)
    }

    /// Calls the shrinker; `None` if it panics, which is reported, and then it is not called again.
    /// The unwinding of an aborted world goes on.
    fn call<R>(&mut self, f: impl FnOnce(&dyn PortShrinker) -> R) -> Option<R> {
        let Self { registry, entry } = self;
        let bracket = Bracket::open();
        match catch_unwind(AssertUnwindSafe(|| entry.side.call(|| f(&*entry.shrinker)))) {
            Ok(value) => {
                bracket.close();
                Some(value)
            }
            Err(payload) if Sched::is_abort(&*payload) => resume_unwind(payload),
            Err(payload) => {
                bracket.close();
                registry.panicked(entry, &*payload);
                None
            }
        }
    }
}

impl Registry {
    fn panicked(&self, entry: &RegisteredShrinker, payload: &(dyn Any + Send)) {
        entry.dead.store(true, Ordering::SeqCst);
        self.sched.note_panic(&format!("shrinker {}", entry.shrinker.name()), payload);
        self.sched.emit(EventKind::ShrinkerPanicked { shrinker: entry.id });
    }
}

impl Drop for RunningShrinker<'_> {
    fn drop(&mut self) {
        if self.registry.rwsem.is_none() {
            self.registry.sched.emit(EventKind::LockReleased { lock: self.entry.lock });
        }
        self.entry.scans.fetch_sub(1, Ordering::AcqRel);
        self.entry.idle.wake_all();
    }
}
