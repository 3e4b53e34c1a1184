//! `Efforts`: what the tasks of a controlled world got for their steps.
//!
//! Key type: [`Efforts`]. A long program and one that runs for ever differ in what they get. A task
//! runs *in vain* if nothing that could fail succeeded and at least every third thing that it did
//! failed: it spins or polls, or it takes one lock, fails to take another, and starts again. What a
//! task does inside an allocation or inside reclaim is part of that attempt. A task that only takes
//! locks and gets them may be a long loop, so it is not in vain, even if it never ends.

use crate::event::{AllocOutcome, EventKind, Resource, TaskId, WaitOutcome};

/// What one task did.
#[derive(Clone, Copy, Default)]
struct Effort {
    /// What it did that waits until it succeeds: locks taken, waits that ended, requests.
    done: u64,
    /// Attempts that may fail and succeeded.
    succeeded: u64,
    /// Attempts that failed.
    failed: u64,
    /// How many allocations and reclaims, within each other, it is in.
    within: u32,
    /// It has tried a lock.
    tries: bool,
}

impl Effort {
    fn ended(&mut self, succeeded: bool) {
        self.within = self.within.saturating_sub(1);
        match (self.within, succeeded) {
            (0, true) => self.succeeded += 1,
            (0, false) => self.failed += 1,
            _ => {}
        }
    }

    const fn is_in_vain(&self) -> bool {
        self.succeeded == 0 && self.failed.saturating_mul(2) >= self.done
    }

    fn note(&mut self, kind: &EventKind) {
        match *kind {
            EventKind::AllocBegin { .. }
            | EventKind::PoolAllocBegin { .. }
            | EventKind::ReclaimEnter { .. } => self.within += 1,
            EventKind::AllocEnd { outcome, .. } => self.ended(outcome != AllocOutcome::Failed),
            EventKind::PoolAllocEnd { got, .. } => self.ended(got == Some(true)),
            EventKind::ReclaimExit { freed, .. } => self.ended(freed > 0),
            _ if self.within > 0 => {}
            EventKind::LockAttempt { try_lock, .. } => {
                self.tries = try_lock;
                self.failed += u64::from(try_lock);
            }
            EventKind::LockAcquired { .. } if std::mem::take(&mut self.tries) => {
                self.failed -= 1;
                self.succeeded += 1;
            }
            EventKind::WaitEnd { resource, outcome } => match (outcome, resource) {
                (_, Resource::Idle(_) | Resource::Timer) => {}
                (WaitOutcome::Satisfied, _) => self.done += 1,
                _ => self.failed += 1,
            },
            EventKind::WaitAgain { .. } => self.failed += 1,
            EventKind::LockAcquired { .. }
            | EventKind::RequestSubmit { .. }
            | EventKind::RequestComplete { .. }
            | EventKind::WorkEnd { .. }
            | EventKind::TaskSpawn { .. }
            | EventKind::TaskExit => self.done += 1,
            _ => {}
        }
    }
}

/// What each task did since the last look.
#[derive(Default)]
pub(super) struct Efforts(Vec<Effort>);

impl Efforts {
    /// Takes in one event.
    pub(super) fn note(&mut self, task: TaskId, kind: &EventKind) {
        let index = task.0 as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, Effort::default());
        }
        self.0[index].note(kind);
    }

    /// Whether all that was done since the last look was in vain.
    pub(super) fn were_in_vain(&mut self) -> bool {
        let vain = self.0.iter().all(Effort::is_in_vain);
        for Effort { done, succeeded, failed, tries, .. } in &mut self.0 {
            (*done, *succeeded, *failed, *tries) = (0, 0, 0, false);
        }
        vain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{LockId, LockMode, Site};

    const SITE: Site = Site { file: "any.rs", line: 1 };

    fn attempt(try_lock: bool) -> EventKind {
        let mode = LockMode::Exclusive;
        EventKind::LockAttempt { lock: LockId(0), mode, try_lock, site: SITE }
    }

    const GOT: EventKind =
        EventKind::LockAcquired { lock: LockId(0), mode: LockMode::Exclusive, site: SITE };

    /// A task that did this, again and again, runs in vain or not.
    #[track_caller]
    fn check(kinds: &[EventKind], vain: bool) {
        let mut efforts = Efforts::default();
        for kind in kinds.iter().cycle().take(100 * kinds.len()) {
            efforts.note(TaskId(0), kind);
        }
        assert_eq!(efforts.were_in_vain(), vain, "{kinds:?}");
        assert!(efforts.were_in_vain(), "nothing was done since");
    }

    #[test]
    fn who_fails_as_often_as_it_gets_on_runs_in_vain() {
        check(&[], true);
        check(&[attempt(false), GOT], false);
        check(&[attempt(true)], true);
        check(&[attempt(true), GOT], false);
        check(&[attempt(false), GOT, attempt(true)], true);
        check(&[attempt(false), GOT, attempt(false), GOT, attempt(true)], true);
        check(&[attempt(false), GOT, attempt(true), attempt(true), GOT], false);
    }

    #[test]
    fn what_is_done_inside_an_attempt_is_part_of_it() {
        let begin = EventKind::PoolAllocBegin {
            pool: crate::event::PoolId(0),
            mask: crate::event::Gfp::NOIO,
            keeps: 1,
            site: SITE,
        };
        let end = |got| EventKind::PoolAllocEnd { pool: crate::event::PoolId(0), got: Some(got) };
        check(&[begin, attempt(false), GOT, attempt(false), GOT, end(false)], true);
        check(&[begin, attempt(true), end(true)], false);
    }

    #[test]
    fn time_that_passes_and_idle_waits_are_nothing_that_was_got() {
        let ended = |resource, outcome| EventKind::WaitEnd { resource, outcome };
        check(&[ended(Resource::Timer, WaitOutcome::TimedOut)], true);
        let idle = Resource::Idle(crate::event::QueueId(0));
        check(&[ended(idle, WaitOutcome::Satisfied)], true);
        check(&[ended(Resource::Lock(LockId(0)), WaitOutcome::Satisfied)], false);
        check(&[ended(Resource::Lock(LockId(0)), WaitOutcome::TimedOut)], true);
    }

    #[test]
    fn one_task_that_gets_on_is_enough() {
        let mut efforts = Efforts::default();
        efforts.note(TaskId(0), &attempt(true));
        efforts.note(TaskId(1), &attempt(false));
        efforts.note(TaskId(1), &GOT);
        assert!(!efforts.were_in_vain());
    }
}
