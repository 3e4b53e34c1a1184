//! What a test's world did, kept in order.

use std::sync::Arc;

use super::SpinLock;
use crate::event::{Event, EventKind, Names, Observer, Reaction};

/// An observer that keeps every event. Clones share what they keep.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<SpinLock<Vec<EventKind>>>);

impl Log {
    /// Everything so far, which is kept no longer.
    pub(crate) fn take(&self) -> Vec<EventKind> {
        std::mem::take(&mut *self.0.lock())
    }

    /// How many of those so far are `wanted`.
    pub(crate) fn count(&self, wanted: impl Fn(&EventKind) -> bool) -> usize {
        self.0.lock().iter().filter(|kind| wanted(kind)).count()
    }
}

impl Observer for Log {
    fn observe(&mut self, event: &Event, _names: &Names) -> Reaction {
        self.0.lock().push(event.kind);
        Reaction::Go
    }
}
