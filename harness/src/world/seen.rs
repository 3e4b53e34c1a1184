//! `Seen`: what the runs of a world went through, whether or not anything was found.
//!
//! Key type: [`Seen`]. A run in which nobody reclaims, or nobody waits, is quiet for a reason that
//! its author did not have in mind. A leaf lock.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::{Event, EventKind, Site};
use crate::sched::SpinLock;

/// Collects over every execution of every run that it is given to. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<SpinLock<State>>);

#[derive(Debug, Default)]
struct State {
    reclaimed: bool,
    waited: BTreeSet<Site>,
}

impl Seen {
    /// Whether some task reclaimed.
    pub(crate) fn reclaimed(&self) -> bool {
        self.0.lock().reclaimed
    }

    /// Whether some task waited at `site`.
    pub(crate) fn waited(&self, site: Site) -> bool {
        self.0.lock().waited.contains(&site)
    }

    pub(super) fn observe(&self, event: &Event) {
        match event.kind {
            EventKind::ReclaimEnter { .. } => self.0.lock().reclaimed = true,
            EventKind::WaitBegin { site, .. } => drop(self.0.lock().waited.insert(site)),
            _ => {}
        }
    }
}
