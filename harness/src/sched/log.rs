//! `Log`: an observer for tests that keeps every event, in order.

use std::sync::Arc;

use super::SpinLock;
use crate::event::{Event, EventKind, Names, Observer, Reaction};

/// An observer that keeps every event. Clones share what they keep.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<SpinLock<Vec<EventKind>>>);

impl Log {
    /// Takes every event so far out of the log.
    pub(crate) fn take(&self) -> Vec<EventKind> {
        std::mem::take(&mut *self.0.lock())
    }

    /// How many events so far are `wanted`.
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
