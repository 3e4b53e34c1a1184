//! What a cycle tells of each of its edges: who, what, where, what else is held, and what was only
//! declared.

use super::*;
use crate::witness::{Declaration, Node};

fn thing(node: &Node) -> String {
    let name = if node.instance.is_empty() { &node.class } else { &node.instance };
    if node.nth == 0 { name.clone() } else { format!("{name}/{}", node.nth) }
}

/// An edge in one line.
fn line(s: &Script, edge: &Edge) -> String {
    let (from, to) = (thing(&edge.from), thing(&edge.to));
    let shared = if edge.from_shared { " shared" } else { "" };
    let at = |site: Option<Site>| site.map_or(String::new(), |site| format!("@{}", site.line));
    let mask = edge.mask.map_or(String::new(), |mask| format!(" with {mask}"));
    let held: Vec<String> = edge.held.iter().map(thing).collect();
    let held = if held.is_empty() { String::new() } else { format!(", has {}", held.join(", ")) };
    let declared = match &edge.declared {
        None => String::new(),
        Some(Declaration::Waits { target, when, mask }) => {
            format!(", {target} waits {when:?} with {mask}")
        }
        Some(Declaration::Rests { part, on }) => format!(", {part} rests on {on}"),
    };
    let (task, name) = (s.names.task(edge.task), &edge.task_name);
    let who = if task == name { task.to_owned() } else { format!("{task} as {name}") };
    format!(
        "{who}: {from}{shared}{} > {to}{}{mask}{held}{declared}",
        at(edge.from_site),
        at(edge.site)
    )
}

/// The edges of the one cycle that is found in `story`.
#[track_caller]
fn check_told(expect: &[&str], story: impl FnOnce(&mut Script, BufioOnLoop)) {
    let mut s = Script::oracle();
    let stack = s.bufio_on_loop(MayWait::WithIo);
    story(&mut s, stack);
    let [finding] = s.witness.findings() else { panic!("{} findings", s.witness.findings().len()) };
    let cycle = finding.order.as_deref().expect("it is of an order");
    assert_eq!(cycle.edges.iter().map(|edge| line(&s, edge)).collect::<Vec<_>>(), expect);
}

#[test]
fn a_waiter_for_the_allocation_is_reported_with_all_that_it_holds() {
    let expect = [
        "kworker: io_reclaim > loop0, shrinker dm-bufio:loop0 waits WithIo with GFP_NOFS",
        "loop0: loop0 > fs:lower, loop0 rests on fs:lower",
        "rsync: fs:lower shared@18 > kworker@21, has a, fs:lower",
        "kworker: kworker > io_reclaim@1 with GFP_NOFS, has kworker",
    ];
    check_told(&expect, |s, stack| {
        let (queue, worker) = s.queue("kworker");
        let (task, inode) = (s.task("rsync"), s.lock("inode", "a"));
        s.take(task, inode, EXCLUSIVE);
        s.take(task, stack.journal, LockMode::Shared);
        let work = s.queue_work(task, queue);
        s.wait(task, Resource::Work(work), "flush");
        s.begin_work(worker, queue, work);
        alloc_as(s, worker, Gfp::NOFS, TaskFlags::EMPTY);
    });
}

#[test]
fn a_task_that_allocates_under_the_lock_is_reported_with_its_mask() {
    let expect = [
        "rsync: io_reclaim > loop0, shrinker dm-bufio:loop0 waits WithIo with GFP_NOFS",
        "loop0: loop0 > fs:lower, loop0 rests on fs:lower",
        "rsync: fs:lower shared@15 > io_reclaim@1 with GFP_NOFS, has a, fs:lower",
    ];
    check_told(&expect, |s, stack| {
        let (task, inode) = (s.task("rsync"), s.lock("inode", "a"));
        s.take(task, inode, EXCLUSIVE);
        s.take(task, stack.journal, LockMode::Shared);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
    });
}

#[test]
fn a_part_without_a_server_is_described_by_its_name() {
    let expect = [
        "rsync: io_reclaim > fs:upper, swap on fs:upper waits WithIo with GFP_NOFS",
        "rsync as fs:upper: fs:upper > loop0, fs:upper rests on loop0",
        "loop0: loop0 > fs:lower, loop0 rests on fs:lower",
        "rsync: fs:lower@18 > io_reclaim@1 with GFP_NOFS, has fs:lower",
    ];
    check_told(&expect, |s, stack| {
        let (lock, upper) =
            (s.lock("journal", "fs:upper"), s.part("fs:upper", PartKind::Filesystem));
        s.on(TaskId(0), EventKind::ShrinkerUnregistered { shrinker: stack.shrinker });
        s.declare(Fact::Takes { part: upper, lock });
        s.declare(Fact::Needs { part: upper, on: stack.device });
        s.declare(Fact::Target {
            target: ReclaimTarget::Swap(upper),
            part: upper,
            waits: MayWait::WithIo,
        });
        let task = s.task("rsync");
        s.take(task, stack.journal, EXCLUSIVE);
        alloc_as(s, task, Gfp::NOFS, TaskFlags::EMPTY);
    });
}

#[test]
fn a_queue_whose_only_worker_allocates_is_held() {
    let expect = [
        "kworker: io_reclaim > kworker, shrinker dm-bufio:loop0 waits WithIo with GFP_NOFS",
        "kworker: kworker > io_reclaim@1 with GFP_NOFS, has kworker",
    ];
    check_told(&expect, |s, stack| {
        let (queue, worker) = s.queue("kworker");
        s.declare(Fact::Queues { part: stack.cache, queue });
        let task = s.task("rsync");
        let work = s.queue_work(task, queue);
        s.begin_work(worker, queue, work);
        alloc_as(s, worker, Gfp::NOFS, TaskFlags::EMPTY);
    });
}
