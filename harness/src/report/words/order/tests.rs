//! The report of a possible recursion, and when it is part of another finding.

use expect_test::{Expect, expect};

use crate::event::{EventKind, Gfp, LockId, LockMode, Prime, Resource, TaskId};
use crate::report::{Report, order_note, samples};
use crate::witness::script::Script;
use crate::witness::{Code, OrderGraph};

fn report(s: &Script) -> Report {
    Report { replay: None, ..samples::report(s) }
}

#[track_caller]
fn check(report: &Report, expect: &Expect) {
    let text = report.to_text();
    expect.assert_eq(&text);
    assert!(text.lines().all(|line| line.len() <= 110 && line.is_ascii()), "the page is kept");
    assert_eq!(Report::from_json(&report.to_json()).unwrap(), *report);
}

/// rsync makes a file: under the journal it allocates, in NOFS.
fn make_a_file(s: &mut Script) -> LockId {
    let journal = s.lock("journal", "fs:lower");
    let rsync = s.task("rsync");
    s.take(rsync, journal, LockMode::Exclusive);
    s.alloc(rsync, Gfp::KERNEL, Gfp::NOFS);
    s.give_up(rsync, journal);
    journal
}

/// A task reclaims in NOFS down to loop0, whose worker takes the journal.
fn reclaim_elsewhere(s: &mut Script, journal: LockId) {
    let (queue, worker) = s.queue("loop0");
    let task = s.task("elsewhere");
    s.reclaim(task, Gfp::NOFS);
    let request = s.submit(task, queue);
    s.wait(task, Resource::Request(request), "request");
    s.serve(worker, queue, request);
    s.take(worker, journal, LockMode::Exclusive);
}

#[test]
fn two_runs_without_a_deadlock() {
    let mut first = Script::going_on_from(OrderGraph::default(), false);
    make_a_file(&mut first);
    let mut next = Script::going_on_from(first.witness.order().unwrap().clone(), false);
    let journal = next.lock("journal", "fs:lower");
    reclaim_elsewhere(&mut next, journal);
    check(
        &report(&next),
        &expect![[r#"
            report   c01: 1 found
            world    tier model, era v3.10, schedules 1

            RD03     possible recursion: loop0 serves requests of loop0 and takes lock journal of fs:lower (exclusive),
                     against the order
            who      rsync (the run before) holds lock journal of fs:lower (exclusive at stack.rs:2) and may need
                     io_reclaim: mask GFP_NOFS                                                                  stack.rs:4
                     elsewhere reclaims, which is io_reclaim, and waits for requests of loop0                   stack.rs:8
                     loop0 serves requests of loop0 and takes lock journal of fs:lower (exclusive)             stack.rs:11
            chain    E2, wait edge: the reclaim of elsewhere waits for loop0; no scope on task loop0 cuts it
                     rsync (the run before)
              #2       holds lock journal of fs:lower (exclusive at stack.rs:2) and may need io_reclaim: mask GFP_NOFS
                                                                                                                stack.rs:4
                     elsewhere
              #1       reclaims, which is io_reclaim, and waits for requests of loop0                           stack.rs:8
                     loop0
              #0       serves requests of loop0 and takes lock journal of fs:lower (exclusive)                 stack.rs:11
            scopes   scope noio around the allocation of rsync (the run before) at stack.rs:4 (GFP_NOFS) takes io_reclaim
                     from it
            cycle    lock journal of fs:lower -> io_reclaim -> requests of loop0 -> lock journal of fs:lower
            views    instances and classes alike
            order    rsync (the run before)           elsewhere                        loop0
                     journal -> io_reclaim
                                                      io_reclaim -> loop0
                                                                                       loop0 -> journal
            holds    rsync (the run before): lock journal of fs:lower
                     elsewhere: io_reclaim
                     loop0: requests of loop0
        "#]],
    );
}

/// The 2014 deadlock with the judge of order, which predicts it, and a cycle that only that judge
/// sees.
#[test]
fn a_deadlock_covers_the_recursion_that_it_was_and_no_other() {
    let mut s = Script::going_on_from(OrderGraph::default(), false);
    s.c01_story();
    let happened = report(&s);
    let raw: Vec<Code> = happened.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(raw, [Code::RD04, Code::RD02, Code::RD03]);
    assert_eq!(happened.codes(), [Code::RD02, Code::RD04]);
    assert_eq!(happened.matches(&[Code::RD02, Code::RD04]), Ok(()));
    assert_eq!(happened.matches(&[Code::RD02, Code::RD03, Code::RD04]), Ok(()));
    let (a, b, task) = (s.lock("a", "A"), s.lock("b", "B"), s.task("other"));
    for (one, two) in [(a, b), (b, a)] {
        s.take(task, one, LockMode::Exclusive);
        s.take(task, two, LockMode::Exclusive);
        s.give_up(task, two);
        s.give_up(task, one);
    }
    let more = report(&s);
    assert_eq!(more.codes(), [Code::RD02, Code::RD03, Code::RD04]);
    assert!(more.matches(&[Code::RD02, Code::RD04]).is_err());
}

fn claim_against_the_order(s: &mut Script, task: TaskId, lock: LockId) {
    s.on(task, EventKind::Prime { step: Prime::Begin });
    s.take(task, lock, LockMode::Exclusive);
    s.on(task, EventKind::Prime { step: Prime::Enter(Gfp::KERNEL) });
    s.on(task, EventKind::Prime { step: Prime::Leave });
    s.give_up(task, lock);
    s.on(task, EventKind::Prime { step: Prime::End });
}

#[test]
fn a_claim_is_marked_as_primed() {
    let mut s = Script::going_on_from(OrderGraph::default(), false);
    let (task, table) = (s.task("driver"), s.lock("table", "driver"));
    s.reclaim(task, Gfp::KERNEL);
    s.take(task, table, LockMode::Exclusive);
    s.give_up(task, table);
    s.end_reclaim(task);
    claim_against_the_order(&mut s, task, table);
    check(
        &report(&s),
        &expect![[r#"
            report   c01: 1 found
            world    tier model, era v3.10, schedules 1

            RD03     possible recursion: driver holds lock table of driver (exclusive at stack.rs:11) and may need
                     fs_reclaim: mask GFP_KERNEL, against the order; 1 of its 2 edges is a claim (primed)
            who      driver holds lock table of driver (exclusive at stack.rs:11) and may need fs_reclaim: mask GFP_KERNEL
                     -- primed: claimed, not seen to happen
            chain    E1, allocation edge: an allocation of driver itself comes back; a scope around it can cut it
                     driver
              #1       reclaims, which is fs_reclaim, and takes lock table of driver (exclusive)                stack.rs:4
              #0       holds lock table of driver (exclusive at stack.rs:11) and may need fs_reclaim: mask GFP_KERNEL --
                       primed: claimed, not seen to happen
            scopes   scope nofs around the allocation of driver (GFP_KERNEL) takes fs_reclaim from it
            cycle    fs_reclaim -> lock table of driver -> fs_reclaim
            views    instances and classes alike
            order    driver
                     fs_reclaim -> table
                     table -> fs_reclaim
            holds    driver: fs_reclaim
                     driver: lock table of driver
        "#]],
    );
}

/// What is said of the locks of `names`, each taken while the one before it is held; the lowest
/// pair comes first, as where a stack is built from below.
#[track_caller]
fn check_depths(names: &[&str], expect: Expect) {
    let mut s = Script::going_on_from(OrderGraph::default(), false);
    let locks: Vec<_> = names.iter().map(|name| s.lock("journal", name)).collect();
    for pair in locks.windows(2).rev() {
        let task = s.task("loop");
        s.take(task, pair[0], LockMode::Exclusive);
        s.take(task, pair[1], LockMode::Exclusive);
    }
    s.witness.settle();
    let [cycle] = s.witness.aside() else { panic!("one cycle") };
    expect.assert_eq(&order_note(cycle));
}

#[test]
fn two_things_of_one_class_are_named_and_so_is_the_subclass() {
    check_depths(
        &["fs:upper", "fs:lower"],
        expect![
            "possible recursion, classes only: lock journal of fs:lower is taken while lock journal of fs:upper is held; the class view treats both as lock class journal; subclass journal/1 for lock journal of fs:lower would distinguish them: lock class journal -> lock class journal"
        ],
    );
}

#[test]
fn of_three_on_top_of_each_other_each_has_the_subclass_of_its_depth() {
    check_depths(
        &["fs:upper", "fs:middle", "fs:lower"],
        expect![
            "possible recursion, classes only: lock journal of fs:lower is taken while lock journal of fs:middle is held; the class view treats both as lock class journal; subclass journal/1 for lock journal of fs:middle and journal/2 for lock journal of fs:lower would distinguish them: lock class journal -> lock class journal"
        ],
    );
}
