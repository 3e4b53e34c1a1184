//! The oracle on events by hand: each rule with a planted bug and its healthy twin.

mod behind;
mod told;

use super::Pairs;
use crate::event::{
    AllocOutcome, EventKind, Fact, Gfp, LockMode, MayWait, PartKind, ReclaimTarget, Resource,
    ScopeKind, Site, TaskFlags, TaskId, WaitOutcome,
};
use crate::units::Pages;
use crate::witness::Edge;
use crate::witness::script::{BufioOnLoop, Script};

const EXCLUSIVE: LockMode = LockMode::Exclusive;

/// The cycles that were found, as `a > b`, from reclaim down to the allocation.
fn cycles(s: &Script) -> Vec<String> {
    let orders = s.witness.findings().iter().filter_map(|finding| finding.order.as_deref());
    let text = |edge: &Edge| match edge.from.instance.as_str() {
        "" => edge.from.class.clone(),
        instance => instance.to_owned(),
    };
    orders.map(|cycle| cycle.edges.iter().map(text).collect::<Vec<_>>().join(" > ")).collect()
}

/// Tells `story` on the stack of the first deadlock, whose shrinker waits so.
#[track_caller]
fn check(waits: MayWait, expect: &[&str], story: impl FnOnce(&mut Script, BufioOnLoop)) -> Script {
    let mut s = Script::oracle();
    let stack = s.bufio_on_loop(waits);
    story(&mut s, stack);
    assert_eq!(cycles(&s), expect);
    s
}

fn alloc_as(s: &mut Script, task: TaskId, mask: Gfp, flags: TaskFlags) {
    let site = Site { file: "x.rs", line: 1 };
    s.on(task, EventKind::AllocBegin { order: 0, requested: mask, effective: mask, flags, site });
    s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(1 << 20) });
}

/// One allocation under the journal.
#[track_caller]
fn check_mask(waits: MayWait, mask: Gfp, flags: TaskFlags, expect: &[&str]) {
    check(waits, expect, |s, stack| {
        let task = s.task("rsync");
        s.take(task, stack.journal, EXCLUSIVE);
        alloc_as(s, task, mask, flags);
    });
}

const C01: &str = "io_reclaim > loop0 > fs:lower";

#[test]
fn one_allocation_in_a_transaction_is_enough() {
    check_mask(MayWait::WithIo, Gfp::NOFS, TaskFlags::EMPTY, &[C01]);
    check_mask(MayWait::WithIo, Gfp::NOIO, TaskFlags::EMPTY, &[]);
}

#[test]
fn what_waits_with_fs_or_never_is_no_danger_to_nofs() {
    check_mask(MayWait::WithFs, Gfp::NOFS, TaskFlags::EMPTY, &[]);
    check_mask(MayWait::WithFs, Gfp::KERNEL, TaskFlags::EMPTY, &["fs_reclaim > loop0 > fs:lower"]);
    check_mask(MayWait::Never, Gfp::KERNEL, TaskFlags::EMPTY, &[]);
}

#[test]
fn an_allocation_that_does_not_reclaim_is_no_danger() {
    check_mask(MayWait::WithIo, Gfp::ATOMIC | Gfp::IO, TaskFlags::EMPTY, &[]);
    check_mask(MayWait::WithIo, Gfp::KERNEL, TaskFlags::MEMALLOC, &[]);
    check_mask(MayWait::WithIo, Gfp::KERNEL | Gfp::NOLOCKDEP, TaskFlags::EMPTY, &[]);
    check(MayWait::WithIo, &[], |s, stack| {
        let task = s.task("rsync");
        s.take(task, stack.journal, EXCLUSIVE);
        s.scope(task, ScopeKind::Noreclaim, 1);
        alloc_as(s, task, Gfp::KERNEL, TaskFlags::EMPTY);
    });
}

#[test]
fn what_is_not_held_or_not_needed_is_no_danger() {
    check(MayWait::WithIo, &[], |s, stack| {
        let task = s.task("rsync");
        let other = s.lock("journal", "fs:other");
        s.take(task, other, EXCLUSIVE);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
        s.give_up(task, other);
        s.take(task, stack.journal, EXCLUSIVE);
        s.give_up(task, stack.journal);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
    });
}

#[test]
fn a_shared_hold_keeps_the_lock_from_others_too() {
    check(MayWait::WithIo, &[C01], |s, stack| {
        let task = s.task("rsync");
        s.take(task, stack.journal, LockMode::Shared);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
    });
}

/// The worker allocates while it serves a request of the device that the cache is on.
#[track_caller]
fn check_worker(second_server: bool, mask: Gfp, expect: &[&str]) {
    check(MayWait::WithIo, expect, |s, stack| {
        if second_server {
            s.server(stack.queue, "loop0/1");
        }
        let task = s.task("cp");
        let request = s.submit(task, stack.queue);
        s.serve(stack.worker, stack.queue, request);
        alloc_as(s, stack.worker, mask, TaskFlags::EMPTY);
        s.on(stack.worker, EventKind::RequestServed { request });
        alloc_as(s, stack.worker, Gfp::KERNEL, TaskFlags::EMPTY);
    });
}

#[test]
fn a_server_that_waits_for_its_own_queue_is_found() {
    check_worker(false, Gfp::KERNEL, &["io_reclaim > loop0"]);
    check_worker(false, Gfp::NOIO, &[]);
    check_worker(true, Gfp::KERNEL, &[]);
}

/// A worker allocates for a task that holds the journal, and that waits for the work or not.
#[track_caller]
fn check_on_behalf(waits_for_it: bool, expect: &[&str]) {
    check(MayWait::WithIo, expect, |s, stack| {
        let (queue, worker) = s.queue("kworker");
        let task = s.task("rsync");
        s.take(task, stack.journal, EXCLUSIVE);
        let work = s.queue_work(task, queue);
        if waits_for_it {
            s.wait(task, Resource::Work(work), "flush");
        }
        s.begin_work(worker, queue, work);
        alloc_as(s, worker, Gfp::NOFS, TaskFlags::EMPTY);
    });
}

#[test]
fn what_a_waiter_holds_is_held_round_the_allocation() {
    check_on_behalf(true, &["io_reclaim > loop0 > fs:lower > kworker"]);
    check_on_behalf(false, &[]);
}

#[test]
fn a_waiter_for_any_of_several_servers_is_not_stuck_behind_one() {
    let story = |servers: u32| {
        move |s: &mut Script, stack: BufioOnLoop| {
            let (queue, worker) = s.queue("kworker");
            for _ in 1..servers {
                s.server(queue, "kworker/1");
            }
            let task = s.task("rsync");
            s.take(task, stack.journal, EXCLUSIVE);
            let work = s.queue_work(task, queue);
            s.wait(task, Resource::Work(work), "flush");
            // It is busy with something else, and the item is still in the queue.
            alloc_as(s, worker, Gfp::NOFS, TaskFlags::EMPTY);
        }
    };
    check(MayWait::WithIo, &["io_reclaim > loop0 > fs:lower > kworker"], story(1));
    check(MayWait::WithIo, &[], story(2));
}

#[test]
fn a_wait_that_begins_while_the_allocation_is_under_way_counts() {
    let story = |ended: bool| {
        move |s: &mut Script, stack: BufioOnLoop| {
            let (holder, other) = (s.task("rsync"), s.task("cp"));
            let inode = s.lock("inode", "a");
            s.take(holder, stack.journal, EXCLUSIVE);
            s.take(other, inode, EXCLUSIVE);
            // In a scope: the allocation is not the first thing that the task is in.
            s.scope(other, ScopeKind::Pin, 1);
            s.alloc(other, Gfp::NOFS, Gfp::NOFS);
            if ended {
                s.on(
                    other,
                    EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(1 << 20) },
                );
            }
            s.want(holder, inode, EXCLUSIVE, false);
        }
    };
    check(MayWait::WithIo, &["io_reclaim > loop0 > fs:lower > a"], story(false));
    check(MayWait::WithIo, &[], story(true));
}

#[test]
fn a_reclaimers_own_waits_do_not_make_it_another_task() {
    check(MayWait::WithIo, &[C01], |s, stack| {
        let task = s.task("rsync");
        s.take(task, stack.journal, EXCLUSIVE);
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        let request = s.submit(task, stack.queue);
        s.wait(task, Resource::Request(request), "buffer WRITING");
        s.end_wait(task, Resource::Request(request), WaitOutcome::Satisfied);
    });
}

#[test]
fn what_its_reclaim_took_is_not_held_round_the_allocation() {
    check(MayWait::WithIo, &[], |s, stack| {
        let (task, other) = (s.task("rsync"), s.task("cp"));
        let inner = s.lock("inner", "i");
        s.alloc(task, Gfp::NOFS, Gfp::NOFS);
        s.reclaim(task, Gfp::NOFS);
        s.take(task, inner, EXCLUSIVE);
        s.take(task, stack.journal, EXCLUSIVE);
        // A wait makes the oracle look again.
        s.want(other, inner, EXCLUSIVE, false);
    });
}

#[test]
fn a_shrinker_that_is_gone_is_no_danger() {
    check(MayWait::WithIo, &[], |s, stack| {
        s.on(TaskId(0), EventKind::ShrinkerUnregistered { shrinker: stack.shrinker });
        let task = s.task("rsync");
        s.take(task, stack.journal, EXCLUSIVE);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
    });
}

#[test]
fn the_same_danger_is_found_once() {
    check(MayWait::WithIo, &[C01], |s, stack| {
        for name in ["rsync", "cp"] {
            let task = s.task(name);
            s.take(task, stack.journal, EXCLUSIVE);
            alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
            s.give_up(task, stack.journal);
        }
    });
}

#[test]
fn a_device_that_is_bound_anew_leads_elsewhere() {
    check(MayWait::WithIo, &[], |s, stack| {
        let other = s.part("fs:other", PartKind::Filesystem);
        s.declare(Fact::NeedsNoMore { part: stack.device, on: stack.fs });
        s.declare(Fact::Needs { part: stack.device, on: other });
        let task = s.task("rsync");
        s.take(task, stack.journal, EXCLUSIVE);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
    });
}

#[test]
fn every_layer_on_the_way_is_named() {
    check(MayWait::WithIo, &["io_reclaim > loop1 > fs:upper > loop0 > fs:lower"], |s, stack| {
        let (lock, upper) =
            (s.lock("journal", "fs:upper"), s.part("fs:upper", PartKind::Filesystem));
        let (queue, _) = s.queue("loop1");
        let device = s.part("loop1", PartKind::Device);
        let shrinker = s.names.add_shrinker("dm-bufio:loop1");
        s.on(TaskId(0), EventKind::ShrinkerUnregistered { shrinker: stack.shrinker });
        let target = ReclaimTarget::Shrinker(shrinker);
        for fact in [
            Fact::Takes { part: upper, lock },
            Fact::Needs { part: upper, on: stack.device },
            Fact::Queues { part: device, queue },
            Fact::Needs { part: device, on: upper },
            Fact::Target { target, part: device, waits: MayWait::WithIo },
        ] {
            s.declare(fact);
        }
        let task = s.task("rsync");
        s.take(task, stack.journal, EXCLUSIVE);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
    });
}

#[test]
fn swap_and_pages_are_targets_as_shrinkers_are() {
    for (target, waits, mask, found) in [
        (ReclaimTarget::Swap as fn(_) -> _, MayWait::WithIo, Gfp::NOFS, "io_reclaim > fs:lower"),
        (ReclaimTarget::Pages, MayWait::WithFs, Gfp::KERNEL, "fs_reclaim > fs:lower"),
    ] {
        check(MayWait::Never, &[found], |s, stack| {
            s.declare(Fact::Target { target: target(stack.fs), part: stack.fs, waits });
            let task = s.task("rsync");
            alloc_as(s, task, mask, TaskFlags::EMPTY);
            s.take(task, stack.journal, EXCLUSIVE);
            alloc_as(s, task, Gfp::NOIO, TaskFlags::EMPTY);
            alloc_as(s, task, mask, TaskFlags::EMPTY);
        });
    }
}

/// An allocation in a NOFS scope under the journal; the policy's word on the shrinker is `word`.
#[track_caller]
fn check_word(waits: MayWait, word: Option<Gfp>, held: bool, expect: Pairs) {
    let found = if expect.unsound > 0 { 1 } else { 0 };
    let mut s = Script::oracle();
    let stack = s.bufio_on_loop(waits);
    let task = s.task("rsync");
    if held {
        s.take(task, stack.journal, EXCLUSIVE);
    }
    if let Some(mask) = word {
        s.on(task, EventKind::PolicyMask { target: ReclaimTarget::Shrinker(stack.shrinker), mask });
    }
    let site = Site { file: "x.rs", line: 1 };
    let flags = TaskFlags::MEMALLOC_NOFS;
    let (requested, effective) = (Gfp::KERNEL, Gfp::NOFS);
    // The same circumstances once more are the same pair.
    for _ in 0..2 {
        s.on(task, EventKind::AllocBegin { order: 0, requested, effective, flags, site });
        s.on(task, EventKind::AllocEnd { outcome: AllocOutcome::Ok, left: Pages(1 << 20) });
    }
    assert_eq!((s.witness.pairs(), s.witness.findings().len()), (Some(expect), found));
}

const ONE: Pairs =
    Pairs { pairs: 1, safe: 0, permitted: 0, unsound: 0, denied_but_safe: 0, unknown: 0 };

#[test]
fn pairs_are_counted_by_what_is_permitted_and_what_is_safe() {
    let unsound = Pairs { permitted: 1, unsound: 1, ..ONE };
    check_word(MayWait::WithIo, None, true, unsound);
    check_word(MayWait::WithFs, None, true, ONE);
    check_word(MayWait::WithFs, None, false, Pairs { safe: 1, denied_but_safe: 1, ..ONE });
    check_word(MayWait::WithIo, None, false, Pairs { safe: 1, permitted: 1, ..ONE });
}

#[test]
fn the_policys_word_counts_for_the_one_allocation_that_follows() {
    // The second allocation of the same task has no word, and so is another pair.
    let mut denied = ONE;
    denied.pairs = 2;
    check_word(
        MayWait::WithIo,
        Some(Gfp::NOIO),
        true,
        Pairs { permitted: 1, unsound: 1, ..denied },
    );
    check_word(
        MayWait::WithFs,
        Some(Gfp::KERNEL),
        true,
        Pairs { permitted: 1, unsound: 1, ..denied },
    );
}

#[test]
fn a_target_that_the_request_itself_forbids_is_neither_safe_nor_denied() {
    check(MayWait::WithFs, &[], |s, _| {
        let task = s.task("rsync");
        alloc_as(s, task, Gfp::NOFS, TaskFlags::MEMALLOC_NOFS);
        alloc_as(s, task, Gfp::KERNEL - Gfp::FS, TaskFlags::MEMALLOC_NOIO);
        assert_eq!(s.witness.pairs().unwrap(), Pairs { pairs: 2, ..ONE });
    });
}

#[test]
fn a_target_above_a_server_with_unknown_needs_is_unknown() {
    check(MayWait::WithIo, &[], |s, stack| {
        let server = s.part("fuse", PartKind::Server);
        s.declare(Fact::NeedsNoMore { part: stack.device, on: stack.fs });
        s.declare(Fact::Needs { part: stack.device, on: server });
        let task = s.task("rsync");
        s.take(task, stack.journal, EXCLUSIVE);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
        assert_eq!(s.witness.pairs().unwrap(), Pairs { permitted: 1, unknown: 1, ..ONE });
        s.declare(Fact::Needs { part: server, on: stack.fs });
        s.give_up(task, stack.journal);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
        assert_eq!(s.witness.pairs().unwrap().safe, 1, "what it needs is known now");
    });
}

#[test]
fn the_caches_own_lock_is_needed_too() {
    check(MayWait::WithIo, &["io_reclaim > bufio:loop0"], |s, stack| {
        let lock = s.lock("dm_bufio_client", "bufio:loop0");
        s.declare(Fact::Takes { part: stack.cache, lock });
        let task = s.task("cp");
        s.take(task, lock, EXCLUSIVE);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
    });
}
