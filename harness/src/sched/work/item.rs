//! `Work`: a piece of work, and where it is.

use std::sync::Arc;

use reclaimdep_scope::Snapshot;

use super::super::side::{Side, harness_side};
use super::super::wait::Completion;
use super::super::{Sched, SpinLock};
use crate::event::{Site, WorkId};

type WorkFn = dyn Fn() + Send + Sync;

/// A piece of work that can be queued again and again (`struct work_struct`).
#[derive(Clone)]
pub struct Work {
    /// With a number from the second item of its name on: `flush`, `flush/2`. The judges know an
    /// item by its name.
    pub(super) name: Arc<str>,
    pub(super) func: Arc<WorkFn>,
    /// The side from which the item was made.
    pub(super) side: Side,
    /// Where the item was made: the place of what its function does, if that is a method of the
    /// harness and no code of the user's.
    pub(super) made_at: Site,
    pub(super) at: Arc<SpinLock<ItemState>>,
}

/// Where an item is: queued, running, both (queued again while it runs), or neither.
#[derive(Default)]
pub(super) struct ItemState {
    pub(super) pending: Option<Pending>,
    pub(super) running: Option<Completion>,
}

/// One queueing of an item.
pub(super) struct Pending {
    pub(super) id: WorkId,
    pub(super) done: Completion,
    /// The scopes in which it runs, and where they were taken.
    pub(super) scopes: Snapshot,
    pub(super) site: Site,
}

/// An item that was taken out of its queue and must be executed.
pub(super) struct Taken {
    pub(super) item: Work,
    pub(super) pending: Pending,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Work {
    /// Work that calls `func`.
    #[track_caller]
    pub fn new(name: &str, func: impl Fn() + Send + Sync + 'static) -> Self {
        let made_at = Site::here();
        let side = Side::now();
        let _side = harness_side();
        let number = Sched::of_current().map_or(0, |sched| sched.namesakes(name));
        let name = if number == 0 { name.to_owned() } else { format!("{name}/{}", number + 1) };
        Self { name: name.into(), func: Arc::new(func), side, made_at, at: Arc::default() }
    }

    /// The number of the queueing that is pending.
    pub(crate) fn pending(&self) -> Option<WorkId> {
        self.at.lock().pending.as_ref().map(|pending| pending.id)
    }

    /// Whether it is the same item.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.at, &other.at)
    }
}
