//! RD06: a scope was left wrongly, or never.
//!
//! The record stack of a task reports, as an event, each misuse that one task can see. Three kinds
//! need more, and are read from the view here: a scope that is still open when its task or its work
//! item ends; a scope that was inherited by fork and is open at the end of the task; and a scope
//! that stands for one of another task and is open when that one ends. If it was entered after
//! that, it is only cautious. A permanent scope is never reported.
//!
//! Invariants 6 to 8 of docs/kernel/rules.md, "Invariants".

use std::collections::BTreeSet;

use crate::event::{Entered, Event, EventKind, Misuse, ScopeKind, ScopeRef, Site, TaskId};
use crate::witness::{
    Chain, Code, Finding, Frame, FrameKind, Judge, Moment, Reads, StepKind, View,
};

/// The judge of RD06.
#[derive(Debug, Default)]
pub(super) struct ScopeMisuse {
    found: BTreeSet<MisusedScope>,
    /// The tasks that entered a scope that stands for this one.
    on_behalf: BTreeSet<(ScopeRef, TaskId)>,
}

/// One scope and what is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct MisusedScope {
    what: Misuse,
    kind: ScopeKind,
    owner: TaskId,
    scope: u32,
    site: Option<Site>,
}

impl MisusedScope {
    /// Each outer caller sees the same changed flag word; report it once.
    fn once(self) -> Self {
        if self.what == Misuse::ChangedInCall { Self { site: None, ..self } } else { self }
    }
}

impl Judge for ScopeMisuse {
    fn reads(&self) -> Reads {
        Reads::SCOPES.and(Reads::MISUSE).and(Reads::WORK).and(Reads::TASKS)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        let task = event.task;
        let closed = view.closed();
        let leaked = |frames: &[Frame], since: u64, what| -> Vec<MisusedScope> {
            let frames = frames.iter().filter(|frame| frame.seq >= since);
            frames.filter_map(|frame| wrong(task, frame, |how| leak(how, what))).collect()
        };
        let wrongs = match event.kind {
            EventKind::ScopeMisuse { what, kind, owner, scope, site } => {
                vec![MisusedScope { what, kind, owner, scope, site: Some(site) }]
            }
            EventKind::ScopeEnter { how: Entered::OnBehalf(origin), .. } => {
                self.on_behalf.insert((origin, task));
                return;
            }
            EventKind::ScopeExit { scope, .. } => {
                self.outlived(ScopeRef { task: task.0, seq: scope }, view)
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
            let known = |what| self.found.contains(&MisusedScope { what, ..wrong });
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
) -> Option<MisusedScope> {
    let FrameKind::Scope { kind, scope, how } = frame.kind else {
        return None;
    };
    judge(how).map(|what| MisusedScope { what, kind, owner, scope, site: frame.site })
}

/// The misuse that an open scope is, given how it was entered; `what` if a guard holds it.
fn leak(how: Entered, what: Misuse) -> Option<Misuse> {
    match how {
        Entered::Held | Entered::OnBehalf(_) => Some(what),
        Entered::Inherited => (what == Misuse::LeakedAtExit).then_some(Misuse::Inherited),
        Entered::Permanent => None,
    }
}

impl ScopeMisuse {
    /// The scopes that stand for `origin`, which has just ended.
    fn outlived(&mut self, origin: ScopeRef, view: &View) -> Vec<MisusedScope> {
        let all = (origin, TaskId(0))..=(origin, TaskId(u32::MAX));
        let tasks: Vec<TaskId> = self.on_behalf.range(all).map(|(_, task)| *task).collect();
        let on_behalf =
            |how| (how == Entered::OnBehalf(origin)).then_some(Misuse::RestoredAfterSignal);
        let mut outlived = Vec::new();
        for task in tasks {
            self.on_behalf.remove(&(origin, task));
            let frames = view.frames(task).iter();
            outlived.extend(frames.filter_map(|frame| wrong(task, frame, on_behalf)));
        }
        outlived
    }
}

fn finding(wrong: MisusedScope, event: &Event, view: &View) -> Finding {
    let MisusedScope { what, kind, owner, scope, site } = wrong;
    // The misuse is the event's task's, except that a scope that outlived its origin belongs to the
    // task that still has it open.
    let task = if what == Misuse::RestoredAfterSignal { owner } else { event.task };
    let mut chain = Chain::new(view);
    chain.task(task, None);
    chain.ends_with(StepKind::Misused { what, kind, owner, scope }, site, event);
    chain.finish(Code::RD06, event)
}

#[cfg(test)]
mod tests;
