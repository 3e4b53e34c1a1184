//! `Plug`: bios that a submitter collects, to submit them to the device together.
//!
//! Key type: [`Plug`]. Mirrors `blk_start_plug`: the device does not see a bio behind a plug, so a
//! task must not wait for a bio behind its own plug. No locks.

use super::{Bio, BlockDevice};

/// Bios for one device; dropping this submits them, lowest sector first.
#[must_use = "the bios are submitted when this is dropped"]
pub struct Plug<'a> {
    device: &'a dyn BlockDevice,
    bios: Vec<Bio>,
}

impl std::fmt::Debug for Plug<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plug").field("bios", &self.bios).finish_non_exhaustive()
    }
}

impl<'a> Plug<'a> {
    /// An empty plug for `device`.
    pub fn new(device: &'a dyn BlockDevice) -> Self {
        Self::holding(device, Vec::new())
    }

    /// A plug with these bios behind it.
    pub fn holding(device: &'a dyn BlockDevice, bios: Vec<Bio>) -> Self {
        Self { device, bios }
    }

    /// Puts a bio behind the plug.
    pub fn add(&mut self, bio: Bio) {
        self.bios.push(bio);
    }

    /// The number of bios behind it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bios.len()
    }

    /// Whether no bio is behind it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bios.is_empty()
    }
}

impl Drop for Plug<'_> {
    fn drop(&mut self) {
        let mut bios = std::mem::take(&mut self.bios);
        // The sort is stable: two bios for one sector stay in the order of submission.
        bios.sort_by_key(Bio::sector);
        self.device.submit_all(bios);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::block::MemoryDevice;
    use crate::event::{EventKind, Op};
    use crate::sched::Sched;
    use crate::sched::log::Log;
    use crate::units::Sectors;

    #[test]
    fn dropping_a_plug_submits_its_bios_by_sector() {
        let log = Log::default();
        let sched = Sched::native(1, Box::new(log.clone()));
        sched.run_main(|| {
            let device = Arc::new(MemoryDevice::new(&sched, "vda", 1 << 20));
            let mut plug = Plug::new(&*device);
            for sector in [16, 0, 8] {
                plug.add(Bio::new(Op::Write, Sectors(sector), vec![1; 4096], Box::new(|_, _| ())));
            }
            let submitted = || log.count(|kind| matches!(kind, EventKind::RequestSubmit { .. }));
            assert_eq!((plug.len(), submitted()), (3, 0));
            drop(plug);
            assert_eq!(submitted(), 3);
        });
        let sectors = log.take().into_iter().filter_map(|kind| match kind {
            EventKind::RequestSubmit { sector, .. } => Some(sector.0),
            _ => None,
        });
        assert_eq!(sectors.collect::<Vec<_>>(), [0, 8, 16]);
    }
}
