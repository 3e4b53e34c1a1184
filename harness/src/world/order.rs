//! What a test claims about order, and what it carries from one run to the next.
//!
//! Key types: [`Orders`], [`Claim`]. Shrinkers rarely run in tests, so a driver may declare at
//! start-up which locks it takes in reclaim: it enters the pseudo-lock of reclaim, takes the lock
//! and drops both. That is a claim, and findings that rest on one say so. Written from
//! docs/kernel/lockdep.md, "Priming".
//!
//! Locking: the graph of [`Orders`] is a leaf.

use std::sync::Arc;

use super::World;
use crate::event::{EventKind, Gfp, Prime};
use crate::sched::{Sched, SpinLock};
use crate::witness::OrderGraph;

/// What runs have shown about the order in which locks and other resources are taken. Cheap to
/// clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Orders(Arc<SpinLock<OrderGraph>>);

impl Orders {
    /// What is known so far.
    #[must_use]
    pub fn graph(&self) -> OrderGraph {
        self.0.lock().clone()
    }

    /// Stores the graph of a run that began with what is known here.
    pub(super) fn learn(&self, graph: OrderGraph) {
        *self.0.lock() = graph;
    }
}

/// A claim that is being made; [`World::prime`] lends it to a closure.
#[derive(Debug)]
pub struct Claim<'a> {
    sched: &'a Sched,
}

impl Claim<'_> {
    /// Runs `inside` as if it were called by reclaim with `mask` (`fs_reclaim_acquire`,
    /// `fs_reclaim_release`). It reclaims nothing.
    pub fn reclaim<T>(&self, mask: Gfp, inside: impl FnOnce() -> T) -> T {
        self.bracket(Prime::Enter(mask), Prime::Leave, inside)
    }

    fn bracket<T>(&self, begin: Prime, end: Prime, inside: impl FnOnce() -> T) -> T {
        self.sched.emit(EventKind::Prime { step: begin });
        let result = inside();
        self.sched.emit(EventKind::Prime { step: end });
        result
    }
}

impl World {
    /// Claims an order: what `claim` takes, and in which order, counts as claimed and not as
    /// observed.
    ///
    /// ```
    /// use reclaimdep::World;
    /// use reclaimdep::scope::Gfp;
    /// use reclaimdep::kernel::sched::Mutex;
    ///
    /// let report = World::builder().run(|world| {
    ///     let table = Mutex::new(world.sched(), "table", "", ());
    ///     world.prime(|claim| claim.reclaim(Gfp::KERNEL, || drop(table.lock())));
    ///     let _held = table.lock();
    ///     world.mm().alloc(0, Gfp::KERNEL);
    /// })?;
    /// assert!(report.has(reclaimdep::Code::RD03), "{report}");
    /// # Ok::<(), reclaimdep::Error>(())
    /// ```
    pub fn prime<T>(&self, claim: impl FnOnce(&Claim<'_>) -> T) -> T {
        let making = Claim { sched: self.sched() };
        making.bracket(Prime::Begin, Prime::End, || claim(&making))
    }
}
