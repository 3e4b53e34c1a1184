//! A disk that loses writes without a word: what the checks of this folder must notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reclaimdep::block::{BlockDevice, FilterDevice};
use reclaimdep::event::Op;

/// A device that says of the last of each `every` writes that it is done, and does nothing; 0 loses
/// none.
pub(super) fn lossy(below: Arc<dyn BlockDevice>, every: u64) -> Arc<dyn BlockDevice> {
    let writes = AtomicU64::new(0);
    Arc::new(FilterDevice::new(below, move |bio| {
        let lost = bio.op() == Op::Write
            && (writes.fetch_add(1, Ordering::AcqRel) + 1).checked_rem(every) == Some(0);
        lost.then_some(Ok(()))
    }))
}
