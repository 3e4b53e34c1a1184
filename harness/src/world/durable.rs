//! Stored data for which a test accounts.
//!
//! Key type: [`Durable`]. A test says which version was acknowledged as durable and, after a crash,
//! which version is there; the judge of lost data (RD13) compares. The test decides what a version
//! is: a counter, a generation, a length.

use crate::event::{EventKind, ItemId, Site};
use crate::sched::Sched;

/// Stored data that a crash may lose. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Durable {
    sched: Sched,
    item: ItemId,
}

impl Durable {
    pub(super) fn new(sched: &Sched, name: &str) -> Self {
        Self { sched: sched.clone(), item: sched.names(|names| names.add_item(name)) }
    }

    /// The code under test told its caller that `version` is durable: an fsync returned, a commit
    /// was answered.
    #[track_caller]
    pub fn acknowledged(&self, version: u64) {
        self.sched.emit(EventKind::Acknowledged { item: self.item, version, site: Site::here() });
    }

    /// After a crash, `version` is there; 0 says that there is none. A version before the last
    /// acknowledged one is a finding (RD13).
    pub fn recovered(&self, version: u64) {
        self.sched.emit(EventKind::Recovered { item: self.item, version });
    }
}
