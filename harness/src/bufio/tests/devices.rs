//! Devices that refuse, fail half way, or are short; options that make no sense; errors that must
//! be told.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::block::FilterDevice;
use crate::units::Sectors;

/// Runs `body` with a disk and a client of it, above which discards are refused and so many writes
/// succeed as the counter says.
fn on_picky(writes: u64, body: impl FnOnce(&dyn BlockDevice, &AtomicU64, &Client)) {
    let sched = Sched::native(1, Box::new(Log::default()));
    let ended = sched.run_main(|| {
        let plan = Plan::arm(&sched, PlanSpec::default()).unwrap();
        let mm = Mm::new(&sched, &MmOptions::new(Pages(1024)), plan.clone()).unwrap();
        let disk = Arc::new(MemoryDevice::new(&sched, "vda", 1 << 20));
        let writes = Arc::new(AtomicU64::new(writes));
        let left = Arc::clone(&writes);
        let picky = FilterDevice::new(disk.clone(), move |bio| {
            let spend = |left: u64| left.checked_sub(1);
            match bio.op() {
                Op::Discard => Some(Err(Errno::EOPNOTSUPP)),
                Op::Write => {
                    let spent = left.fetch_update(Ordering::AcqRel, Ordering::Acquire, spend);
                    spent.is_err().then_some(Err(Errno::EIO))
                }
                Op::Read | Op::Flush => None,
            }
        });
        let bufio = Bufio::new(&sched, &mm, &plan, Era::V5_9.knobs(), None);
        let client = bufio.create(Arc::new(picky), None, ClientOptions::default()).unwrap();
        body(&*disk, &writes, &client);
    });
    ended.expect("the body does not panic");
}

fn first_byte(device: &dyn BlockDevice, block: u64) -> u8 {
    let mut sector = [0; 512];
    read_at(device, block * 4096, &mut sector).unwrap();
    sector[0]
}

#[test]
fn a_discarded_block_is_gone_from_the_device_and_not_from_its_buffer() {
    for era in GENERATIONS {
        run(era, small(), PlanSpec::default(), |rig| {
            dirty(&rig.client, 1, 7);
            dirty(&rig.client, 2, 8);
            rig.client.write_dirty_buffers().unwrap();
            rig.client.issue_discard(1, 1).unwrap();
            assert_eq!((first_byte(&*rig.device, 1), first_byte(&*rig.device, 2)), (0, 8), "{era}");
            rig.client.get(1).expect("it is cached").with_data(|data| assert_eq!(data[0], 7));
            rig.client.forget(1);
            rig.client.read(1).unwrap().with_data(|data| assert_eq!(data[0], 0));
            rig.done().unwrap();
        });
    }
}

#[test]
fn a_discard_past_the_end_is_einval_and_discards_nothing() {
    run(Era::V6_12, small(), PlanSpec::default(), |rig| {
        dirty(&rig.client, 255, 7);
        rig.client.write_dirty_buffers().unwrap();
        for (block, count) in [(255, 2), (256, 1), (255, u64::MAX), (u64::MAX, 1)] {
            assert_eq!(
                rig.client.issue_discard(block, count),
                Err(Errno::EINVAL),
                "{block}, {count}"
            );
        }
        assert_eq!(first_byte(&*rig.device, 255), 7);
        rig.done().unwrap();
    });
}

#[test]
fn a_device_that_cannot_discard_says_so_and_nothing_is_lost() {
    on_picky(u64::MAX, |disk, _, client| {
        dirty(client, 1, 7);
        assert_eq!(client.issue_discard(0, 4), Err(Errno::EOPNOTSUPP));
        client.destroy().unwrap();
        assert_eq!(first_byte(disk, 1), 7);
    });
}

#[test]
fn writes_that_fail_half_way_are_told_once_and_what_is_marked_again_is_written() {
    on_picky(3, |disk, writes, client| {
        (0..8).for_each(|block| dirty(client, block, 9));
        assert_eq!(client.write_dirty_buffers(), Err(Errno::EIO));
        assert_eq!((0..8).filter(|block| first_byte(disk, *block) == 9).count(), 3);
        assert_eq!(client.write_dirty_buffers(), Ok(()), "it was told");
        writes.store(u64::MAX, Ordering::Release);
        (0..8).for_each(|block| dirty(client, block, 5));
        client.destroy().unwrap();
        assert!((0..8).all(|block| first_byte(disk, block) == 5));
    });
}

#[test]
fn an_eviction_whose_write_fails_is_told_by_the_next_write_of_everything() {
    on_picky(0, |_, _, client| {
        dirty(client, 0, 9);
        client.write_dirty_buffers_async();
        client.forget(0);
        client.read(0).unwrap().with_data(|data| assert_eq!(data[0], 0, "the device has zeroes"));
        assert_eq!(client.write_dirty_buffers(), Err(Errno::EIO));
        client.destroy().unwrap();
    });
}

#[test]
fn destroy_tells_of_a_failed_write_that_nobody_asked_for() {
    on_picky(0, |_, _, client| {
        dirty(client, 0, 9);
        let message = client.destroy().unwrap_err().to_string();
        assert!(message.contains("writing dirty buffers failed"), "{message}");
    });
}

#[test]
fn destroy_tells_of_a_failed_write_beside_a_buffer_that_is_held() {
    on_picky(0, |_, _, client| {
        dirty(client, 0, 9);
        let held = client.read(1).unwrap();
        let error = client.destroy().unwrap_err();
        assert!(error.to_string().contains("block 1 (hold count 1"), "{error}");
        let cause = error.reason().expect("the write error is its cause").to_string();
        assert!(cause.contains("writing dirty buffers failed"), "{cause}");
        drop(held);
    });
}

#[test]
fn a_client_moved_up_its_device_ends_where_the_device_ends() {
    run(Era::V6_12, small(), PlanSpec::default(), |rig| {
        assert_eq!(rig.client.device_blocks(), 256);
        rig.client.set_sector_offset(Sectors(2040));
        assert_eq!(rig.client.device_blocks(), 1);
        assert_eq!(rig.client.read(1).map(|buffer| buffer.block()), Err(Errno::EINVAL));
        dirty(&rig.client, 0, 3);
        rig.done().unwrap();
        assert_eq!(first_byte(&*rig.device, 255), 3);
    });
}

#[test]
fn a_block_far_past_the_end_is_einval() {
    for era in GENERATIONS {
        run(era, small(), PlanSpec::default(), |rig| {
            for block in [256, u64::MAX / 8, u64::MAX] {
                assert_eq!(rig.client.read(block).map(|buffer| buffer.block()), Err(Errno::EINVAL));
                assert!(rig.client.get(block).is_none());
                rig.client.prefetch(block, u64::MAX);
                rig.client.forget(block);
            }
            assert_eq!(rig.client.buffers(), 0, "{era}");
            rig.done().unwrap();
        });
    }
}

#[test]
fn marking_a_buffer_that_is_being_read_is_fatal_and_leaves_it_clean() {
    run(Era::V5_9, small(), PlanSpec::default(), |rig| {
        let buffer = rig.client.read(1).unwrap();
        buffer.slot.set(slot::State::READING);
        let marked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| buffer.mark_dirty()));
        assert!(marked.is_err());
        buffer.slot.clear(slot::State::READING);
        drop(buffer);
        assert_eq!(rig.client.dirty_buffers(), 0);
        rig.done().unwrap();
    });
}

#[test]
fn a_range_that_is_none_of_the_blocks_cannot_be_marked() {
    run(Era::V6_12, small(), PlanSpec::default(), |rig| {
        let buffer = rig.client.read(1).unwrap();
        for (start, end) in [(5, 5), (6, 5), (0, 4097)] {
            let mark = std::panic::AssertUnwindSafe(|| buffer.mark_partial_dirty(start, end));
            assert!(std::panic::catch_unwind(mark).is_err(), "{start}..{end}");
        }
        drop(buffer);
        rig.done().unwrap();
    });
}

#[test]
fn options_that_no_client_can_have_are_refused_with_advice() {
    let refused = |era: Era, options: ClientOptions| {
        let sched = Sched::native(1, Box::new(Log::default()));
        let message = sched.run_main(|| {
            let plan = Plan::arm(&sched, PlanSpec::default()).unwrap();
            let mm = Mm::new(&sched, &MmOptions::new(Pages(64)), plan.clone()).unwrap();
            let device = Arc::new(MemoryDevice::new(&sched, "vda", 1 << 20));
            let bufio = Bufio::new(&sched, &mm, &plan, era.knobs(), None);
            bufio.create(device, None, options).unwrap_err().to_string()
        });
        message.expect("no panic")
    };
    let size = |block_size| ClientOptions { block_size, ..ClientOptions::default() };
    let no_sleep = ClientOptions { no_sleep: true, ..ClientOptions::default() };
    let start = ClientOptions { start: Sectors(2048), ..ClientOptions::default() };
    let trees = ClientOptions { trees: 3, ..ClientOptions::default() };
    let aux = ClientOptions { aux_size: usize::MAX, ..ClientOptions::default() };
    let reserve = ClientOptions { reserved_buffers: 1000, ..ClientOptions::default() };
    for (era, options, word) in [
        (Era::V3_10, size(1536), "power of two"),
        (Era::V3_10, size(256), "power of two"),
        (Era::V6_12, size(0), "a block of 0 bytes"),
        (Era::V6_12, size(1000), "multiple of 512"),
        (Era::V6_12, size(2 << 20), "longer device"),
        (Era::V4_19, no_sleep, "none before 6.0"),
        (Era::V6_12, start, "fewer than one block"),
        (Era::V6_12, trees, "3 trees"),
        (Era::V6_12, aux, "bytes beside each buffer"),
        (Era::V5_9, reserve, "reserved buffers"),
    ] {
        let message = refused(era, options);
        assert!(message.contains(word), "{message}");
    }
}
