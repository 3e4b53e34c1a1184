//! `FilterDevice`: a device that sees each bio before the device below does, and may complete it.
//!
//! Key type: [`FilterDevice`]. Use it for a disk that fails or loses requests, and for a target
//! that does something before it passes a bio on. No locks.

use std::sync::Arc;

use super::bio::Bio;
use super::device::{BlockDevice, Queue};
use crate::error::Errno;
use crate::units::Sectors;

/// A device above another, with the other's name, size and queue.
pub struct FilterDevice<F> {
    below: Arc<dyn BlockDevice>,
    filter: F,
}

impl<F> std::fmt::Debug for FilterDevice<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilterDevice").field("below", &self.below.name()).finish_non_exhaustive()
    }
}

impl<F> FilterDevice<F>
where
    F: Fn(&Bio) -> Option<Result<(), Errno>> + Send + Sync,
{
    /// A device above `below`. `filter` runs on the submitter's task. `Some` completes the bio with
    /// that outcome; `None` passes it on.
    #[must_use]
    pub fn new(below: Arc<dyn BlockDevice>, filter: F) -> Self {
        Self { below, filter }
    }
}

impl<F> BlockDevice for FilterDevice<F>
where
    F: Fn(&Bio) -> Option<Result<(), Errno>> + Send + Sync,
{
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
        match (self.filter)(&bio) {
            Some(outcome) => {
                bio.submitted(&self.queue().sched, self.queue().id);
                bio.complete(outcome);
            }
            None => self.below.submit(bio),
        }
    }

    fn stop(&self) {
        self.below.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{MemoryDevice, read_at, write_at};
    use crate::event::Op;
    use crate::sched::Sched;
    use crate::sched::log::Log;

    #[test]
    fn the_device_below_never_sees_a_bio_that_the_filter_completes() {
        let sched = Sched::native(1, Box::new(Log::default()));
        let ran = sched.run_main(|| {
            let below = Arc::new(MemoryDevice::new(&sched, "vda", 1 << 20));
            let refuses = FilterDevice::new(below.clone(), |bio| match bio.op() {
                Op::Write if bio.sector().0 == 0 => Some(Err(Errno::EIO)),
                Op::Write if bio.sector().0 == 8 => Some(Ok(())),
                _ => None,
            });
            for (block, outcome) in [(0, Err(Errno::EIO)), (1, Ok(())), (2, Ok(()))] {
                assert_eq!(write_at(&refuses, block * 4096, &[7; 4096]), outcome);
            }
            let mut found = [0; 3 * 4096];
            read_at(&refuses, 0, &mut found).unwrap();
            assert_eq!([found[0], found[4096], found[8192]], [0, 0, 7]);
        });
        ran.expect("nothing panics");
    }
}
