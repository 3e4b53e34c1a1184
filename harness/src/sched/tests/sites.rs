//! Every primitive at a line that its caller gives: the lines of a program that is interpreted.

use super::*;
use crate::event::{LockMode, Site};
use crate::sched::RawLock;

/// Line `line` of the interpreted program.
fn at(line: u32) -> Site {
    Site { file: "c42.toml", line }
}

/// The lines that the events name, but for those of our own files.
fn lines(events: &[Event]) -> Vec<u32> {
    let sites = events.iter().filter_map(|event| event.kind.site());
    sites.filter(|site| site.file == "c42.toml").map(|site| site.line).collect()
}

#[test]
fn locks_are_attempted_and_acquired_at_the_callers_line() {
    let events = native(|sched| {
        let mutex = Mutex::new(sched, "m", "test", ());
        drop(mutex.lock_at(at(1)));
        drop(mutex.lock_nested_at(1, at(2)));
        drop(mutex.try_lock_at(at(3)).expect("it is free"));
        let sem = RwSem::new(sched, "s", "test", ());
        drop(sem.read_at(at(4)));
        drop(sem.try_read_at(at(5)).expect("it is free"));
        drop(sem.write_at(at(6)));
        drop(sem.write_nested_at(1, at(7)));
        drop(sem.try_write_at(at(8)).expect("it is free"));
    });
    assert_eq!(lines(&events), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]);
}

#[test]
fn waits_for_a_task_and_for_an_item_are_at_the_callers_line() {
    check_all_end(50, |sched| {
        let queue = WorkQueue::new(sched, "test");
        let work = Work::new(&format!("item {}", 1), || {});
        queue.queue(&work);
        queue.flush_at(&work, at(1));
        queue.destroy();
        sched.spawn_at("child", TaskKind::Task, at(2), || ()).join_at(at(3));
    });
    let events = native(|sched| {
        let pause = Completion::new(sched, Resource::Timer);
        let theirs = pause.clone();
        let child =
            sched.spawn_at("child", TaskKind::Task, at(2), move || theirs.wait_at("go", at(4)));
        pause.complete();
        child.join_at(at(3));
    });
    assert!(lines(&events).iter().all(|line| [3, 4].contains(line)));
}

#[test]
fn an_owner_takes_a_lock_by_call_and_a_reader_does_not_pass_a_writer() {
    check_all_end(50, |sched| {
        let lock = Arc::new(RawLock::new(sched, "origins", "dm", "rwsem"));
        lock.lock_at(LockMode::Shared, at(1));
        assert!(lock.try_lock_at(LockMode::Shared, at(2)));
        lock.unlock();
        let (theirs, wrote) = (Arc::clone(&lock), Arc::new(SpinLock::new(false)));
        let note = Arc::clone(&wrote);
        let writer = sched.spawn("writer", TaskKind::Task, move || {
            theirs.lock_at(LockMode::Exclusive, at(3));
            *note.lock() = true;
            theirs.unlock();
        });
        sched.point();
        // Free for a reader only where the writer has not asked yet.
        if lock.try_lock_at(LockMode::Shared, at(4)) {
            lock.unlock();
        }
        assert!(!*wrote.lock());
        lock.unlock();
        writer.join();
        assert!(*wrote.lock());
    });
}

#[test]
fn a_request_that_was_given_a_lock_holds_it_until_it_is_complete() {
    check_all_end(100, |sched| {
        let lock = Arc::new(RawLock::new(sched, "page", "0", "page lock"));
        let request = sched.next_request();
        lock.lock_at(LockMode::Exclusive, at(1));
        lock.hand_over(request);
        assert!(!lock.try_lock_at(LockMode::Shared, at(2)));
        let (theirs, done) = (Arc::clone(&lock), Arc::new(SpinLock::new(false)));
        let note = Arc::clone(&done);
        let waiter = sched.spawn("waiter", TaskKind::Task, move || {
            theirs.lock_at(LockMode::Exclusive, at(3));
            assert!(*note.lock(), "the request still has it");
            theirs.unlock();
        });
        sched.point();
        *done.lock() = true;
        assert!(lock.unlock_request(request));
        assert!(!lock.unlock_request(request), "it has no more of it");
        waiter.join();
    });
}

#[test]
fn a_task_without_a_frame_of_the_user_has_the_line_that_makes_it() {
    let library = Site { file: "/rustc/0/library/core/src/ops/function.rs", line: 250 };
    native(move |sched| {
        let body = move || place::user_site(library);
        let site = sched.spawn_at("child", TaskKind::Task, at(2), body).join_at(at(3));
        assert_eq!(site, at(2));
    });
}

#[test]
fn what_a_queue_calls_without_a_frame_of_the_user_has_the_line_that_made_it() {
    let library = Site { file: "/rustc/0/library/core/src/ops/function.rs", line: 250 };
    native(move |sched| {
        let seen = Arc::new(SpinLock::new(Vec::new()));
        let [by_maker, by_item] = [(); 2].map(|()| {
            let seen = Arc::clone(&seen);
            move || seen.lock().push(place::user_site(library))
        });
        let made_by = Site { line: Site::here().line + 1, ..Site::here() };
        let options = WorkQueueOptions::default().new_worker(by_maker);
        let queue = WorkQueue::with(sched, "test", options);
        let item = Work::new("item", by_item);
        let item_by = Site { line: made_by.line + 2, ..made_by };
        queue.queue(&item);
        queue.flush(&item);
        queue.destroy();
        assert_eq!(*seen.lock(), [made_by, item_by]);
    });
}
