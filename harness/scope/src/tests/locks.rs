//! Locks, transactions and shrinkers, with and without a world.

use std::sync::Arc;

use crate::testing::{Attached, Heard, heard, misuses};
use crate::*;

#[test]
fn a_world_sees_a_lock_that_its_task_takes() {
    static COUNTER: Mutex<u32> = Mutex::new("counter", 0);
    *COUNTER.lock() += 1;
    assert_eq!(heard(), []);
    let _task = Attached::new(1, TaskFlags::EMPTY);
    *COUNTER.lock() += 1;
    assert_eq!(COUNTER.try_lock().map(|count| *count), Some(2));
    let (lock, unlock) = (Heard::Lock("counter"), Heard::Unlock("counter"));
    assert_eq!(heard(), [lock.clone(), unlock.clone(), lock, unlock]);
}

#[test]
fn a_lock_that_owns_a_scope_is_taken_inside_the_scope() {
    let journal = NofsMutex::new("journal", 7);
    {
        let guard = journal.lock();
        assert_eq!(
            (*guard, effective(Gfp::KERNEL), guard.scope().kind()),
            (7, Gfp::NOFS, ScopeKind::Nofs)
        );
        assert!(journal.try_lock().is_none());
        assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS, "the attempt did not end the scope");
    }
    assert_eq!(effective(Gfp::KERNEL), Gfp::KERNEL);
    let _task = Attached::new(1, TaskFlags::EMPTY);
    drop(journal.lock());
    let nofs = ScopeKind::Nofs;
    let order = [
        Heard::Enter(nofs, 1),
        Heard::Lock("journal"),
        Heard::Unlock("journal"),
        Heard::Exit(nofs, 1),
    ];
    assert_eq!(heard(), order);
    let device = NoioMutex::new("device", ());
    let _held = device.lock();
    assert_eq!(effective(Gfp::KERNEL), Gfp::NOIO);
}

/// Runs `body` outside a world and on a task of a world; returns the misuses reported for the task.
#[track_caller]
fn both(body: impl Fn()) -> Vec<Misuse> {
    body();
    assert_eq!(context::flags(), TaskFlags::EMPTY, "outside a world");
    let _task = Attached::new(1, TaskFlags::EMPTY);
    body();
    assert_eq!(context::flags(), TaskFlags::EMPTY, "on a task of a world");
    misuses()
}

#[test]
fn a_nested_start_on_the_same_journal_enters_no_scope() {
    let told = both(|| {
        let (journal, other) = (Journal::new(), Journal::default());
        let outer = journal.start();
        let inner = journal.start();
        let foreign = other.start();
        assert_eq!((outer.handles(), foreign.handles()), (2, 1));
        if context::is_attached() {
            assert_eq!(
                context::scopes().count(),
                2,
                "the nested start entered no scope of its own"
            );
        }
        drop(foreign);
        // The last handle ends the scope, in whatever order the handles are dropped.
        drop(outer);
        assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
        drop(inner);
    });
    assert_eq!(told, []);
}

#[test]
fn a_roll_ends_one_scope_and_enters_another() {
    let told = both(|| {
        let journal = Journal::new();
        let first = journal.start();
        let second = first.roll();
        assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS, "the rest of the roll is protected");
        let joined = journal.start().roll();
        assert_eq!(second.handles(), 2, "a joined handle goes on in the same transaction");
        drop((second, joined));
    });
    assert_eq!(told, []);
    let seqs: Vec<u32> = {
        let _task = Attached::new(1, TaskFlags::EMPTY);
        drop(Journal::new().start().roll());
        heard()
            .into_iter()
            .filter_map(|heard| if let Heard::Enter(_, seq) = heard { Some(seq) } else { None })
            .collect()
    };
    assert_eq!(seqs, [1, 2]);
}

#[test]
fn a_transaction_on_a_journal_beyond_the_counted_ones_is_still_a_scope() {
    let told = both(|| {
        let journals: [Journal; 6] = Default::default();
        let mut open: Vec<Transaction> = journals.iter().map(Journal::start).collect();
        while open.pop().is_some() {
            assert_eq!(effective(Gfp::KERNEL) == Gfp::NOFS, !open.is_empty());
        }
    });
    assert_eq!(told, []);
}

#[test]
fn a_transaction_moves_to_another_task_by_leaving_and_entering_a_scope() {
    let context = ReclaimContext { superblock: Superblock(1), depth: Depth::Known(0), private: 4 };
    let journal = Journal::with_context(context);
    let starter = Attached::new(1, TaskFlags::EMPTY);
    let intent = journal.start().handoff();
    assert_eq!(
        (context::flags(), misuses()),
        (TaskFlags::EMPTY, vec![]),
        "the starter is out of the scope"
    );
    drop(starter);
    let _completer = Attached::new(2, TaskFlags::EMPTY);
    let transaction = intent.enter();
    assert_eq!(context::reclaim_context_of(Superblock(1)), Some(context));
    drop(transaction);
    assert_eq!((context::flags(), misuses()), (TaskFlags::EMPTY, vec![]));
}

#[test]
fn an_intent_that_is_never_entered_is_a_misuse() {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    drop(Journal::new().start().handoff());
    assert_eq!(misuses(), [Misuse::NeverReentered]);
}

#[test]
#[should_panic(expected = "stop the other handles")]
fn a_joined_handle_cannot_be_handed_over() {
    let journal = Journal::new();
    let _outer = journal.start();
    drop(journal.start().handoff());
}

struct Cache;

impl Shrinker for Cache {
    fn name(&self) -> &str {
        "cache"
    }
    fn count(&self) -> u64 {
        0
    }
    fn scan(&self, _: Gfp, _: u64) -> Result<u64, Stop> {
        Err(Stop)
    }
}

#[test]
fn a_shrinker_is_registered_only_in_a_world() {
    assert!(!register_shrinker(Arc::new(Cache)).is_active());
    let _task = Attached::new(1, TaskFlags::EMPTY);
    assert!(register_shrinker(Arc::new(Cache)).is_active());
    assert_eq!(heard(), [Heard::Shrinker("cache".to_owned())]);
}
