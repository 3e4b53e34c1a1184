//! What writing dirty buffers back costs, beside plain O_DIRECT writes to the same loop device.
//!
//! A real loop device; it takes root. On a temp file, which the kernel's worker writes with
//! O_DIRECT too; and on a file in memory, where nothing hides what the processors do. Both sides
//! end with a flush. Sequential: 256 MiB of buffers, dirtied in order, against requests of 128 KiB,
//! one at a time and as many in flight as the device of the buffers keeps. Random: every other
//! block of the same 256 MiB in an order by chance, so that no two are adjacent, against the same 4
//! KiB requests, as many in flight. Dirtying the buffers is not timed. Plain requests carry as much
//! data, each block's from a place of its own in memory; nothing is copied for them.
#![expect(unsafe_code, reason = "ring entries carry addresses")]

mod caches;
mod rounds;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use caches::{BLOCK, Ours};
use criterion::Criterion;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use reclaimdep::block::BlockDevice;
use reclaimdep::host::{Backing, HostLoop, IoOptions, LoopOptions};
use reclaimdep::units::Sectors;
use rounds::{ratio, timed};

const BLOCKS: u64 = 1 << 16;
const BYTES: u64 = BLOCKS * BLOCK as u64;
const LARGE: usize = 128 << 10;
/// Turns are long here: the device's own pace is most of them.
const TURNS: usize = 2;

/// The device, opened beside the harness.
struct Plain {
    device: File,
    ring: IoUring,
    memory: Vec<u8>,
    first: usize,
}

impl Plain {
    fn open(number: u32, in_flight: usize) -> Self {
        let path = format!("/dev/loop{number}");
        let device = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)
            .expect("our own device");
        let ring = IoUring::new(u32::try_from(in_flight).expect("few")).expect("an io_uring");
        let memory = vec![0x5a; usize::try_from(BYTES).expect("it fits") + BLOCK];
        let first = memory.as_ptr().align_offset(BLOCK);
        Self { device, ring, memory, first }
    }

    /// Writes `len` bytes at each offset, `in_flight` at a time, and flushes.
    fn write(&mut self, offsets: &[u64], len: usize, in_flight: usize) {
        let mut next = offsets.iter();
        let (mut flying, mut done) = (0, 0);
        let mut free: Vec<usize> = (0..in_flight).collect();
        while done < offsets.len() {
            while let Some(place) = free.last().copied()
                && let Some(offset) = next.next()
            {
                free.pop();
                let at = self.first + usize::try_from(*offset).expect("it fits");
                let data = &self.memory[at..][..len];
                let count = u32::try_from(len).expect("small");
                let entry = opcode::Write::new(Fd(self.device.as_raw_fd()), data.as_ptr(), count)
                    .offset(*offset)
                    .build()
                    .user_data(place as u64);
                // SAFETY: the memory lives as long as the ring, and the kernel only reads it.
                unsafe { self.ring.submission().push(&entry) }
                    .expect("an entry for each in flight");
                flying += 1;
            }
            self.ring.submit_and_wait(1).expect("the ring works");
            for completion in self.ring.completion() {
                assert_eq!(usize::try_from(completion.result()), Ok(len), "the device writes");
                free.push(usize::try_from(completion.user_data()).expect("a place"));
                (flying, done) = (flying - 1, done + 1);
            }
        }
        assert_eq!(flying, 0);
        self.device.sync_data().expect("the device flushes");
    }
}

/// Every other block, shuffled.
fn scattered() -> Vec<u64> {
    let mut blocks: Vec<u64> = (0..BLOCKS).step_by(2).collect();
    let mut state = 88_172_645_463_325_252_u64;
    for index in (1..blocks.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        blocks.swap(index, usize::try_from(state % (index as u64 + 1)).expect("an index"));
    }
    blocks
}

fn dirty(ours: &Ours, blocks: &[u64]) {
    for block in blocks {
        let buffer = ours.client.read(*block).expect("it is cached");
        buffer.with_data_mut(|data| data[0] = data[0].wrapping_add(1));
        buffer.mark_dirty();
    }
}

fn write_back(ours: &Ours, blocks: &[u64]) -> Duration {
    dirty(ours, blocks);
    let taken = timed(|| ours.client.write_dirty_buffers().expect("the device writes"));
    assert_eq!(ours.client.dirty_buffers(), 0);
    taken
}

fn offsets(blocks: &[u64]) -> Vec<u64> {
    blocks.iter().map(|block| block * BLOCK as u64).collect()
}

fn writeback(criterion: &mut Criterion, group: &str, mut backing: File, direct_io: bool) {
    for _ in 0..BYTES >> 20 {
        backing.write_all(&vec![0; 1 << 20]).expect("space for the device");
    }
    backing.sync_all().expect("written");
    let world = caches::world();
    let (sectors, io) = (Sectors::from_bytes(BYTES), IoOptions::default());
    let (open, options) =
        (Backing::Open(backing.as_fd()), LoopOptions { direct_io, ..LoopOptions::default() });
    let device = HostLoop::attach(&world.sched, "loop0", open, sectors, options, io);
    let device = Arc::new(device.expect("a loop device; it takes root"));
    let mut plain = Plain::open(device.number(), io.in_flight);
    let ours = Ours::over(world, device.clone(), u64::MAX);
    ours.client.prefetch(0, BLOCKS);
    let (all, some) = ((0..BLOCKS).collect::<Vec<_>>(), scattered());
    let (large, small) = ((0..BYTES).step_by(LARGE).collect::<Vec<_>>(), offsets(&some));
    let mut group = criterion.benchmark_group(group);
    let (mut in_order, mut by_chance) = (|| write_back(&ours, &all), || write_back(&ours, &some));
    ratio(&mut group, ["sequential", "one-by-one"], TURNS, &mut in_order, &mut || {
        timed(|| plain.write(&large, LARGE, 1))
    });
    ratio(&mut group, ["sequential", "in-flight"], TURNS, &mut in_order, &mut || {
        timed(|| plain.write(&large, LARGE, io.in_flight))
    });
    ratio(&mut group, ["random", "in-flight"], TURNS, &mut by_chance, &mut || {
        timed(|| plain.write(&small, BLOCK, io.in_flight))
    });
    group.finish();
    ours.client.destroy().expect("nothing is held");
    drop(plain);
    device.stop();
}

fn on_disk(criterion: &mut Criterion) {
    writeback(criterion, "writeback", tempfile::tempfile().expect("a temp file"), true);
}

fn in_memory(criterion: &mut Criterion) {
    let backing = rustix::fs::memfd_create("reclaimdep-bench", rustix::fs::MemfdFlags::CLOEXEC);
    writeback(criterion, "writeback-memory", backing.expect("a file in memory").into(), false);
}

fn main() {
    if let Err(missing) = reclaimdep::host::loop_tier() {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        drop(writeln!(std::io::stderr(), "SKIPPED: {}", missing.join("; ")));
        return;
    }
    rounds::run(&[on_disk, in_memory]);
}
