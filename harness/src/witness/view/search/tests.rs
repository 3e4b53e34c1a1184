//! How much of a crowd a search looks at.

use crate::event::{
    EventKind, LockId, LockMode, Op, QueueId, RequestId, Resource, Site, TaskId, TaskKind,
};
use crate::units::Sectors;
use crate::witness::script::Script;

const SITE: Site = Site { file: "search.rs", line: 1 };
const CROWD: u32 = 1000;

/// Tasks 0 to `CROWD`; 0 holds `lock`, and the others stand in line for it in order.
fn crowd(lock: LockId, mode: impl Fn(u32) -> LockMode) -> Script {
    let mut script = Script::default();
    for task in (0..=CROWD).map(TaskId) {
        script.on(task, EventKind::TaskSpawn { parent: task, kind: TaskKind::Foreign });
        let (mode, site) = (mode(task.0), SITE);
        script.on(task, EventKind::LockAttempt { lock, mode, try_lock: false, site });
        if task == TaskId(0) {
            script.on(task, EventKind::LockAcquired { lock, mode, site });
        } else {
            wait(&mut script, task, Resource::Lock(lock));
        }
    }
    script
}

fn wait(script: &mut Script, task: TaskId, resource: Resource) {
    script.on(task, EventKind::WaitBegin { resource, why: "test", breakable: false, site: SITE });
}

#[test]
fn nobody_is_behind_the_last_in_line_and_everybody_behind_the_holder() {
    let script = crowd(LockId(0), |_| LockMode::Exclusive);
    let view = script.witness.view();
    let behind = |task| view.all_behind([TaskId(task)]).len();
    assert_eq!((behind(0), behind(1), behind(CROWD)), (1001, 1000, 1));
    assert!(view.is_waited_for(TaskId(CROWD - 1)) && !view.is_waited_for(TaskId(CROWD)));
}

#[test]
fn a_task_that_does_not_wait_for_itself_is_in_no_cycle() {
    let mut script = crowd(LockId(0), |_| LockMode::Exclusive);
    assert!(script.witness.view().all_ahead(TaskId(CROWD)).is_none());
    wait(&mut script, TaskId(0), Resource::Task(TaskId(CROWD)));
    let ahead = script.witness.view().all_ahead(TaskId(0)).expect("it waits for itself");
    assert_eq!(ahead.len(), 1001);
}

#[test]
fn readers_wait_for_the_writers_ahead_of_them_alone() {
    let shared = |task| if task % 2 == 0 { LockMode::Shared } else { LockMode::Exclusive };
    let mut script = crowd(LockId(0), shared);
    wait(&mut script, TaskId(0), Resource::Task(TaskId(4)));
    // Task 4 waits for the writers 1 and 3, and these for everybody ahead of them.
    let mut ahead = script.witness.view().all_ahead(TaskId(0)).expect("it waits for itself");
    ahead.sort_unstable();
    assert_eq!(ahead, [0, 1, 2, 3, 4].map(TaskId));
}

#[test]
fn those_who_wait_for_a_queue_are_behind_each_of_its_servers() {
    let mut script = Script::default();
    let (queue, op) = (QueueId(0), Op::Write);
    for server in [TaskId(0), TaskId(1)] {
        script.on(server, EventKind::QueueServer { queue });
    }
    for (task, request) in [(TaskId(2), RequestId(0)), (TaskId(3), RequestId(1))] {
        let (sector, sectors) = (Sectors(0), Sectors(8));
        let submit = EventKind::RequestSubmit {
            request,
            queue,
            op,
            sector,
            sectors,
            origin: None,
            site: SITE,
        };
        // One waits before the submission, as some submitters publish the number first.
        if request == RequestId(0) {
            wait(&mut script, task, Resource::Request(request));
        }
        script.on(task, submit);
        if request != RequestId(0) {
            wait(&mut script, task, Resource::Request(request));
        }
    }
    let behind = |script: &Script, task| {
        script.witness.view().all_behind([TaskId(task)]).into_iter().map(|task| task.0).collect()
    };
    let all: Vec<u32> = behind(&script, 1);
    assert_eq!(all, [1, 2, 3]);
    script.on(TaskId(1), EventKind::TaskExit);
    let after_exit: Vec<u32> = behind(&script, 1);
    assert_eq!(after_exit, [1]);
}
