//! The stack as it was declared, and what work on a part of it may wait for.
//!
//! Key types: [`Stack`], [`Reach`], [`Dependency`]. Facts about parts that were never declared are
//! ignored, and circular declarations are followed once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::event::{Fact, LockId, MayWait, PartId, PartKind, QueueId, ReclaimTarget};

/// At most this many parts, and this many targets, are kept; no stack has as many.
const MAX_PARTS: usize = 1 << 12;

/// What work can wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Dependency {
    /// A lock.
    Lock(LockId),
    /// The task that serves a queue.
    Queue(QueueId),
}

/// One part.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    pub(super) needs: BTreeSet<PartId>,
    pub(super) locks: Vec<LockId>,
    pub(super) queue: Option<QueueId>,
}

/// Something that work may wait for, and the parts on the way there: the first is the target's, the
/// last is the part that the dependency belongs to.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) thing: Dependency,
    pub(super) way: Vec<PartId>,
}

/// Everything that work on a part may wait for, the nearest first.
#[derive(Debug, Default)]
pub(super) struct Reach {
    pub(super) things: Vec<Reached>,
    /// The needs of something on the way are unknown.
    pub(super) unknowable: bool,
}

/// Something that reclaim can work on.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) part: PartId,
    pub(super) waits: MayWait,
    pub(super) reach: Reach,
}

/// The stack as it was declared.
#[derive(Debug, Default)]
pub(super) struct Stack {
    parts: BTreeMap<PartId, Part>,
    targets: BTreeMap<ReclaimTarget, Target>,
    /// How often it changed.
    pub(super) version: u32,
    /// It changed since what targets reach was worked out.
    stale: bool,
}

impl Stack {
    /// Takes in what was declared.
    pub(super) fn take(&mut self, fact: Fact) {
        match fact {
            Fact::Part { part, kind } if self.parts.len() < MAX_PARTS => {
                let new = Part { kind, needs: BTreeSet::new(), locks: Vec::new(), queue: None };
                self.parts.insert(part, new);
            }
            Fact::Gone { part } => {
                self.parts.remove(&part);
            }
            Fact::Target { target, part, waits } if self.targets.len() < MAX_PARTS => {
                self.targets.insert(target, Target { part, waits, reach: Reach::default() });
            }
            Fact::Needs { part, on } => self.change(part, |part| part.needs.extend([on])),
            Fact::NeedsNoMore { part, on } => {
                self.change(part, |part| part.needs.retain(|known| *known != on));
            }
            Fact::Takes { part, lock } => self.change(part, |part| part.locks.push(lock)),
            Fact::Queues { part, queue } => self.change(part, |part| part.queue = Some(queue)),
            Fact::Part { .. } | Fact::Target { .. } | Fact::LeftHeld { .. } => return,
        }
        self.changed();
    }

    fn change(&mut self, part: PartId, change: impl FnOnce(&mut Part)) {
        if let Some(part) = self.parts.get_mut(&part) {
            change(part);
        }
    }

    /// The target is gone.
    pub(super) fn forget(&mut self, target: ReclaimTarget) {
        if self.targets.remove(&target).is_some() {
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.version = self.version.wrapping_add(1);
        self.stale = true;
    }

    pub(super) fn has_targets(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Every target, with what its work may wait for.
    pub(super) fn targets(&mut self) -> impl Iterator<Item = (ReclaimTarget, &Target)> {
        if std::mem::take(&mut self.stale) {
            for target in self.targets.values_mut() {
                target.reach = reach(&self.parts, target.part);
            }
        }
        self.targets.iter().map(|(called, target)| (*called, target))
    }

    pub(super) fn part(&self, part: PartId) -> Option<&Part> {
        self.parts.get(&part)
    }

    /// The way and what it leads to, as [`Stack::targets`] worked it out.
    pub(super) fn reached(&self, target: ReclaimTarget, place: usize) -> Option<&Reached> {
        self.targets.get(&target)?.reach.things.get(place)
    }
}

/// What work on `from` may wait for, breadth first.
fn reach(parts: &BTreeMap<PartId, Part>, from: PartId) -> Reach {
    let mut found = Reach::default();
    let (mut seen, mut open) = (BTreeSet::from([from]), VecDeque::from([vec![from]]));
    while let Some(way) = open.pop_front() {
        let Some(part) = way.last().and_then(|last| parts.get(last)) else {
            found.unknowable = true;
            continue;
        };
        found.unknowable |= part.kind == PartKind::Server && part.needs.is_empty();
        let locks = part.locks.iter().copied().map(Dependency::Lock);
        let things = part.queue.map(Dependency::Queue).into_iter().chain(locks);
        found.things.extend(things.map(|thing| Reached { thing, way: way.clone() }));
        for below in part.needs.iter().filter(|below| seen.insert(**below)) {
            open.push_back(way.iter().copied().chain([*below]).collect());
        }
    }
    found
}

#[cfg(test)]
mod tests;
