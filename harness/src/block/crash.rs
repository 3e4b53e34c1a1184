//! `CrashDevice`: a disk in memory that can lose power.
//!
//! Key types: [`CrashDevice`], [`Crash`], [`DiskStep`]. The device records every write and flush. A
//! flush makes the writes before it durable. When the power fails, any subset of the writes since
//! the last flush has reached the medium, and a write of several blocks may have reached it in
//! part; a single block of 4096 bytes is never torn.
//!
//! Locking: the leaf lock of the contents.

use std::collections::BTreeMap;

use super::bio::Bio;
use super::device::{BlockDevice, Queue, in_range};
use crate::error::Errno;
use crate::event::Op;
use crate::sched::{Sched, SpinLock, SplitMix64, harness_side};
use crate::units::Sectors;

/// Bytes of a block, the unit that a crash keeps or loses as a whole.
const BLOCK: usize = 4096;
/// Random subsets of the unflushed writes for each flush.
const SUBSETS: u32 = 4;

/// The written blocks of a disk, by number. All others are zero.
pub type DiskImage = BTreeMap<u64, [u8; BLOCK]>;

/// A write or a flush of a device.
#[derive(Clone, Debug)]
pub enum DiskStep {
    /// Whole blocks were written.
    Write {
        /// The number of the first block.
        block: u64,
        /// Their contents.
        data: Vec<u8>,
    },
    /// The writes before it became durable.
    Flush,
}

/// What a crash leaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Crash {
    /// The number of steps that the device had done.
    pub steps: usize,
    /// What is on the medium.
    pub image: DiskImage,
    /// The crash in words.
    pub what: String,
}

struct CrashState {
    /// The contents when the record began; they count as durable.
    start: DiskImage,
    live: DiskImage,
    history: Vec<DiskStep>,
}

/// A disk that records its writes and flushes, and says what a crash can leave. Requests are of
/// whole blocks of 4096 bytes; others get `EINVAL`.
pub struct CrashDevice {
    name: String,
    queue: Queue,
    sectors: Sectors,
    state: SpinLock<CrashState>,
}

impl std::fmt::Debug for CrashDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CrashDevice").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CrashDevice {
    /// An empty device of `bytes` bytes.
    #[must_use]
    pub fn new(sched: &Sched, name: &str, bytes: u64) -> Self {
        Self::with_image(sched, name, bytes, DiskImage::new())
    }

    /// A device of `bytes` bytes that holds `image`, such as that of a [`Crash`].
    #[must_use]
    pub fn with_image(sched: &Sched, name: &str, bytes: u64, image: DiskImage) -> Self {
        let state = CrashState { start: image.clone(), live: image, history: Vec::new() };
        Self {
            name: name.to_owned(),
            queue: Queue::new(sched, name),
            sectors: Sectors::from_bytes(bytes),
            state: SpinLock::new(state),
        }
    }

    /// What the device holds now, with the writes that are not durable yet.
    #[must_use]
    pub fn image(&self) -> DiskImage {
        self.state.lock().live.clone()
    }

    /// Makes everything durable and begins a new record.
    pub fn start_record(&self) {
        let mut state = self.state.lock();
        state.history.clear();
        state.start = state.live.clone();
    }

    /// The number of writes and flushes in the record.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.state.lock().history.len()
    }

    /// The record.
    #[must_use]
    pub fn history(&self) -> Vec<DiskStep> {
        self.state.lock().history.clone()
    }

    /// Changes bits of a block behind the back of everyone: damage of the medium.
    pub fn damage(&self, block: u64, byte: usize, xor: u8) {
        self.state.lock().live.entry(block).or_insert([0; BLOCK])[byte] ^= xor;
    }

    /// Shows `judge` what crashes during the record can leave, within reason: after each write,
    /// everything so far; before each flush and at the end, all but one of the unflushed blocks,
    /// for each of them, and some random subsets of them. They are the same each time.
    pub fn crashes(&self, mut judge: impl FnMut(Crash)) {
        let (start, history) = {
            let state = self.state.lock();
            (state.start.clone(), state.history.clone())
        };
        let (mut live, mut durable) = (start.clone(), start);
        let mut pending: Vec<DiskStep> = Vec::new();
        let mut random = SplitMix64(11);
        judge(Crash { steps: 0, image: live.clone(), what: "before the first write".into() });
        for (steps, step) in history.iter().enumerate() {
            match step {
                DiskStep::Write { block, data } => {
                    apply(&mut live, step);
                    let what = format!("after step {steps}");
                    judge(Crash { steps: steps + 1, image: live.clone(), what });
                    pending.extend(
                        data.chunks(BLOCK)
                            .zip(*block..)
                            .map(|(data, block)| DiskStep::Write { block, data: data.into() }),
                    );
                }
                DiskStep::Flush => {
                    let place = format!("before the flush at step {steps}");
                    lose_some(&durable, &pending, &mut random, (steps, &place), &mut judge);
                    durable.clone_from(&live);
                    pending.clear();
                }
            }
        }
        lose_some(&durable, &pending, &mut random, (history.len(), "at the end"), &mut judge);
    }
}

/// Crashes that keep a part of `pending`.
fn lose_some(
    durable: &DiskImage,
    pending: &[DiskStep],
    random: &mut SplitMix64,
    (steps, place): (usize, &str),
    judge: &mut impl FnMut(Crash),
) {
    if pending.is_empty() {
        return;
    }
    let mut keep = |kept: &mut dyn FnMut(usize) -> bool, what: String| {
        let mut image = durable.clone();
        pending.iter().enumerate().filter(|(i, _)| kept(*i)).for_each(|(_, step)| {
            apply(&mut image, step);
        });
        judge(Crash { steps, image, what });
    };
    for missing in 0..pending.len() {
        keep(&mut |i| i != missing, format!("all but block {missing} {place}"));
    }
    for lap in 0..SUBSETS {
        keep(&mut |_| random.below(2) == 0, format!("some writes {place}, lap {lap}"));
    }
}

fn apply(image: &mut DiskImage, step: &DiskStep) {
    if let DiskStep::Write { block, data } = step {
        let (blocks, _) = data.as_chunks::<BLOCK>();
        image.extend((*block..).zip(blocks.iter().copied()));
    }
}

impl BlockDevice for CrashDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn sectors(&self) -> Sectors {
        self.sectors
    }

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn submit(&self, mut bio: Bio) {
        let _side = harness_side();
        bio.submitted(&self.queue.sched, self.queue.id);
        let outcome = self.transfer(&mut bio);
        bio.complete(outcome);
    }
}

impl CrashDevice {
    fn transfer(&self, bio: &mut Bio) -> Result<(), Errno> {
        const SIZE: u64 = BLOCK as u64;
        if !in_range(self, bio) {
            return Err(Errno::EIO);
        }
        let at = bio.sector().bytes();
        if !at.is_multiple_of(SIZE) || !bio.data().len().is_multiple_of(BLOCK) {
            return Err(Errno::EINVAL);
        }
        let block = at / SIZE;
        let mut state = self.state.lock();
        match bio.op() {
            Op::Read => {
                for (to, block) in bio.data_mut().chunks_exact_mut(BLOCK).zip(block..) {
                    to.copy_from_slice(state.live.get(&block).unwrap_or(&[0; BLOCK]));
                }
            }
            Op::Write => {
                let step = DiskStep::Write { block, data: bio.data().to_vec() };
                apply(&mut state.live, &step);
                state.history.push(step);
            }
            Op::Flush => state.history.push(DiskStep::Flush),
            Op::Discard => return Err(Errno::EOPNOTSUPP),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::block::{flush, read_at, write_at};
    use crate::event::{Event, Names, Observer, Reaction};

    struct Deaf;

    impl Observer for Deaf {
        fn observe(&mut self, _event: &Event, _names: &Names) -> Reaction {
            Reaction::Go
        }
    }

    fn with_device(body: impl FnOnce(&Sched, &CrashDevice)) {
        let sched = Sched::native(1, Box::new(Deaf));
        let done = sched.run_main(|| body(&sched, &CrashDevice::new(&sched, "vda", 65536)));
        assert!(done.is_some(), "{:?}", sched.panic_message());
    }

    /// The first bytes of blocks 0 to 2 after each crash.
    fn left(device: &CrashDevice) -> BTreeSet<[u8; 3]> {
        let mut all = BTreeSet::new();
        device.crashes(|crash| {
            all.insert([0, 1, 2].map(|block| crash.image.get(&block).map_or(0, |image| image[0])));
        });
        all
    }

    #[test]
    fn a_crash_keeps_what_was_flushed_and_any_part_of_the_rest() {
        with_device(|_, device| {
            write_at(device, 0, &[1; 4096]).unwrap();
            device.start_record();
            write_at(device, 4096, &[2; 8192]).unwrap();
            assert_eq!(left(device), [[1, 0, 0], [1, 0, 2], [1, 2, 0], [1, 2, 2]].into());
            flush(device).unwrap();
            device.start_record();
            write_at(device, 0, &[3; 4096]).unwrap();
            flush(device).unwrap();
            write_at(device, 4096, &[4; 4096]).unwrap();
            assert_eq!(left(device), [[1, 2, 2], [3, 2, 2], [3, 4, 2]].into());
            assert_eq!((device.steps(), device.history().len()), (3, 3));
        });
    }

    #[test]
    fn a_device_after_a_crash_reads_what_the_crash_left() {
        with_device(|sched, device| {
            write_at(device, 4096, &[7; 4096]).unwrap();
            let after = CrashDevice::with_image(sched, "vda", 65536, device.image());
            let mut read = [1; 8192];
            read_at(&after, 0, &mut read).unwrap();
            assert!(read[..4096] == [0; 4096] && read[4096..] == [7; 4096]);
        });
    }

    #[test]
    fn parts_of_blocks_and_what_is_outside_are_refused() {
        with_device(|_, device| {
            assert_eq!(write_at(device, 512, &[1; 4096]), Err(Errno::EINVAL));
            assert_eq!(write_at(device, 0, &[1; 512]), Err(Errno::EINVAL));
            assert_eq!(write_at(device, 65536, &[1; 4096]), Err(Errno::EIO));
            assert_eq!(device.steps(), 0);
        });
    }
}
