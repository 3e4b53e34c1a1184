//! Where nobody observes: hits in lanes, buffers that are taken over, write-out in parts.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::lookup::Want;
use super::super::slot::{Slot, State};
use super::super::writeback::{PART, PARTS};
use super::*;
use crate::block::{Bio, LateDevice, Queue};
use crate::event::TaskKind;
use crate::sched::JoinHandle;
use crate::sched::SpinLock;
use crate::units::{Sectors, Ticks};

/// Runs `body` with a client of at most `buffers` on a device in memory that completes on a task of
/// its own.
fn unobserved(buffers: u64, body: impl FnOnce(&Sched, &Client)) {
    let sched = Sched::unobserved(1);
    let ended = sched.run_main(|| {
        let plan = Plan::arm(&sched, PlanSpec::default()).unwrap();
        let mm = Mm::new(&sched, &MmOptions::new(Pages(4096)), plan.clone()).unwrap();
        let memory = Arc::new(MemoryDevice::new(&sched, "vda", 4 << 20));
        let late = Arc::new(LateDevice::new(&sched, memory, Ticks(0), Ticks(0)));
        let bufio = Bufio::new(&sched, &mm, &plan, Era::V6_12.knobs(), None);
        let options = ClientOptions { max_buffers: buffers, ..ClientOptions::default() };
        let client = bufio.create(late.clone(), None, options).unwrap();
        body(&sched, &client);
        client.destroy().unwrap();
        late.stop();
        assert_eq!(mm.free(), Pages(4096));
    });
    ended.expect("no task panics");
}

#[test]
fn threads_hit_and_evict_and_see_only_what_they_asked_for() {
    unobserved(40, |sched, client| {
        for block in 0..64 {
            dirty(client, block, u8::try_from(block).unwrap());
        }
        let tasks = [3_u64, 5].map(|step| {
            let client = client.clone();
            sched.spawn("reader", TaskKind::Task, move || {
                for turn in 0..20_000 {
                    let block = turn * step % 64;
                    let buffer = client.read(block).unwrap();
                    buffer.with_data(|data| assert_eq!(u64::from(data[9]), block));
                }
            })
        });
        tasks.into_iter().for_each(JoinHandle::join);
    });
}

#[test]
fn whoever_finds_a_block_that_another_task_reads_is_told_when_it_is_there() {
    unobserved(64, |sched, client| {
        let tasks = [(); 3].map(|()| {
            let client = client.clone();
            sched.spawn("reader", TaskKind::Task, move || {
                for block in 0..1000 {
                    let buffer = client.read(block).unwrap();
                    assert!(!buffer.slot.has(State::READING) && buffer.block() == block);
                }
            })
        });
        tasks.into_iter().for_each(JoinHandle::join);
    });
}

#[test]
fn what_a_hit_holds_is_neither_evicted_nor_forgotten_and_a_leak_names_it() {
    unobserved(16, |_, client| {
        dirty(client, 3, 0x33);
        client.write_dirty_buffers().unwrap();
        let held = client.get(3).expect("it is cached");
        assert!(held.cell.is_some(), "the hold is in a lane");
        client.forget(3);
        for block in 100..200 {
            drop(client.read(block).unwrap());
        }
        held.with_data(|data| assert_eq!((held.block(), data[9]), (3, 0x33)));
        let leak = client.reset().unwrap_err().to_string();
        assert!(leak.contains("block 3 (hold count 1, on the clean list)"), "{leak}");
        drop(held);
        client.forget(3);
        assert!(client.get(3).is_none(), "nobody holds it any more");
    });
}

#[test]
fn who_waits_for_a_free_buffer_is_told_of_a_hit_that_ends() {
    unobserved(8, |sched, client| {
        for block in 0..8 {
            drop(client.read(block).unwrap());
        }
        client.bufio().set_max_cache_size(1);
        let mut held: Vec<_> =
            (0..8).map(|block| client.get(block).expect("it is cached")).collect();
        let reserve = client.read(9).unwrap();
        let theirs = client.clone();
        let waiter = sched.spawn("waiter", TaskKind::Task, move || theirs.read(10).is_ok());
        while client.0.waiting.load(Ordering::SeqCst) == 0 {
            sched.point();
        }
        held.truncate(3);
        assert!(waiter.join());
        assert!(
            client.0.freed.load(Ordering::SeqCst) > 0,
            "it was told, and not left to its timeout"
        );
        drop((held, reserve));
        client.bufio().set_max_cache_size(0);
    });
}

#[test]
fn one_buffer_above_the_limit_a_clean_one_is_still_taken_over() {
    unobserved(16, |_, client| {
        (0..17).for_each(|block| dirty(client, block, 1));
        client.write_dirty_buffers().unwrap();
        assert_eq!(client.buffers(), 17, "too much was dirty to take one over");
        let taken = client.recycled(&mut client.lock(), 99, Want::New).map(Slot::block);
        assert_eq!((taken, client.buffers()), (Some(99), 17));
        client.forget(99);
        client.put(client.indexed(&client.lock(), 99).expect("it is cached and held"));
    });
}

#[test]
fn more_dirty_buffers_than_a_part_are_all_written() {
    unobserved(u64::MAX, |_, client| {
        for block in 0..700 {
            drop(client.read(block).unwrap());
        }
        // Twice: the copies of the second time are made in the memory of the first, and others are
        // not blocks' bytes.
        for round in [1_u8, 2] {
            let byte = |block: u64| block.to_le_bytes()[0] ^ block.to_le_bytes()[1] ^ (round << 6);
            for block in (0..700).rev() {
                let buffer = client.get(block).expect("it is cached");
                buffer.with_data_mut(|data| data.fill(byte(block)));
                buffer.mark_partial_dirty(0, if round == 1 { 4096 } else { 100 });
            }
            client.write_dirty_buffers().unwrap();
            assert_eq!((client.dirty_buffers(), client.buffers()), (0, 700));
            let mut data = [0; 4096];
            for block in 0..700 {
                read_at(&**client.device(), block * 4096, &mut data).unwrap();
                assert_eq!(data, [byte(block); 4096], "block {block}");
            }
        }
    });
}

/// A device that keeps its requests until somebody lets them go.
struct Gate {
    below: MemoryDevice,
    kept: SpinLock<Vec<Bio>>,
    most: AtomicUsize,
    taken: AtomicUsize,
}

impl Gate {
    fn let_go(&self) {
        let bios = std::mem::take(&mut *self.kept.lock());
        bios.into_iter().for_each(|bio| self.below.submit(bio));
    }

    fn keeps(&self) -> usize {
        self.kept.lock().len()
    }
}

impl BlockDevice for Gate {
    fn name(&self) -> &str {
        self.below.name()
    }

    fn sectors(&self) -> Sectors {
        self.below.sectors()
    }

    fn queue(&self) -> &Queue {
        self.below.queue()
    }

    fn submit(&self, bio: Bio) {
        if bio.op() != Op::Write {
            return self.below.submit(bio);
        }
        self.kept.lock().push(bio);
        self.taken.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(self.keeps(), Ordering::SeqCst);
    }
}

#[test]
fn who_waits_for_all_writes_copies_no_more_buffers_than_a_few_parts_ahead() {
    const BUFFERS: usize = PART * (PARTS + 3);
    const BOUND: usize = PART * (PARTS + 1);
    let sched = Sched::unobserved(1);
    let ended = sched.run_main(|| {
        let plan = Plan::arm(&sched, PlanSpec::default()).unwrap();
        let mm = Mm::new(&sched, &MmOptions::new(Pages(4096)), plan.clone()).unwrap();
        let below = MemoryDevice::new(&sched, "vda", 8 << 20);
        let (kept, most, taken) = Default::default();
        let gate = Arc::new(Gate { below, kept, most, taken });
        let bufio = Bufio::new(&sched, &mm, &plan, Era::V6_12.knobs(), None);
        // Few are written before it is asked for.
        bufio.set_max_cache_size(1 << 30);
        let options = ClientOptions { max_buffers: u64::MAX, ..ClientOptions::default() };
        let client = bufio.create(gate.clone(), None, options).unwrap();
        (0..BUFFERS as u64).for_each(|block| dirty(&client, block, 1));
        let (keeper, ours) = (Arc::clone(&gate), sched.clone());
        let keeper = sched.spawn("keeper", TaskKind::Task, move || {
            while keeper.taken.load(Ordering::SeqCst) < BUFFERS {
                if keeper.keeps() >= BOUND {
                    // Whoever makes more than that has the time to.
                    (0..1000).for_each(|_| ours.point());
                    keeper.let_go();
                }
                ours.point();
            }
            keeper.let_go();
        });
        client.write_dirty_buffers().unwrap();
        keeper.join();
        let most = gate.most.load(Ordering::SeqCst);
        assert!((BOUND..BOUND + PART).contains(&most), "{most} at once");
        client.destroy().unwrap();
    });
    ended.expect("no task panics");
}
