//! Locks against each other.

use super::{check, cycles};
use crate::event::{EventKind, LockId, LockMode, Site, TaskId};
use crate::witness::OrderGraph;
use crate::witness::script::Script;

const SHARED: LockMode = LockMode::Shared;
const EXCLUSIVE: LockMode = LockMode::Exclusive;

/// Takes the locks in order, then gives them up.
fn nest(s: &mut Script, task: TaskId, locks: &[(LockId, LockMode)]) {
    for (lock, mode) in locks {
        s.take(task, *lock, *mode);
    }
    for (lock, _) in locks.iter().rev() {
        s.give_up(task, *lock);
    }
}

fn try_take(s: &mut Script, task: TaskId, lock: LockId) {
    let (mode, site) = (EXCLUSIVE, Site { file: "try.rs", line: 1 });
    s.on(task, EventKind::LockAttempt { lock, mode, try_lock: true, site });
    s.on(task, EventKind::LockAcquired { lock, mode, site });
}

/// Three locks of classes of their own and one task.
fn abc(s: &mut Script) -> (TaskId, LockId, LockId, LockId) {
    (s.task("t"), s.lock("a", "A"), s.lock("b", "B"), s.lock("c", "C"))
}

#[test]
fn two_orders_of_two_locks_are_found_once() {
    let s = check(&["A > B"], |s| {
        let (t, a, b, _) = abc(s);
        for _ in 0..3 {
            nest(s, t, &[(a, EXCLUSIVE), (b, EXCLUSIVE)]);
            nest(s, t, &[(b, EXCLUSIVE), (a, EXCLUSIVE)]);
        }
    });
    let cycle = s.last().order.clone().unwrap();
    assert!(!cycle.class_only);
    assert_eq!((cycle.edges[0].seq, cycle.edges[1].seq), (3, 9), "the second lock's attempt, each");
    assert_eq!(cycle.edges[1].from_site.map(|site| site.line), Some(8));
    check(&[], |s| {
        let (t, a, b, _) = abc(s);
        nest(s, t, &[(a, EXCLUSIVE), (b, EXCLUSIVE)]);
        nest(s, t, &[(b, EXCLUSIVE)]);
        nest(s, t, &[(a, EXCLUSIVE)]);
    });
}

#[test]
fn a_longer_way_round_is_found_and_so_is_what_comes_after() {
    check(&["A > B > C", "B > C"], |s| {
        let (t, a, b, c) = abc(s);
        nest(s, t, &[(a, EXCLUSIVE), (b, EXCLUSIVE)]);
        nest(s, t, &[(b, EXCLUSIVE), (c, EXCLUSIVE)]);
        nest(s, t, &[(c, EXCLUSIVE), (a, EXCLUSIVE)]);
        nest(s, t, &[(c, EXCLUSIVE), (b, EXCLUSIVE)]);
    });
}

#[test]
fn a_lock_taken_twice_is_found_where_it_is_asked_for() {
    check(&["A"], |s| {
        let (t, a, ..) = abc(s);
        s.take(t, a, EXCLUSIVE);
        s.want(t, a, EXCLUSIVE, false);
    });
}

#[test]
fn a_try_lock_waits_for_no_task_but_other_tasks_wait_for_what_is_under_it() {
    check(&[], |s| {
        let (t, a, b, _) = abc(s);
        nest(s, t, &[(a, EXCLUSIVE), (b, EXCLUSIVE)]);
        s.take(t, b, EXCLUSIVE);
        try_take(s, t, a);
    });
    check(&["A > B"], |s| {
        let (t, a, b, _) = abc(s);
        nest(s, t, &[(a, EXCLUSIVE), (b, EXCLUSIVE)]);
        try_take(s, t, b);
        s.take(t, a, EXCLUSIVE);
    });
    // What was held below the try-lock is not forgotten.
    check(&["A > C"], |s| {
        let (t, a, b, c) = abc(s);
        nest(s, t, &[(a, EXCLUSIVE), (c, EXCLUSIVE)]);
        s.take(t, c, EXCLUSIVE);
        try_take(s, t, b);
        s.take(t, a, EXCLUSIVE);
    });
}

/// Two tasks read A and B in both orders; a writer waits for `writes`.
#[track_caller]
fn check_readers(expect: &[&str], writes: &[usize], writer_first: bool) {
    check(expect, |s| {
        let (t, a, b, _) = abc(s);
        let write = |s: &mut Script| {
            for index in writes {
                nest(s, t, &[([a, b][*index], EXCLUSIVE)]);
            }
        };
        if writer_first {
            write(s);
        }
        nest(s, t, &[(a, SHARED), (b, SHARED)]);
        nest(s, t, &[(b, SHARED), (a, SHARED)]);
        if !writer_first {
            write(s);
        }
    });
}

#[test]
fn readers_wait_for_readers_only_where_writers_queue_up_between_them() {
    for writer_first in [false, true] {
        check_readers(&[], &[], writer_first);
        check_readers(&[], &[0], writer_first);
        check_readers(&[], &[1], writer_first);
    }
    check_readers(&["A > B"], &[0, 1], true);
    check_readers(&["A > B"], &[0, 1], false);
}

#[test]
fn a_reader_inside_a_reader_waits_for_the_writer_between() {
    check(&[], |s| {
        let (t, a, ..) = abc(s);
        nest(s, t, &[(a, SHARED), (a, SHARED)]);
    });
    check(&["A"], |s| {
        let (t, a, ..) = abc(s);
        nest(s, t, &[(a, SHARED), (a, SHARED)]);
        nest(s, t, &[(a, EXCLUSIVE)]);
    });
}

#[test]
fn a_writer_against_a_reader_needs_no_third() {
    // The only exclusive attempts for B are try-locks: no writer queues for it, but its holder
    // keeps readers waiting.
    check(&["A > B"], |s| {
        let (t, a, b, _) = abc(s);
        nest(s, t, &[(a, EXCLUSIVE), (b, SHARED)]);
        try_take(s, t, b);
        s.take(t, a, EXCLUSIVE);
    });
    check(&[], |s| {
        let (t, a, b, _) = abc(s);
        nest(s, t, &[(a, EXCLUSIVE), (b, SHARED)]);
        nest(s, t, &[(b, SHARED), (a, EXCLUSIVE)]);
    });
}

#[test]
fn what_is_put_off_under_a_reader_is_not_put_off_below_it() {
    check(&["A > C"], |s| {
        let (t, a, b, c) = abc(s);
        nest(s, t, &[(a, EXCLUSIVE), (b, SHARED), (c, EXCLUSIVE)]);
        nest(s, t, &[(c, EXCLUSIVE), (a, EXCLUSIVE)]);
    });
}

/// Three journals, each above the next.
fn stack(s: &mut Script) -> [LockId; 3] {
    ["fs:top", "fs:mid", "fs:low"].map(|fs| s.lock("journal", fs))
}

#[test]
fn a_stack_of_one_filesystem_type_collides_in_classes_alone() {
    let story = |s: &mut Script| {
        let locks = stack(s);
        let t = s.task("t");
        nest(s, t, &locks.map(|lock| (lock, EXCLUSIVE)));
    };
    let s = check(&["[fs:top]"], story);
    let collisions = &s.last().order.as_ref().unwrap().collisions;
    assert_eq!(
        (&*collisions[0].held.instance, &*collisions[0].taken.instance),
        ("fs:top", "fs:mid")
    );
    let mut s = Script::going_on_from(OrderGraph::default(), false);
    story(&mut s);
    assert_eq!(cycles(&s), [""; 0], "a note where nobody asked for the class view");
    assert_eq!(s.witness.aside().len(), 1);
}

#[test]
fn a_class_between_two_of_another_is_distinguished_by_instance() {
    check(&["[fs:top > X]"], |s| {
        let ([top, mid, _], x) = (stack(s), s.lock("x", "X"));
        let t = s.task("t");
        nest(s, t, &[(top, EXCLUSIVE), (x, EXCLUSIVE)]);
        nest(s, t, &[(x, EXCLUSIVE), (mid, EXCLUSIVE)]);
    });
    // The exact cycle is a finding, whatever the class view said before.
    check(&["[fs:top > X]", "fs:top > X"], |s| {
        let ([top, mid, _], x) = (stack(s), s.lock("x", "X"));
        let t = s.task("t");
        nest(s, t, &[(top, EXCLUSIVE), (x, EXCLUSIVE)]);
        nest(s, t, &[(x, EXCLUSIVE), (mid, EXCLUSIVE)]);
        nest(s, t, &[(x, EXCLUSIVE), (top, EXCLUSIVE)]);
    });
}

#[test]
fn a_cycle_of_instances_is_not_reported_again_for_their_classes() {
    check(&["fs:mid > X"], |s| {
        let ([top, mid, _], x) = (stack(s), s.lock("x", "X"));
        let t = s.task("t");
        // The class view has the first of these edges for both.
        nest(s, t, &[(top, EXCLUSIVE), (x, EXCLUSIVE)]);
        nest(s, t, &[(mid, EXCLUSIVE), (x, EXCLUSIVE)]);
        nest(s, t, &[(x, EXCLUSIVE), (mid, EXCLUSIVE)]);
    });
}

#[test]
fn a_writer_of_another_of_the_class_counts_in_the_class_view() {
    for writer_first in [false, true] {
        let s = check(&["[X > fs:top]"], |s| {
            let ([top, mid, _], x) = (stack(s), s.lock("x", "X"));
            let t = s.task("t");
            if writer_first {
                nest(s, t, &[(mid, EXCLUSIVE)]);
            }
            nest(s, t, &[(x, EXCLUSIVE), (top, SHARED)]);
            nest(s, t, &[(top, SHARED), (x, EXCLUSIVE)]);
            if !writer_first {
                nest(s, t, &[(mid, EXCLUSIVE)]);
            }
        });
        assert!(s.last().order.as_ref().unwrap().collisions.is_empty());
    }
}

#[test]
fn two_locks_of_one_name_are_two_and_the_same_two_in_the_next_run() {
    let story = |s: &mut Script, turned: bool| {
        let (one, two) = (s.lock("twin", "x"), s.lock("twin", "x"));
        let t = s.task("t");
        let mut both = [(one, EXCLUSIVE), (two, EXCLUSIVE)];
        if turned {
            both.reverse();
        }
        nest(s, t, &both);
    };
    for (turned, expect) in [(false, 0), (true, 1)] {
        let mut first = Script::going_on_from(OrderGraph::default(), false);
        story(&mut first, false);
        let graph = first.witness.order().unwrap().clone();
        let mut next = Script::going_on_from(graph, false);
        story(&mut next, turned);
        assert_eq!(cycles(&next).len(), expect, "turned {turned}");
    }
}

const NESTED: LockMode = LockMode::Nested(1);

#[test]
fn a_subclass_is_a_class_of_its_own_in_the_class_view() {
    let story = |mode: LockMode| {
        move |s: &mut Script| {
            let (a, b, task) = (s.lock("client", "A"), s.lock("client", "B"), s.task("t"));
            nest(s, task, &[(a, EXCLUSIVE), (b, mode)]);
        }
    };
    check(&["[A]"], story(EXCLUSIVE));
    check(&[], story(NESTED));
}

#[test]
fn a_lock_is_the_same_one_in_every_subclass_in_the_instance_view() {
    let story = |abba: bool| {
        move |s: &mut Script| {
            let (a, b) = (s.lock("client", "A"), s.lock("client", "B"));
            let (one, other) = (s.task("t"), s.task("u"));
            nest(s, one, &[(a, EXCLUSIVE), (b, NESTED)]);
            let (outer, inner) = if abba { (b, a) } else { (a, b) };
            nest(s, other, &[(outer, EXCLUSIVE), (inner, NESTED)]);
        }
    };
    check(&["A > B"], story(true));
    check(&[], story(false));
}
