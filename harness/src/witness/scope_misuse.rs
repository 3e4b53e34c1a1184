//! RD06: a scope was left wrongly, or never.
//!
//! What one task can know of its scopes, its record stack says as an event. Three things need more,
//! and are read from the view here: a scope that is open when its task ends or when the work item
//! in which it was entered does, one that was inherited by fork and is still there at the end, and
//! one that stands for a scope of another task and was open when that ended (entered later, it is
//! only cautious). A permanent scope is none of them.
//!
//! Invariants 6 to 8 of the project's description of reclaim, section 9.

use std::collections::BTreeSet;

use super::chain::Chain;
use super::code::Code;
use super::finding::{Finding, StepKind};
use super::frames::{Frame, FrameKind};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Entered, Event, EventKind, Misuse, ScopeKind, ScopeRef, Site, TaskId};

/// The judge of RD06.
#[derive(Debug, Default)]
pub(super) struct ScopeMisuse {
    found: BTreeSet<Wrong>,
}

/// One scope and what is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Wrong {
    what: Misuse,
    kind: ScopeKind,
    owner: TaskId,
    scope: u32,
    site: Option<Site>,
}

impl Wrong {
    /// A word that a call changed is changed for each caller further out too.
    fn once(self) -> Self {
        if self.what == Misuse::ChangedInCall { Self { site: None, ..self } } else { self }
    }
}

impl Judge for ScopeMisuse {
    fn reads(&self) -> Reads {
        Reads::SCOPES.and(Reads::MISUSE).and(Reads::WORK).and(Reads::TASKS)
    }

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
        let task = event.task;
        let closed = view.closed();
        let leaked = |frames: &[Frame], since: u64, what| -> Vec<Wrong> {
            let frames = frames.iter().filter(|frame| frame.seq >= since);
            frames.filter_map(|frame| wrong(task, frame, |how| leak(how, what))).collect()
        };
        let wrongs = match event.kind {
            EventKind::ScopeMisuse { what, kind, owner, scope, site } => {
                vec![Wrong { what, kind, owner, scope, site: Some(site) }]
            }
            EventKind::ScopeExit { scope, .. } => {
                outlived(ScopeRef { task: task.0, seq: scope }, view)
            }
            EventKind::WorkEnd { .. } => closed.map_or(Vec::new(), |work| {
                leaked(view.frames(task), work.seq, Misuse::LeakedPastWork)
            }),
            EventKind::TaskExit => view
                .exited(task)
                .map_or(Vec::new(), |exited| leaked(&exited.frames, 0, Misuse::LeakedAtExit)),
            _ => return,
        };
        for wrong in wrongs {
            // Everything else that is wrong with a scope that leaked out of its item or call
            // follows from that.
            let known = |what| self.found.contains(&Wrong { what, ..wrong });
            let leaked = known(Misuse::LeakedPastWork) || known(Misuse::LeakedPastCall);
            if !leaked && self.found.insert(wrong.once()) {
                out.push(finding(wrong, event, view));
            }
        }
    }
}

/// The scope of `frame`, if it is one, with what `judge` finds wrong.
fn wrong(
    owner: TaskId,
    frame: &Frame,
    judge: impl FnOnce(Entered) -> Option<Misuse>,
) -> Option<Wrong> {
    let FrameKind::Scope { kind, scope, how } = frame.kind else {
        return None;
    };
    judge(how).map(|what| Wrong { what, kind, owner, scope, site: frame.site })
}

/// What it is that a scope is still open, if `what` is the word for one that somebody holds.
fn leak(how: Entered, what: Misuse) -> Option<Misuse> {
    match how {
        Entered::Held | Entered::OnBehalf(_) => Some(what),
        Entered::Inherited => (what == Misuse::LeakedAtExit).then_some(Misuse::Inherited),
        Entered::Permanent => None,
    }
}

/// The scopes that stand for `origin`, which has just ended.
fn outlived(origin: ScopeRef, view: &View) -> Vec<Wrong> {
    let on_behalf = |how| (how == Entered::OnBehalf(origin)).then_some(Misuse::RestoredAfterSignal);
    let frames =
        view.tasks().flat_map(|(id, task)| task.frames.iter().map(move |frame| (id, frame)));
    frames.filter_map(|(id, frame)| wrong(id, frame, on_behalf)).collect()
}

fn finding(wrong: Wrong, event: &Event, view: &View) -> Finding {
    let Wrong { what, kind, owner, scope, site } = wrong;
    // Who did it: the task of the event, but for a scope that was left open when another ended.
    let task = if what == Misuse::RestoredAfterSignal { owner } else { event.task };
    let mut chain = Chain::new(view);
    chain.task(task, None);
    chain.ends_with(StepKind::Misused { what, kind, owner, scope }, site, event);
    chain.finish(Code::RD06, event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::script::Script;

    const NOFS: ScopeKind = ScopeKind::Nofs;

    /// The misuses that the judge names, in order.
    #[track_caller]
    fn check(expect: &[Misuse], story: impl FnOnce(&mut Script, TaskId)) {
        let mut s = Script::default();
        let task = s.task("cp");
        story(&mut s, task);
        let said: Vec<Misuse> = s.witness.findings().iter().filter_map(misuse).collect();
        assert_eq!(said, expect);
        assert!(s.codes().iter().all(|code| *code == "RD06"));
    }

    fn misuse(finding: &Finding) -> Option<Misuse> {
        match finding.chain.last()?.what {
            StepKind::Misused { what, .. } => Some(what),
            _ => None,
        }
    }

    #[test]
    fn what_the_record_stack_says_is_found_once() {
        check(&[Misuse::OutOfOrder], |s, task| {
            let site = Site { file: "x.rs", line: 1 };
            let kind = EventKind::ScopeMisuse {
                what: Misuse::OutOfOrder,
                kind: NOFS,
                owner: task,
                scope: 1,
                site,
            };
            s.on(task, kind);
            s.on(task, kind);
        });
    }

    /// `what`, told of scope 1 of the task, for each of these sites.
    fn told(s: &mut Script, task: TaskId, what: Misuse, lines: &[u32]) {
        for line in lines {
            let site = Site { file: "x.rs", line: *line };
            s.on(task, EventKind::ScopeMisuse { what, kind: NOFS, owner: task, scope: 1, site });
        }
    }

    #[test]
    fn what_a_call_changed_is_found_once_however_many_callers_there_are() {
        check(&[Misuse::ChangedInCall], |s, task| told(s, task, Misuse::ChangedInCall, &[1, 2]));
    }

    #[test]
    fn a_scope_that_leaked_out_of_a_call_leaks_once() {
        check(&[Misuse::LeakedPastCall], |s, task| {
            s.file = Some("x.rs");
            s.scope(task, NOFS, 1);
            // Where the scope was entered: at the script's second event.
            told(s, task, Misuse::LeakedPastCall, &[2]);
            s.on(task, EventKind::TaskExit);
        });
    }

    #[test]
    fn a_scope_that_is_open_at_the_end_of_its_task_leaks() {
        check(&[Misuse::LeakedAtExit], |s, task| {
            s.scope(task, NOFS, 1);
            s.on(task, EventKind::TaskExit);
        });
    }

    #[test]
    fn scopes_that_were_left_or_are_permanent_do_not_leak() {
        check(&[], |s, task| {
            s.scope(task, NOFS, 1);
            s.end_scope(task, NOFS, 1);
            s.scope_as(task, NOFS, 2, Entered::Permanent);
            s.on(task, EventKind::TaskExit);
        });
    }

    #[test]
    fn an_inherited_scope_must_be_disowned_or_declared() {
        check(&[Misuse::Inherited], |s, task| {
            s.scope_as(task, NOFS, 1, Entered::Inherited);
            s.on(task, EventKind::TaskExit);
        });
        check(&[], |s, task| {
            s.scope_as(task, NOFS, 1, Entered::Inherited);
            s.end_scope(task, NOFS, 1);
            s.on(task, EventKind::TaskExit);
        });
    }

    /// A worker's own scopes, and inside them an item in which `story` happens; then the worker's
    /// end.
    #[track_caller]
    fn check_item(expect: &[Misuse], story: impl FnOnce(&mut Script, TaskId, TaskId)) {
        check(expect, |s, requester| {
            let (queue, worker) = s.queue("wq");
            s.scope_as(worker, NOFS, 1, Entered::Permanent);
            s.scope(worker, ScopeKind::Noio, 9);
            s.scope(requester, NOFS, 1);
            let work = s.queue_work(requester, queue);
            s.begin_work(worker, queue, work);
            story(s, requester, worker);
            s.on(worker, EventKind::WorkEnd { work });
            s.end_scope(worker, ScopeKind::Noio, 9);
            s.on(worker, EventKind::TaskExit);
        });
    }

    #[test]
    fn a_scope_that_is_open_after_its_work_item_leaks_once() {
        check_item(&[Misuse::LeakedPastWork], |s, _, worker| s.scope(worker, NOFS, 2));
    }

    #[test]
    fn a_scope_on_behalf_ends_before_its_origin() {
        let origin = |requester: TaskId| Entered::OnBehalf(ScopeRef { task: requester.0, seq: 1 });
        check_item(&[], |s, requester, worker| {
            s.scope_as(worker, NOFS, 2, origin(requester));
            s.scope(requester, NOFS, 2);
            s.end_scope(requester, NOFS, 2);
            s.end_scope(worker, NOFS, 2);
            s.end_scope(requester, NOFS, 1);
        });
        // The requester did not wait: the scope protects nobody, and harms nobody.
        check_item(&[], |s, requester, worker| {
            s.end_scope(requester, NOFS, 1);
            s.scope_as(worker, NOFS, 2, origin(requester));
            s.end_scope(worker, NOFS, 2);
        });
        check_item(&[Misuse::RestoredAfterSignal], |s, requester, worker| {
            s.scope_as(worker, NOFS, 2, origin(requester));
            s.end_scope(requester, NOFS, 1);
            s.end_scope(worker, NOFS, 2);
        });
    }
}
