//! Things that are stored, as a test accounts for them.
//!
//! Key type: [`Durable`]. A test says what was acknowledged as durable, and after a crash what is
//! there; RD13 compares. What a version is, the test decides: a counter, a generation, a length.

use crate::event::{EventKind, ItemId, Site};
use crate::sched::Sched;

/// Something that is stored and may be lost. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Durable {
    sched: Sched,
    item: ItemId,
}

impl Durable {
    pub(super) fn new(sched: &Sched, name: &str) -> Self {
        Self { sched: sched.clone(), item: sched.names(|names| names.add_item(name)) }
    }

    /// Somebody was told that `version` is durable: an fsync returned, a commit was answered.
    #[track_caller]
    pub fn acknowledged(&self, version: u64) {
        self.sched.emit(EventKind::Acknowledged { item: self.item, version, site: Site::here() });
    }

    /// After a crash, `version` is there; 0 for none. A version before the last acknowledged one is
    /// a finding (RD13).
    pub fn recovered(&self, version: u64) {
        self.sched.emit(EventKind::Recovered { item: self.item, version });
    }
}
