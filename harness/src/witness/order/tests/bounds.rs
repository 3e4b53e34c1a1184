//! What is kept of a run and of a task, and until when.

use super::super::held::{Hold, Holder, Key, MAX_HELD};
use super::super::rd03_order::MAX_ASIDE;
use super::super::resolve::MAX_ID;
use super::{check, cycles};
use crate::event::{EventKind, LockId, LockMode, ScopeKind, TaskId};
use crate::witness::OrderGraph;
use crate::witness::script::Script;

const EXCLUSIVE: LockMode = LockMode::Exclusive;

#[test]
fn a_task_that_exits_holds_nothing_afterwards() {
    let story = |exits: bool| {
        move |s: &mut Script| {
            let (a, b) = (s.lock("a", "A"), s.lock("b", "B"));
            let (task, other) = (s.task("t"), s.task("other"));
            s.take(other, b, EXCLUSIVE);
            s.take(other, a, EXCLUSIVE);
            s.take(task, a, EXCLUSIVE);
            if exits {
                s.on(task, EventKind::TaskExit);
            }
            // A recording may use the number again.
            s.take(task, b, EXCLUSIVE);
        }
    };
    check(&["B > A"], story(false));
    check(&[], story(true));
}

#[test]
fn no_more_holds_of_one_task_are_kept_than_the_bound() {
    let mut actor = Holder::default();
    for _ in 0..=MAX_HELD {
        actor.hold(Hold {
            node: 0,
            shared: false,
            waited: true,
            site: None,
            key: Key::Reclaim,
            via: None,
        });
    }
    assert_eq!(actor.holds.len(), MAX_HELD);
}

#[test]
fn a_hold_ends_by_its_own_key_and_the_last_first() {
    let mut actor = Holder::default();
    for (node, key) in [(0, Key::Reclaim), (1, Key::Claim), (2, Key::Reclaim)] {
        actor.hold(Hold { node, shared: false, waited: true, site: None, key, via: None });
    }
    let left = |actor: &Holder| actor.holds.iter().map(|hold| hold.node).collect::<Vec<_>>();
    assert!(actor.drop_last(Key::Reclaim));
    assert_eq!(left(&actor), [0, 1]);
    assert!(!actor.drop_last(Key::Life), "there is none");
    assert_eq!(left(&actor), [0, 1]);
}

#[test]
fn no_more_notes_of_the_class_view_are_kept_than_the_bound() {
    let mut s = Script::going_on_from(OrderGraph::default(), false);
    let task = s.task("t");
    for class in 0..=MAX_ASIDE {
        // Two locks of a class of their own, taken one inside the other.
        let class: &'static str = format!("class {class}").leak();
        let (upper, lower) = (s.lock(class, "upper"), s.lock(class, "lower"));
        s.take(task, upper, EXCLUSIVE);
        s.take(task, lower, EXCLUSIVE);
        s.give_up(task, lower);
        s.give_up(task, upper);
    }
    assert_eq!(cycles(&s), [""; 0]);
    assert_eq!(s.witness.aside().len(), MAX_ASIDE);
}

#[test]
fn locks_with_numbers_beyond_the_bound_are_in_no_order() {
    for (number, expect) in [(MAX_ID - 1, 1), (MAX_ID, 0)] {
        let mut s = Script::ordered();
        let (task, near, far) = (s.task("t"), s.lock("near", ""), LockId(number));
        for locks in [[near, far], [far, near]] {
            locks.iter().for_each(|lock| s.take(task, *lock, EXCLUSIVE));
            locks.iter().for_each(|lock| s.give_up(task, *lock));
        }
        assert_eq!(cycles(&s).len(), expect, "{number}");
    }
}

#[test]
fn an_edge_is_reported_as_first_seen() {
    let s = check(&["A > B"], |s| {
        let (a, b, c) = (s.lock("a", "A"), s.lock("b", "B"), s.lock("c", "C"));
        let (first, later) = (s.task("first"), s.task("later"));
        let nest = |s: &mut Script, task: TaskId, locks: &[LockId]| {
            locks.iter().for_each(|lock| s.take(task, *lock, EXCLUSIVE));
            locks.iter().for_each(|lock| s.give_up(task, *lock));
        };
        nest(s, first, &[a, b]);
        // The same under another lock is looked at again, and is nothing new.
        nest(s, later, &[c, a, b]);
        nest(s, later, &[b, a]);
    });
    let edge = &s.last().order.as_ref().unwrap().edges[0];
    assert_eq!((edge.task_name.as_str(), edge.held.len()), ("first", 2), "its own end and A");
}

#[test]
fn what_is_put_off_in_one_view_is_looked_for_below_in_both() {
    check(&["A > C"], |s| {
        let (a, c) = (s.lock("a", "A"), s.lock("c", "C"));
        let (one, other) = (s.lock("journal", "one"), s.lock("journal", "other"));
        let task = s.task("t");
        let nest = |s: &mut Script, locks: &[(LockId, LockMode)]| {
            locks.iter().for_each(|(lock, mode)| s.take(task, *lock, *mode));
            locks.iter().for_each(|(lock, _)| s.give_up(task, *lock));
        };
        // Somebody writes under another journal: for the class, readers now wait for readers.
        nest(s, &[(other, EXCLUSIVE)]);
        nest(s, &[(a, EXCLUSIVE), (one, LockMode::Shared), (c, EXCLUSIVE)]);
        nest(s, &[(c, EXCLUSIVE), (a, EXCLUSIVE)]);
    });
}

#[test]
fn kswapd_is_exempt_as_a_reclaimer() {
    let story = |kind: ScopeKind| {
        move |s: &mut Script| {
            let (lock, task, reclaimer) = (s.lock("lock", "L"), s.task("t"), s.task("reclaimer"));
            s.reclaim(reclaimer, crate::event::Gfp::KERNEL);
            s.take(reclaimer, lock, EXCLUSIVE);
            s.give_up(reclaimer, lock);
            s.scope(task, kind, 1);
            s.take(task, lock, EXCLUSIVE);
            s.alloc(task, crate::event::Gfp::KERNEL, crate::event::Gfp::KERNEL);
        }
    };
    check(&["fs_reclaim > L"], story(ScopeKind::Pin));
    check(&[], story(ScopeKind::Kswapd));
}
