//! Work queues with several workers, with workers that are made on demand, and with rescuers.

use super::*;
use crate::event::{LockMode, WorkId};
use crate::sched::RawLock;
use reclaimdep_scope as scope;

/// Keeps what each item notes, in order.
#[derive(Clone, Default)]
struct Notes(Arc<SpinLock<Vec<String>>>);

impl Notes {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// The name of the running task.
fn me(sched: &Sched) -> String {
    let me = sched.current();
    sched.names(|names| names.task(me).to_owned())
}

#[test]
fn as_many_items_run_at_once_as_the_queue_has_workers() {
    for (workers, at_once) in [(1, 1), (2, 2), (9, 3)] {
        let most = Arc::new(SpinLock::new(0));
        let theirs = Arc::clone(&most);
        check_all_end(100, move |sched| {
            let options = WorkQueueOptions::default().workers(workers);
            let queue = WorkQueue::with(sched, "test", options);
            let now = Arc::new(SpinLock::new(0));
            let items: Vec<Work> = (0..3)
                .map(|_| {
                    let (now, most, sched) = (now.clone(), theirs.clone(), sched.clone());
                    Work::new("item", move || {
                        *now.lock() += 1;
                        let running = *now.lock();
                        let mut most = most.lock();
                        *most = running.max(*most);
                        drop(most);
                        sched.point();
                        *now.lock() -= 1;
                    })
                })
                .collect();
            items.iter().for_each(|item| assert!(queue.queue(item)));
            queue.flush_queue();
            assert_eq!(*now.lock(), 0);
            queue.destroy();
        });
        assert_eq!(*most.lock(), at_once, "{workers} workers");
    }
}

#[test]
fn an_item_runs_once_at_a_time_however_many_workers_there_are() {
    check_all_end(200, |sched| {
        let queue = WorkQueue::with(sched, "test", WorkQueueOptions::default().workers(3));
        let (inside, runs) = (Arc::new(SpinLock::new(false)), Arc::new(SpinLock::new(0)));
        let (theirs, ran, inner) = (inside, runs.clone(), sched.clone());
        let work = Work::new("item", move || {
            assert!(!std::mem::replace(&mut *theirs.lock(), true), "it runs already");
            inner.point();
            *theirs.lock() = false;
            *ran.lock() += 1;
        });
        let mut queued = 0;
        for _ in 0..3 {
            queued += i32::from(queue.queue(&work));
            sched.point();
        }
        queue.destroy();
        assert_eq!(*runs.lock(), queued);
    });
}

#[test]
fn a_flushed_queue_has_finished_what_was_queued_before() {
    check_all_end(100, |sched| {
        let (queue, notes) = (WorkQueue::new(sched, "test"), Notes::default());
        let item = |name: &'static str| {
            let (notes, sched) = (notes.clone(), sched.clone());
            Work::new(name, move || {
                sched.point();
                notes.note(name);
            })
        };
        let (a, b, later) = (item("a"), item("b"), item("later"));
        queue.flush_queue();
        queue.queue(&a);
        queue.queue(&b);
        queue.flush_queue();
        assert_eq!(notes.take(), ["a", "b"]);
        queue.queue(&later);
        queue.destroy();
        assert_eq!(notes.take(), ["later"]);
    });
}

#[test]
fn a_queued_item_runs_here_and_a_running_one_is_waited_for() {
    let seen = Notes::default();
    let all = seen.clone();
    check_all_end(300, move |sched| {
        let (queue, notes) = (WorkQueue::new(sched, "test"), Notes::default());
        let (theirs, inner) = (notes.clone(), sched.clone());
        let work = Work::new("item", move || {
            inner.point();
            theirs.note(me(&inner));
        });
        assert!(!queue.run_here(&work), "it is not queued");
        queue.queue(&work);
        let here = queue.run_here(&work);
        let ran = notes.take();
        assert_eq!(ran, [if here { "main" } else { "kworker/test" }]);
        all.note(ran.concat());
        queue.destroy();
        assert!(notes.take().is_empty());
    });
    let mut seen = seen.take();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["kworker/test", "main"]);
}

#[test]
fn an_item_runs_in_the_scopes_of_the_task_that_queued_it() {
    check_all_end(50, |sched| {
        let (queue, notes) = (WorkQueue::new(sched, "test"), Notes::default());
        let theirs = notes.clone();
        let work = Work::new("item", move || {
            theirs.note(scope::effective(scope::Gfp::KERNEL).to_string());
        });
        let nofs = scope::nofs();
        queue.queue_in_scopes(&work);
        queue.flush(&work);
        queue.queue(&work);
        queue.flush(&work);
        drop(nofs);
        queue.destroy();
        let mask = |mask: scope::Gfp| mask.to_string();
        assert_eq!(notes.take(), [mask(scope::Gfp::NOFS), mask(scope::Gfp::KERNEL)]);
    });
}

/// The tasks that executed the one item of a queue whose workers are made on demand, and how many
/// workers were made.
fn on_demand(mem_reclaim: bool) -> (Vec<String>, Vec<String>) {
    let (who, made) = (Notes::default(), Notes::default());
    let (all_who, all_made) = (who.clone(), made.clone());
    check_all_end(300, move |sched| {
        let (made, inner) = (all_made.clone(), sched.clone());
        let count = Arc::new(SpinLock::new(0));
        let mine = count.clone();
        let options = WorkQueueOptions::default().mem_reclaim(mem_reclaim).new_worker(move || {
            inner.point();
            *mine.lock() += 1;
            made.note(me(&inner));
        });
        let queue = WorkQueue::with(sched, "events", options);
        let (theirs, inner) = (all_who.clone(), sched.clone());
        let work = Work::new("item", move || theirs.note(me(&inner)));
        queue.queue(&work);
        queue.flush(&work);
        queue.queue(&work);
        queue.destroy();
        assert_eq!(*count.lock(), 1, "one worker is made once");
    });
    let distinct = |notes: Notes| {
        let mut names = notes.take();
        names.sort();
        names.dedup();
        names
    };
    (distinct(who), distinct(made))
}

#[test]
fn the_manager_makes_the_worker_and_a_rescuer_serves_meanwhile() {
    let manager = ["kworker/events/manager".to_owned()];
    assert_eq!(on_demand(false), (vec!["kworker/events".to_owned()], manager.to_vec()));
    let (who, made) = on_demand(true);
    assert_eq!(
        (who, made),
        (vec!["kworker/events".into(), "rescuer/events".into()], manager.to_vec())
    );
}

#[test]
fn a_queue_makes_more_workers_while_items_wait_and_no_more_than_it_may() {
    check_all_end(200, |sched| {
        let made = Arc::new(SpinLock::new(0));
        let mine = made.clone();
        let options = WorkQueueOptions::default().workers(2).new_worker(move || *mine.lock() += 1);
        let queue = WorkQueue::with(sched, "events", options);
        let gate = Arc::new(RawLock::new(sched, "gate", "", "mutex"));
        let site = crate::event::Site::here();
        gate.lock_at(LockMode::Exclusive, site);
        let items: Vec<Work> = (0..4)
            .map(|_| {
                let gate = gate.clone();
                Work::new("item", move || {
                    gate.lock_at(LockMode::Shared, site);
                    gate.unlock();
                })
            })
            .collect();
        items.iter().for_each(|item| assert!(queue.queue(item)));
        while *made.lock() < 2 {
            sched.point();
        }
        gate.unlock();
        queue.destroy();
        assert_eq!(*made.lock(), 2);
    });
}

#[test]
fn the_creation_of_a_worker_is_an_item_ahead_of_the_one_that_needs_it() {
    let events = native(|sched| {
        let options = WorkQueueOptions::default().new_worker(|| ());
        let queue = WorkQueue::with(sched, "events", options);
        let work = Work::new("item", || ());
        queue.queue(&work);
        queue.flush(&work);
        queue.destroy();
    });
    let order: Vec<(&str, WorkId)> = events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::WorkQueued { work, .. } => Some(("queued", work)),
            EventKind::WorkBegin { work } => Some(("begin", work)),
            EventKind::WorkEnd { work } => Some(("end", work)),
            _ => None,
        })
        .collect();
    let (creation, item) = (WorkId(0), WorkId(1));
    let expect = [
        ("queued", creation),
        ("queued", item),
        ("begin", creation),
        ("end", creation),
        ("begin", item),
        ("end", item),
    ];
    assert_eq!(order, expect);
}
