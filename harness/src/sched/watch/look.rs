//! What has stopped, and who.
//!
//! Key type: [`Looks`]. In a controlled world one coroutine runs at a time, so any beat of the
//! world is progress. In a native world each task has its own: a task that spins is found although
//! others go on. A task that is parked is not stuck, because the world sees its wait. Where every
//! task is parked and none has a timeout, no signal can come from the world, and the world is
//! ended as one that stalls.
#![expect(clippy::disallowed_methods, reason = "the deadline is one of real time")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::Sched;
use super::super::core::Engine;
use super::{Beat, Cause, Limit, Pulse, Stuck, StuckTask, thread};
use crate::event::{TaskId, TaskKind};
use crate::units::Nanos;

/// How long a lock of the world is tried. Its holder is stuck if it is not free by then.
const TRIES: u32 = 50;

/// What was seen, and when it last changed.
///
/// Time in which this process did not run does not count: it was stopped, or the machine slept.
pub(super) struct Looks {
    limit: Limit,
    /// How much time one look may stand for.
    most: Duration,
    last: Instant,
    /// The time so far.
    clock: Duration,
    /// The beats of the world, and of each task, with the time of the last change.
    beats: (u64, Vec<(u64, Duration)>),
    changed: Duration,
}

impl Looks {
    /// Nothing was seen so far; a look comes every `tick`.
    pub(super) fn new(limit: Limit, tick: Duration) -> Self {
        Self {
            limit,
            most: tick * 2,
            last: Instant::now(),
            clock: Duration::ZERO,
            beats: (0, Vec::new()),
            changed: Duration::ZERO,
        }
    }

    /// The run, if it does not end by itself.
    pub(super) fn look(&mut self, pulse: &Pulse) -> Option<Stuck> {
        let sched = pulse.world.lock().upgrade().map(Sched);
        if pulse.overflowed.load(Ordering::Acquire) {
            return Some(found(pulse, Cause::Overflow, sched, None));
        }
        if pulse.given_up.load(Ordering::Acquire) {
            return Some(Stuck { cause: Cause::Unwinding, sched, tasks: Vec::new() });
        }
        let (limit, now) = (self.limit?, self.now());
        let world = sched.as_ref().map_or(0, |sched| sched.0.beats.load(Ordering::Relaxed));
        if world != self.beats.0 {
            (self.beats.0, self.changed) = (world, now);
        }
        let native = sched.clone().filter(|sched| !sched.is_controlled());
        let stopped = match &native {
            None if now - self.changed < limit => return None,
            None => None,
            Some(sched) => Some(self.stopped(sched, limit, now)?),
        };
        if thread::is_debugged() {
            self.changed = now;
            self.beats.1.clear();
            return None;
        }
        if let (Some(sched), Some(tasks)) = (&native, &stopped)
            && tasks.is_empty()
        {
            // Its tasks unwind, which is progress or the next deadline.
            end_stalled(sched, limit);
            (self.changed, self.beats.1) = (now, Vec::new());
            return None;
        }
        Some(found(pulse, Cause::Deadline(limit), sched, stopped))
    }

    fn now(&mut self) -> Duration {
        let now = Instant::now();
        self.clock += (now - std::mem::replace(&mut self.last, now)).min(self.most);
        self.clock
    }

    /// The tasks of a native world that run and have not come to a scheduling point for as long as
    /// `limit`; an empty list where every task is parked, none with a timeout, for as long. `None`
    /// where neither is so.
    fn stopped(
        &mut self,
        sched: &Sched,
        limit: Duration,
        now: Duration,
    ) -> Option<Vec<(TaskId, Arc<Beat>)>> {
        // A task that holds this lock is about to let it go, or is stuck: then its beats tell.
        let table = patiently(|| sched.0.table.try_lock())?;
        let seen = &mut self.beats.1;
        let (mut stopped, mut runs, mut timed, mut alive) = (Vec::new(), false, false, false);
        for (index, task) in table.tasks.iter().enumerate() {
            let count = task.beat.count.load(Ordering::Relaxed);
            match seen.get_mut(index) {
                Some(seen) if seen.0 == count => {}
                Some(seen) => *seen = (count, now),
                None => seen.push((count, now)),
            }
            if task.exited || task.kind == Some(TaskKind::Foreign) {
                continue;
            }
            alive = true;
            timed |= task.parked && task.deadline.is_some();
            if !task.parked && !task.beat.idle.load(Ordering::Relaxed) {
                runs = true;
                if now - seen[index].1 >= limit {
                    let id = u32::try_from(index).expect("fewer than 2^32 tasks");
                    stopped.push((TaskId(id), Arc::clone(&task.beat)));
                }
            }
        }
        let stands = now - self.changed >= limit;
        if !alive && stands {
            // Its tasks have ended, and what takes the stack down does not.
            stopped.extend(table.tasks.first().map(|task| (TaskId(0), Arc::clone(&task.beat))));
        }
        let stalls = alive && !runs && !timed && stands;
        (stalls || !stopped.is_empty()).then_some(stopped)
    }
}

/// Ends a native world in which every task waits for another.
fn end_stalled(sched: &Sched, limit: Duration) {
    if !sched.is_aborted() {
        // It can be told once, and the first time counts.
        let _ = sched.0.stalled_for.set(limit);
        sched.stalled(sched.nanos());
        sched.abort();
    } else if let Some(pulse) = &sched.0.pulse {
        pulse.give_up();
    }
}

/// Describes the stuck tasks, and ends the world as far as it can be ended from outside.
fn found(
    pulse: &Pulse,
    cause: Cause,
    sched: Option<Sched>,
    stopped: Option<Vec<(TaskId, Arc<Beat>)>>,
) -> Stuck {
    let engine = pulse.thread.load(Ordering::Acquire);
    let who = match (stopped, &sched) {
        (Some(stopped), _) => {
            let thread = |beat: &Beat| beat.thread.load(Ordering::Relaxed);
            stopped.into_iter().map(|(task, beat)| (task, thread(&beat))).collect()
        }
        (None, Some(sched)) => vec![(sched.running(), engine)],
        (None, None) => vec![(TaskId(0), engine)],
    };
    let sites = sched.as_ref().and_then(|sched| patiently(|| sched.0.sink.try_lock()));
    let site = |task: TaskId| sites.as_ref()?.sites.get(task.0 as usize).copied().flatten();
    let with_sites: Vec<_> = who.into_iter().map(|(task, id)| (task, id, site(task))).collect();
    drop(sites);
    let describe = |(task, id, site)| StuckTask { task, site, thread: thread::state(id) };
    let tasks = with_sites.into_iter().map(describe).collect();
    if let Some(sched) = &sched {
        end(sched);
    }
    Stuck { cause, sched, tasks }
}

/// Ends the world, so that the stuck thread unwinds where it ever comes to a scheduling point.
fn end(sched: &Sched) {
    sched.0.ended.store(true, Ordering::Release);
    // The event lock first: the table's is not kept over a wait for it.
    if patiently(|| sched.0.sink.try_lock()).is_none() {
        return;
    }
    if let Some(mut table) = patiently(|| sched.0.table.try_lock()) {
        // Coroutines can be woken on their own thread alone.
        if sched.is_controlled() {
            table.aborted = true;
        } else {
            sched.abort_in(&mut table);
        }
    }
}

/// Tries for a short time.
fn patiently<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..TRIES {
        if let Some(done) = attempt() {
            return Some(done);
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    None
}

impl Sched {
    /// The task that runs in a controlled world, as far as can be said from outside.
    fn running(&self) -> TaskId {
        match &self.0.engine {
            Engine::Controlled(controlled) => controlled.running().unwrap_or(TaskId(0)),
            Engine::Native(_) => TaskId(0),
        }
    }

    /// Calls `f` with the world's names if they can be had: a stuck thread may hold their lock.
    pub(crate) fn try_names<R>(&self, f: impl FnOnce(&crate::event::Names) -> R) -> Option<R> {
        patiently(|| self.0.sink.try_lock()).map(|sink| f(&sink.names))
    }

    /// For how long every task of a native world waited before its deadline ended it.
    pub(crate) fn stalled_for(&self) -> Option<Duration> {
        self.0.stalled_for.get().copied()
    }

    /// The message of the first panic, if it can be had.
    pub(crate) fn try_panic(&self) -> Option<String> {
        patiently(|| self.0.table.try_lock())?.panic.clone()
    }

    /// The position and the time of the last event, if they can be had.
    pub(crate) fn try_last(&self) -> Option<(u64, Nanos)> {
        let sink = patiently(|| self.0.sink.try_lock())?;
        Some((sink.seq.saturating_sub(1), sink.last))
    }
}
