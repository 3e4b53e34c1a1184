//! A disk that loses writes without a word: what the checks of this folder must notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep::block::{Bio, BlockDevice, Queue};
use reclaimdep::event::Op;
use reclaimdep::units::Sectors;

/// A device that says of every so many writes that it is done, and does nothing.
pub(super) struct Lossy {
    below: Arc<dyn BlockDevice>,
    every: u64,
    writes: AtomicU64,
}

impl Lossy {
    /// Loses the last of each `every` writes; 0 loses none.
    pub(super) fn new(below: Arc<dyn BlockDevice>, every: u64) -> Self {
        Self { below, every, writes: AtomicU64::new(0) }
    }
}

impl BlockDevice for Lossy {
    fn name(&self) -> &str {
        self.below.name()
    }

    fn sectors(&self) -> Sectors {
        self.below.sectors()
    }

    fn queue(&self) -> &Queue {
        self.below.queue()
    }

    fn submit(&self, mut bio: Bio) {
        let lost = bio.op() == Op::Write
            && (self.writes.fetch_add(1, Ordering::AcqRel) + 1).checked_rem(self.every) == Some(0);
        if lost {
            bio.submitted(&self.queue().sched, self.queue().id);
            bio.complete(Ok(()));
        } else {
            self.below.submit(bio);
        }
    }

    fn stop(&self) {
        self.below.stop();
    }
}
