//! What it costs to write dirty buffers back, beside plain O_DIRECT writes to the same loop device.
//!
//! A real loop device on a temp file, which the kernel's worker writes with O_DIRECT too; it takes
//! root. 32 MiB of buffers, dirtied in order, are compared with writes of 128 KiB, one at a time.
//! Both sides end with a flush. The time in which the buffers are dirtied is not counted.

mod rounds;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use reclaimdep::kernel::block::BlockDevice;
use reclaimdep::kernel::bufio::{Bufio, Client, ClientOptions};
use reclaimdep::kernel::event::{Event, Names, Observer, Reaction};
use reclaimdep::kernel::host::{Backing, HostLoop, IoOptions, LoopOptions};
use reclaimdep::kernel::inject::Plan;
use reclaimdep::kernel::mm::{Mm, MmOptions};
use reclaimdep::kernel::sched::Sched;
use reclaimdep::kernel::units::{Pages, Sectors};
use reclaimdep::{Era, PlanSpec};
use rounds::{ratio, timed};

const BLOCK: usize = 4096;
const BLOCKS: u64 = 1 << 13;
const BYTES: u64 = BLOCKS * BLOCK as u64;
const LARGE: usize = 128 << 10;
/// Turns are long here: the device's own pace is most of them.
const TURNS: usize = 2;

/// Sees everything and keeps nothing.
struct Deaf;

impl Observer for Deaf {
    fn observe(&mut self, _: &Event, _: &Names) -> Reaction {
        Reaction::Go
    }
}

/// The device, opened beside the harness.
struct Plain {
    device: File,
    memory: Vec<u8>,
    first: usize,
}

impl Plain {
    fn open(number: u32) -> Self {
        let device = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(format!("/dev/loop{number}"))
            .expect("the harness made the device");
        let memory = vec![0x5a; LARGE + BLOCK];
        let first = memory.as_ptr().align_offset(BLOCK);
        Self { device, memory, first }
    }

    /// Writes the whole device and flushes it.
    fn write(&self) {
        let data = &self.memory[self.first..][..LARGE];
        for offset in (0..BYTES).step_by(LARGE) {
            self.device.write_all_at(data, offset).expect("the device writes");
        }
        self.device.sync_data().expect("the device flushes");
    }
}

fn write_back(client: &Client) -> Duration {
    for block in 0..BLOCKS {
        let buffer = client.read(block).expect("it is cached");
        buffer.with_data_mut(|data| data[0] = data[0].wrapping_add(1));
        buffer.mark_dirty();
    }
    let taken = timed(|| client.write_dirty_buffers().expect("the device writes"));
    assert_eq!(client.dirty_buffers(), 0);
    taken
}

fn writeback(criterion: &mut Criterion) {
    let mut backing = tempfile::tempfile().expect("a temp file");
    for _ in 0..BYTES >> 20 {
        backing.write_all(&vec![0; 1 << 20]).expect("space for the device");
    }
    backing.sync_all().expect("written");
    let sched = Sched::native(1, Box::new(Deaf));
    let _task = sched.adopt("bench");
    let (sectors, io) = (Sectors::from_bytes(BYTES), IoOptions::default());
    let options = LoopOptions { direct_io: true, ..LoopOptions::default() };
    let open = Backing::Open(backing.as_fd());
    let device = HostLoop::attach(&sched, "loop0", open, sectors, options, io);
    let device = Arc::new(device.expect("a loop device; it takes root"));
    let plan = Plan::arm(&sched, PlanSpec::default()).expect("an empty plan");
    let mm = Mm::new(&sched, &MmOptions::new(Pages(1 << 20)), plan.clone()).expect("memory");
    let bufio = Bufio::new(&sched, &mm, &plan, Era::V6_12.knobs(), None);
    let client = bufio.create(device.clone(), None, ClientOptions::default());
    let client = client.expect("a client of 4 KiB blocks");
    client.prefetch(0, BLOCKS);
    let plain = Plain::open(device.number());
    let mut group = criterion.benchmark_group("writeback");
    ratio(
        &mut group,
        ["sequential", "one-by-one"],
        TURNS,
        &mut || write_back(&client),
        &mut || timed(|| plain.write()),
    );
    group.finish();
    client.destroy().expect("nothing is held");
    drop(plain);
    device.stop();
}

fn main() {
    if let Err(missing) = reclaimdep::kernel::host::loop_tier() {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        drop(writeln!(std::io::stderr(), "SKIPPED: {}", missing.join("; ")));
        return;
    }
    rounds::run(&[writeback]);
}
