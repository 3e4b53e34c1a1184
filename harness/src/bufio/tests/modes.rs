//! The memory of buffers in each mode, its accounts, and the buffers that a client retains.

use super::*;
use crate::units::PAGE_SIZE;

#[test]
fn the_reserve_and_the_buffers_are_accounted_where_their_memory_comes_from() {
    use Mode::{Pages as Whole, Slab, Vmalloc};
    // Era, bytes of a block; where the reserve is, and where a new buffer.
    for (era, size, reserve, new) in [
        (Era::V3_10, 512, Slab, Slab),
        (Era::V3_10, 4096, Vmalloc, Whole),
        (Era::V4_19, 4096, Vmalloc, Whole),
        (Era::V6_12, 2048, Slab, Slab),
        (Era::V6_12, 4096, Vmalloc, Whole),
        (Era::V6_12, 12288, Slab, Slab),
        (Era::V6_12, 16384, Vmalloc, Whole),
    ] {
        let options = ClientOptions { block_size: size, reserved_buffers: 2, ..small() };
        run(era, options, PlanSpec::default(), |rig| {
            let (bufio, size) = (rig.client.bufio().clone(), u64::from(size));
            let accounts = bufio.accounts();
            let by_mode = || [Slab, Whole, Vmalloc].map(|mode| accounts.allocated(mode));
            let mut expect = [0; 3];
            expect[reserve as usize] += 2 * size;
            assert_eq!(by_mode(), expect, "{era}, {size} bytes: the reserve");
            (0..3).for_each(|block| drop(rig.client.read(block).unwrap()));
            expect[new as usize] += 3 * size;
            assert_eq!(by_mode(), expect, "{era}, {size} bytes: three buffers more");
            assert_eq!(accounts.current(), 5 * size);
            rig.done().unwrap();
            assert_eq!((accounts.current(), accounts.peak()), (0, 5 * size), "{era}");
            assert_eq!(rig.mm.free(), Pages(1024), "{era}");
        });
    }
}

#[test]
fn eight_blocks_of_512_bytes_share_a_page() {
    run(Era::V6_12, ClientOptions { block_size: 512, ..small() }, PlanSpec::default(), |rig| {
        let before = rig.mm.free();
        // One object of the first page is the reserve's.
        (0..7).for_each(|block| drop(rig.client.read(block).unwrap()));
        assert_eq!(rig.mm.free(), before);
        drop(rig.client.read(7).unwrap());
        assert_eq!(rig.mm.free(), Pages(before.0 - 1));
        rig.done().unwrap();
        assert_eq!(rig.mm.free(), Pages(1024));
    });
}

#[test]
fn a_large_block_takes_whole_pages() {
    run(Era::V6_12, ClientOptions { block_size: 16384, ..small() }, PlanSpec::default(), |rig| {
        let before = rig.mm.free();
        drop(rig.client.read(0).unwrap());
        assert_eq!((before.0 - rig.mm.free().0) * PAGE_SIZE, 16384);
        rig.done().unwrap();
    });
}

#[test]
fn buffers_of_a_client_that_was_dropped_do_not_keep_those_of_others() {
    for era in [Era::V5_9, Era::V6_12] {
        run(era, ClientOptions::default(), PlanSpec::default(), |rig| {
            let bufio = rig.client.bufio();
            bufio.set_max_cache_size(16 * 4096);
            let device = Arc::new(MemoryDevice::new(&rig.sched, "vdb", 1 << 20));
            let dropped = bufio.create(device, None, ClientOptions::default()).unwrap();
            (0..8).for_each(|block| drop(dropped.read(block).unwrap()));
            drop(dropped);
            (0..40).for_each(|block| drop(rig.client.read(block).unwrap()));
            bufio.finish_cleanup();
            assert!(
                bufio.accounts().current() <= 16 * 4096,
                "{era}: {} bytes",
                bufio.accounts().current()
            );
            rig.done().unwrap();
        });
    }
}

#[test]
fn each_client_keeps_what_it_alone_retains() {
    for era in [Era::V4_19, Era::V5_9, Era::V6_12] {
        let options = ClientOptions { retain_bytes: 2 * 4096, ..ClientOptions::default() };
        let age = failing(Failpoint::BufioAge, 1);
        run(era, options, age, |rig| {
            let bufio = rig.client.bufio();
            let device = Arc::new(MemoryDevice::new(&rig.sched, "vdb", 1 << 20));
            let options = ClientOptions { retain_bytes: 4096, ..ClientOptions::default() };
            let other = bufio.create(device, None, options).unwrap();
            for client in [&rig.client, &other] {
                (0..5).for_each(|block| drop(client.read(block).unwrap()));
            }
            bufio.age_out();
            assert_eq!((rig.client.buffers(), other.buffers()), (2, 1), "{era}");
            other.destroy().unwrap();
            rig.done().unwrap();
        });
    }
}
