//! The client on a memory device: data, states, errors, and each shrinker form with each mask.

use std::sync::Arc;

use reclaimdep_scope as scope;

use super::*;
use crate::block::{BlockDevice, MemoryDevice, read_at};
use crate::era::Era;
use crate::error::Errno;
use crate::event::{EventKind, Gfp, Op};
use crate::inject::{Failpoint, FailpointRule, Plan, PlanSpec, Pressure};
use crate::mm::{Mm, MmOptions, ScanControl};
use crate::sched::log::Log;
use crate::sched::{Sched, WorkQueue};
use crate::units::Pages;

mod contexts;
mod devices;
mod modes;

struct Rig {
    sched: Sched,
    mm: Mm,
    device: Arc<MemoryDevice>,
    client: Client,
    cleaner: WorkQueue,
}

impl Rig {
    fn done(&self) -> crate::error::Result<()> {
        let destroyed = self.client.destroy();
        self.cleaner.destroy();
        destroyed
    }
}

/// Runs `body` on a client of a 1 MiB memory device in a native world; returns the events.
fn run(
    era: Era,
    options: ClientOptions,
    plan: PlanSpec,
    body: impl FnOnce(&Rig),
) -> Vec<EventKind> {
    let log = Log::default();
    let sched = Sched::native(1, Box::new(log.clone()));
    let ended = sched.run_main(|| {
        let plan = Plan::arm(&sched, plan).unwrap();
        let mm = Mm::new(&sched, &MmOptions::new(Pages(1024)), plan.clone()).unwrap();
        let device = Arc::new(MemoryDevice::new(&sched, "vda", 1 << 20));
        let cleaner = WorkQueue::mem_reclaim(&sched, "dm_bufio_cache");
        let dyn_device: Arc<dyn BlockDevice> = Arc::clone(&device) as Arc<dyn BlockDevice>;
        let parts = ClientParts {
            sched: sched.clone(),
            mm: mm.clone(),
            plan,
            knobs: era.knobs(),
            device: dyn_device,
            node: None,
            cleaner: Some(cleaner.clone()),
        };
        let client = Client::create(parts, options).expect("a client on a healthy device");
        body(&Rig { sched: sched.clone(), mm, device, client, cleaner });
    });
    ended.expect("the body does not panic");
    log.take()
}

fn small() -> ClientOptions {
    ClientOptions { max_buffers: 8, retain_bytes: 0, ..ClientOptions::default() }
}

fn dirty(client: &Client, block: u64, byte: u8) {
    let buffer = client.new_block(block).expect("the block is on the device");
    buffer.with_data_mut(|data| data.fill(byte));
    buffer.mark_dirty();
}

#[test]
fn what_is_written_through_one_client_is_on_the_device_after_write_dirty_buffers() {
    run(Era::V5_9, ClientOptions::default(), PlanSpec::default(), |rig| {
        dirty(&rig.client, 3, 0xab);
        rig.client.write_dirty_buffers().unwrap();
        let mut block = [0; 4096];
        read_at(&*rig.device, 3 * 4096, &mut block).unwrap();
        assert_eq!(block, [0xab; 4096]);
        rig.done().unwrap();
    });
}

#[test]
fn a_client_with_more_blocks_than_buffers_evicts_and_loses_nothing() {
    run(Era::V5_9, small(), PlanSpec::default(), |rig| {
        for block in 0..64 {
            dirty(&rig.client, block, u8::try_from(block).unwrap());
        }
        assert!(rig.client.buffers() <= 9, "{} buffers", rig.client.buffers());
        for block in 0..64 {
            let buffer = rig.client.read(block).unwrap();
            buffer.with_data(|data| assert_eq!(data[17], u8::try_from(block).unwrap()));
        }
        rig.done().unwrap();
    });
}

#[test]
fn get_returns_only_what_is_cached() {
    run(Era::V5_9, small(), PlanSpec::default(), |rig| {
        assert!(rig.client.get(5).is_none());
        drop(rig.client.read(5).unwrap());
        assert_eq!(rig.client.get(5).map(|buffer| buffer.block()), Some(5));
        rig.done().unwrap();
    });
}

#[test]
fn a_block_past_the_end_is_einval() {
    run(Era::V5_9, small(), PlanSpec::default(), |rig| {
        assert_eq!(rig.client.read(256).map(|buffer| buffer.block()), Err(Errno::EINVAL));
        assert_eq!(rig.client.new_block(256).map(|buffer| buffer.block()), Err(Errno::EINVAL));
        rig.done().unwrap();
    });
}

fn failing(point: Failpoint, times: u64) -> PlanSpec {
    PlanSpec {
        failpoints: vec![FailpointRule { point, skip: 0, times: Some(times), optional: false }],
        ..PlanSpec::default()
    }
}

#[test]
fn a_read_error_is_returned_and_the_next_read_tries_again() {
    run(Era::V5_9, small(), failing(Failpoint::BufioRead, 1), |rig| {
        assert_eq!(rig.client.read(1).map(|buffer| buffer.block()), Err(Errno::EIO));
        assert_eq!(rig.client.read(1).map(|buffer| buffer.block()), Ok(1));
        rig.done().unwrap();
    });
}

#[test]
fn a_write_error_is_reported_by_the_next_write_dirty_buffers_once() {
    run(Era::V5_9, small(), failing(Failpoint::BufioWrite, 1), |rig| {
        dirty(&rig.client, 1, 1);
        assert_eq!(rig.client.write_dirty_buffers(), Err(Errno::EIO));
        assert_eq!(rig.client.write_dirty_buffers(), Ok(()));
        rig.done().unwrap();
    });
}

#[test]
fn destroying_a_client_names_the_buffers_that_are_still_held() {
    run(Era::V5_9, small(), PlanSpec::default(), |rig| {
        let held = rig.client.read(7).unwrap();
        let message = rig.done().unwrap_err().to_string();
        let parts = ["block 7 (hold count 1, on the clean list, last held at ", "bufio/tests.rs:"];
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        drop(held);
    });
}

#[test]
fn a_failed_no_wait_allocation_falls_through_to_the_reserve() {
    let both = PlanSpec {
        failpoints: [Failpoint::BufioAllocNowait, Failpoint::BufioAllocNoio]
            .map(|point| FailpointRule { point, skip: 0, times: Some(1), optional: false })
            .to_vec(),
        ..PlanSpec::default()
    };
    run(Era::V5_9, small(), both, |rig| {
        let before = rig.mm.free();
        drop(rig.client.read(0).unwrap());
        assert_eq!(rig.mm.free(), before, "the buffer came from the reserve");
        rig.done().unwrap();
    });
}

#[test]
fn pages_go_back_when_a_client_is_destroyed() {
    run(Era::V5_9, small(), PlanSpec::default(), |rig| {
        dirty(&rig.client, 2, 2);
        rig.done().unwrap();
        assert_eq!(rig.mm.free(), Pages(1024));
    });
}

#[test]
fn block_sizes_that_are_no_power_of_two_and_short_devices_are_refused() {
    for (block_size, bytes, word) in
        [(0, 1 << 20, "a block of 0 bytes"), (1000, 1 << 20, "1000"), (4096, 512, "512 bytes")]
    {
        let sched = Sched::native(1, Box::new(Log::default()));
        let message = sched.run_main(|| {
            let plan = Plan::arm(&sched, PlanSpec::default()).unwrap();
            let parts = ClientParts {
                sched: sched.clone(),
                mm: Mm::new(&sched, &MmOptions::new(Pages(64)), plan.clone()).unwrap(),
                plan,
                knobs: Era::V3_10.knobs(),
                device: Arc::new(MemoryDevice::new(&sched, "vda", bytes)),
                node: None,
                cleaner: None,
            };
            Client::create(parts, ClientOptions { block_size, ..ClientOptions::default() })
                .unwrap_err()
                .to_string()
        });
        let message = message.expect("no panic");
        assert!(message.contains(word), "{message}");
    }
}

/// Dirties one block, then allocates with `mask` while memory is short; says whether a write was
/// submitted by the task inside a scan of its own.
#[track_caller]
fn check_scan_writes(era: Era, mask: Gfp, expect: bool) {
    let first_of_scanner =
        Pressure { task: Some("scanner".into()), times: Some(1), ..Pressure::default() };
    let plan = PlanSpec { pressure: vec![first_of_scanner], ..PlanSpec::default() };
    let events = run(era, small(), plan, |rig| {
        dirty(&rig.client, 0, 1);
        let mm = rig.mm.clone();
        let scanner = rig
            .sched
            .spawn("scanner", crate::event::TaskKind::Task, move || mm.alloc(0, mask).is_some());
        assert!(scanner.join(), "there is memory after all");
        rig.done().unwrap();
    });
    let scan = |kind: &EventKind| matches!(kind, EventKind::ShrinkScanBegin { .. });
    let end = |kind: &EventKind| matches!(kind, EventKind::ShrinkScanEnd { .. });
    let write = |kind: &EventKind| matches!(kind, EventKind::RequestSubmit { op: Op::Write, .. });
    let begin = events.iter().position(scan);
    let wrote = begin.is_some_and(|begin| {
        let until = events[begin..].iter().position(end).map_or(events.len(), |end| begin + end);
        events[begin..until].iter().any(write)
    });
    assert_eq!(wrote, expect, "{era} with {mask}");
}

#[test]
fn each_form_writes_in_the_scan_with_exactly_the_masks_it_takes_for_permission() {
    for (era, rows) in [
        (Era::V3_10, [(Gfp::KERNEL, true), (Gfp::NOFS, true), (Gfp::NOIO, false)]),
        (Era::V3_18, [(Gfp::KERNEL, true), (Gfp::NOFS, false), (Gfp::NOIO, false)]),
    ] {
        for (mask, expect) in rows {
            check_scan_writes(era, mask, expect);
        }
    }
}

#[test]
fn the_work_queue_form_leaves_the_write_to_the_cleaner() {
    let events = run(Era::V5_9, small(), PlanSpec::default(), |rig| {
        dirty(&rig.client, 0, 1);
        let registration = rig.client.0.shrinker.lock();
        let form = Arc::clone(&registration.as_ref().unwrap().1);
        drop(registration);
        assert_eq!(form.count(Gfp::NOFS), 1);
        let freed = {
            let _nofs = scope::nofs();
            form.scan(&mut ScanControl::new(Gfp::NOFS, 1))
        };
        assert_eq!(freed, Ok(1), "it claims before it frees");
        // Destroying the client would write too.
        form.flush();
        rig.done().unwrap();
        assert_eq!(rig.client.buffers(), 0);
    });
    let begun = events.iter().position(|kind| matches!(kind, EventKind::WorkBegin { .. }));
    let wrote = events
        .iter()
        .position(|kind| matches!(kind, EventKind::RequestSubmit { op: Op::Write, .. }));
    assert!(
        begun.is_some() && begun < wrote,
        "the only write is the cleaner's: {begun:?} before {wrote:?}"
    );
}

/// Every generation of dm-bufio.
const GENERATIONS: [Era; 4] = [Era::V3_10, Era::V4_19, Era::V5_9, Era::V6_12];

#[test]
fn a_partial_write_is_widened_to_4096_bytes_since_2018() {
    for (era, expect) in [(Era::V3_10, 16384), (Era::V5_9, 4096), (Era::V6_12, 4096)] {
        let options = ClientOptions { block_size: 16384, ..small() };
        let events = run(era, options, PlanSpec::default(), |rig| {
            let buffer = rig.client.read(1).unwrap();
            buffer.with_data_mut(|data| data[5000] = 1);
            buffer.mark_partial_dirty(5000, 5001);
            drop(buffer);
            rig.done().unwrap();
        });
        let written = events.iter().filter_map(|kind| match kind {
            EventKind::RequestSubmit { op: Op::Write, sectors, .. } => Some(sectors.bytes()),
            _ => None,
        });
        assert_eq!(written.collect::<Vec<_>>(), [expect], "{era}");
    }
}

#[test]
fn a_released_buffer_moves_to_another_block_until_6_3() {
    for era in [Era::V3_10, Era::V5_9] {
        run(era, small(), PlanSpec::default(), |rig| {
            dirty(&rig.client, 1, 0x11);
            let buffer = rig.client.read(1).unwrap();
            rig.client.release_move(buffer, 9).unwrap();
            assert!(rig.client.get(1).is_none() && rig.client.get(9).is_some());
            rig.done().unwrap();
            let mut block = [0; 512];
            read_at(&*rig.device, 9 * 4096, &mut block).unwrap();
            assert_eq!(block, [0x11; 512], "{era}");
        });
    }
}

#[test]
fn a_prefetched_block_is_read_once_and_a_forgotten_one_again() {
    for era in GENERATIONS {
        let events = run(era, small(), PlanSpec::default(), |rig| {
            rig.client.prefetch(3, 2);
            drop(rig.client.read(3).unwrap());
            rig.client.forget(3);
            assert!(rig.client.get(3).is_none());
            drop(rig.client.read(3).unwrap());
            rig.done().unwrap();
        });
        let read =
            |kind: &&EventKind| matches!(kind, EventKind::RequestSubmit { op: Op::Read, .. });
        assert_eq!(events.iter().filter(read).count(), 3, "{era}");
    }
}

#[test]
fn buffers_that_were_not_used_for_the_maximal_age_go_and_the_others_stay() {
    for era in GENERATIONS {
        run(era, small(), failing(Failpoint::BufioAge, 1), |rig| {
            drop(rig.client.read(1).unwrap());
            dirty(&rig.client, 0, 1);
            rig.client.bufio().age_out();
            assert_eq!(rig.client.buffers(), 1, "{era}: the dirty one needs I/O");
            rig.client.write_dirty_buffers().unwrap();
            rig.client.bufio().age_out();
            assert_eq!(rig.client.buffers(), 1, "{era}: it is young");
            rig.done().unwrap();
        });
    }
}

#[test]
fn since_5_4_a_cleanup_brings_all_clients_down_to_fifteen_sixteenths() {
    for era in [Era::V5_9, Era::V6_1, Era::V6_12] {
        let options = ClientOptions { retain_bytes: 0, ..ClientOptions::default() };
        run(era, options, PlanSpec::default(), |rig| {
            rig.client.bufio().set_max_cache_size(32 * 4096);
            for block in 0..100 {
                drop(rig.client.read(block).unwrap());
            }
            rig.client.bufio().finish_cleanup();
            assert!(rig.client.buffers() <= 32, "{era}: {} buffers", rig.client.buffers());
            rig.done().unwrap();
        });
    }
}

#[test]
fn reading_while_a_request_is_mapped_is_einval_since_2018() {
    run(Era::V6_12, small(), PlanSpec::default(), |rig| {
        let mapping = rig.client.bufio().in_request();
        assert_eq!(rig.client.read(1).map(|buffer| buffer.block()), Err(Errno::EINVAL));
        rig.client.prefetch(1, 1);
        assert!(rig.client.get(1).is_none(), "its read has not started");
        drop(mapping);
        assert!(rig.client.get(1).is_some());
        rig.done().unwrap();
    });
}
