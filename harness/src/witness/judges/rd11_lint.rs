//! RD11: scopes and masks that restrict more than they need to, or that restrict nothing.
//!
//! These are lints, not failures: they judge one run, and another run of the same code may need
//! what this one did not. So they are made only for a test that asks for them. Written from
//! docs/kernel/scopes.md, "Nesting and placement", and docs/kernel/rules.md, "Lints".

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Entered, Event, EventKind, Gfp, Layer, LockId, Names, ScopeKind, Site, TaskId};
use crate::witness::{
    Breach, Finding, Frame, FrameKind, Judge, Moment, Reads, Subject, View, broken_rule,
    is_reclaimer,
};

/// The judge of RD11.
#[derive(Debug, Default)]
pub(super) struct Lint {
    told: BTreeSet<(Breach, Option<Site>)>,
    /// The recent actions of each task.
    done: BTreeMap<TaskId, RecentActions>,
    /// Classes of locks that reclaim took, each with the masks of those reclaims.
    taken: BTreeMap<&'static str, BTreeSet<Gfp>>,
    /// Allocations outside of any scope under locks of a class.
    under: BTreeMap<&'static str, BTreeSet<(Gfp, Site)>>,
}

/// Sites under one class of locks, and classes, beyond these are not kept.
const MAX_KEPT: usize = 1 << 10;

/// What a task did last, by event numbers.
#[derive(Debug, Default, Clone, Copy)]
struct RecentActions {
    /// The last two allocations.
    allocations: [Option<u64>; 2],
    /// The last event that was neither an allocation nor part of one.
    other: Option<u64>,
}

type LintHit = (Breach, Option<Subject>, Option<Site>);

impl Judge for Lint {
    fn reads(&self) -> Reads {
        Reads::ALL
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, names } = *moment;
        let task = event.task;
        self.keep_what_was_done(event, view);
        let wrong = match event.kind {
            EventKind::AllocBegin { requested, effective, site, .. } => {
                if redundant(view.frames(task), requested) {
                    Some((Breach::RedundantMask, None, Some(site)))
                } else {
                    self.allocated_under(task, effective, site, view, names)
                }
            }
            EventKind::ScopeEnter { kind: ScopeKind::Noio, scope, site, how: Entered::Held } => {
                let subject = Subject::Scope { kind: ScopeKind::Noio, scope };
                let needs = view.frames(task).iter().any(|frame| needs_noio(frame.kind));
                (!needs).then_some((Breach::NoioWhereNofsWouldDo, Some(subject), Some(site)))
            }
            EventKind::ScopeExit { kind, scope } if kind.restricts() => {
                let subject = Some(Subject::Scope { kind, scope });
                let left = view.closed();
                left.and_then(|frame| Some((self.needless(task, frame.seq)?, subject, frame.site)))
            }
            EventKind::LockAttempt { lock, .. } => self.taken_by_reclaim(task, lock, view, names),
            _ => None,
        };
        let Some((breach, subject, site)) = wrong else {
            return;
        };
        if self.told.insert((breach, site)) {
            out.push(broken_rule(moment, task, breach, subject, site));
        }
    }
}

impl Lint {
    fn keep_what_was_done(&mut self, event: &Event, view: &View) {
        let done = self.done.entry(event.task).or_default();
        let inside = || {
            view.frames(event.task)
                .iter()
                .any(|frame| matches!(frame.kind, FrameKind::Alloc { .. }))
        };
        match event.kind {
            EventKind::AllocBegin { .. } => {
                done.allocations = [Some(event.seq), done.allocations[0]];
            }
            EventKind::ScopeEnter { .. }
            | EventKind::ScopeExit { .. }
            | EventKind::AllocEnd { .. } => {}
            _ if inside() => {}
            _ => done.other = Some(event.seq),
        }
    }

    /// What is wrong with a restricting scope of the task that was entered at `since` and has just
    /// been left.
    fn needless(&self, task: TaskId, since: u64) -> Option<Breach> {
        let RecentActions { allocations: [last, before], other } =
            self.done.get(&task).copied().unwrap_or_default();
        let inside = |done: Option<u64>| done.is_some_and(|done| done > since);
        if !inside(last) {
            return Some(Breach::ScopeWithoutAllocation);
        }
        (!inside(before) && !inside(other)).then_some(Breach::ScopeAroundOne)
    }

    /// An allocation outside of scopes, under locks of classes that reclaim takes with no more than
    /// its mask.
    fn allocated_under(
        &mut self,
        task: TaskId,
        mask: Gfp,
        site: Site,
        view: &View,
        names: &Names,
    ) -> Option<LintHit> {
        let frames = view.frames(task);
        let scoped = |kind| matches!(kind, FrameKind::Scope { kind, .. } if kind.restricts());
        let outside = !frames.iter().any(|frame| scoped(frame.kind) || is_reclaimer(frame.kind));
        if !outside || !mask.allow_blocking() || mask.contains(Gfp::NOLOCKDEP) {
            return None;
        }
        let mut wrong = None;
        for held in view.task(task).map_or(&[][..], |task| &task.held) {
            let Some(class) = names.lock(held.lock).map(|lock| lock.class) else {
                continue;
            };
            if self
                .taken
                .get(class)
                .is_some_and(|masks| masks.iter().any(|taken| mask.contains(*taken)))
            {
                wrong =
                    Some((Breach::UnscopedUnderLock, Some(Subject::Lock(held.lock)), Some(site)));
            }
            keep(&mut self.under, class, (mask, site));
        }
        wrong
    }

    /// Reclaim asks for a lock; an allocation under its class may have been seen before.
    fn taken_by_reclaim(
        &mut self,
        task: TaskId,
        lock: LockId,
        view: &View,
        names: &Names,
    ) -> Option<LintHit> {
        let reclaim = view.frames(task).iter().rev().find_map(|frame| match frame.kind {
            FrameKind::Scan { mask, .. } | FrameKind::Reclaim { mask, .. } => Some(mask),
            _ => None,
        });
        let (taken, class) = (reclaim? & Gfp::KERNEL, names.lock(lock)?.class);
        if PSEUDO_LOCKS.contains(&class) {
            return None;
        }
        keep(&mut self.taken, class, taken);
        let under = self.under.get(class)?;
        let (_, site) = under.iter().find(|(mask, _)| mask.contains(taken))?;
        Some((Breach::UnscopedUnderLock, Some(Subject::Lock(lock)), Some(*site)))
    }
}

/// Locks that reclaim itself holds over a scan.
const PSEUDO_LOCKS: [&str; 2] = ["shrinker", "shrinker_rwsem"];

fn keep<T: Ord>(map: &mut BTreeMap<&'static str, BTreeSet<T>>, class: &'static str, value: T) {
    if map.len() < MAX_KEPT || map.contains_key(class) {
        let kept = map.entry(class).or_default();
        if kept.len() < MAX_KEPT {
            kept.insert(value);
        }
    }
}

/// Whether the request repeats what an open scope says.
fn redundant(frames: &[Frame], requested: Gfp) -> bool {
    let explicit = requested.allow_blocking() && !requested.contains(Gfp::FS);
    let reclaims = frames.iter().any(|frame| matches!(frame.kind, FrameKind::Reclaim { .. }));
    let covered = |kind| match kind {
        ScopeKind::Nofs => requested.contains(Gfp::IO),
        ScopeKind::Noio => true,
        _ => false,
    };
    let scoped =
        |frame: &Frame| matches!(frame.kind, FrameKind::Scope { kind, .. } if covered(kind));
    explicit && !reclaims && frames.iter().any(scoped)
}

/// Whether a task in the middle of this may have to avoid I/O.
fn needs_noio(kind: FrameKind) -> bool {
    match kind {
        FrameKind::Serving { .. } | FrameKind::Working { .. } | FrameKind::Reclaim { .. } => true,
        FrameKind::Layer { layer } => {
            [Layer::IO, Layer::LOOP, Layer::BUFIO, Layer::SWAP].contains(&layer.layer)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
