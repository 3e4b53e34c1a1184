//! RD03 (oracle): the judge, allocation by allocation.
//!
//! Key type: [`Oracle`]. An allocation is judged when it begins, and again when another task begins
//! to wait during it, because then what the waiter holds is held around the allocation too.
//! Circumstances that were judged once are not judged again.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::cycle::{Danger, Teller};
use super::holdings::{Allocation, Holdings};
use super::pairs::{Pair, Pairs};
use super::stack::{Dependency, Stack};
use crate::event::{EventKind, Gfp, MayWait, ReclaimTarget, TaskFlags, TaskId};
use crate::witness::order::{exempt, finding};
use crate::witness::{Finding, Frame, FrameKind, Judge, Learned, Moment, Reads};

/// Circumstances beyond this number are not remembered, and are judged each time.
const MAX_LOOKED_AT: usize = 1 << 20;
/// At most this many masks that a policy gave for one allocation are kept.
const MAX_POLICY_MASKS: usize = 1 << 12;

/// The masks that the policy gave for some targets.
type PolicyMasks = BTreeMap<ReclaimTarget, Gfp>;

/// The judge, over one run.
#[derive(Debug, Default)]
pub(in crate::witness) struct Oracle {
    stack: Stack,
    /// For the allocation that a task begins next, then for the one that it makes.
    masks: BTreeMap<TaskId, PolicyMasks>,
    looked_at: BTreeSet<u64>,
    found: BTreeSet<(ReclaimTarget, Dependency)>,
    pairs: Pairs,
}

impl Oracle {
    /// Judges the allocation of `task` that its frame at `place` is, if there is one and it may
    /// reclaim.
    fn allocation(
        &mut self,
        at: &Moment<'_>,
        task: TaskId,
        place: Option<usize>,
        out: &mut Vec<Finding>,
    ) {
        let frames = at.view.frames(task);
        let (before, frame) = match place {
            Some(place) => (&frames[..place], frames[place]),
            None => return,
        };
        let (FrameKind::Alloc { requested, effective, flags, .. }, Some(site)) =
            (frame.kind, frame.site)
        else {
            return;
        };
        if effective.allow_blocking() && !exempt(effective, flags, before) {
            let request = Allocation { task, requested, effective, flags, site, begun: frame.seq };
            self.judge(at, &request, out);
        }
    }

    fn judge(&mut self, at: &Moment<'_>, request: &Allocation, out: &mut Vec<Finding>) {
        let Moment { event, view, names } = *at;
        let holdings = Holdings::of(view, request.task, request.begun);
        let masks = self.masks.get(&request.task);
        let key = key(request, masks, &holdings, self.stack.version);
        if self.looked_at.len() < MAX_LOOKED_AT && !self.looked_at.insert(key) {
            return;
        }
        let mut unsound = Vec::new();
        for (called, target) in self.stack.targets() {
            let mask =
                masks.and_then(|masks| masks.get(&called)).copied().unwrap_or(request.effective);
            let waits = target.waits != MayWait::Never;
            let things = target.reach.things.iter().enumerate().filter(|_| waits);
            let danger = things
                .filter_map(|(place, reached)| Some((place, holdings.find(view, reached.thing)?)))
                .next();
            let pair = Pair {
                permitted: target.waits.works_under(mask),
                asked: target.waits.works_under(without_nofs(request)),
                dangerous: danger.is_some(),
                unknown: waits && target.reach.unknowable,
            };
            self.pairs.note(pair);
            unsound.extend(
                danger
                    .filter(|_| pair.permitted)
                    .map(|danger| (called, target.waits, mask, danger)),
            );
        }
        for (target, waits, mask, (place, held)) in unsound {
            let Some(reached) = self.stack.reached(target, place) else {
                continue;
            };
            if self.found.insert((target, reached.thing)) {
                let danger = Danger { target, waits, way: &reached.way, held, mask };
                let teller = Teller { event, view, names, stack: &self.stack, holdings: &holdings };
                out.extend(teller.cycle(&danger, request).map(|cycle| finding(event, cycle)));
            }
        }
    }
}

impl Judge for Oracle {
    fn reads(&self) -> Reads {
        let declared = Reads::WORLD.and(Reads::SHRINKERS).and(Reads::MEMORY);
        declared.and(Reads::ALLOCATIONS).and(Reads::TASKS).and(Reads::WAITS)
    }

    fn observe(&mut self, at: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *at;
        let task = event.task;
        match event.kind {
            EventKind::Declared { fact } => self.stack.take(fact),
            EventKind::ShrinkerUnregistered { shrinker }
            | EventKind::ShrinkerPanicked { shrinker } => {
                self.stack.forget(ReclaimTarget::Shrinker(shrinker));
            }
            EventKind::PolicyMask { target, mask } => {
                let masks = self.masks.entry(task).or_default();
                if masks.len() < MAX_POLICY_MASKS {
                    masks.insert(target, mask);
                }
            }
            _ if !self.stack.has_targets() => {}
            EventKind::AllocBegin { .. } => {
                self.allocation(at, task, view.frames(task).iter().rposition(is_allocation), out);
            }
            EventKind::AllocEnd { .. } | EventKind::TaskExit
                if !view.frames(task).iter().any(is_allocation) =>
            {
                self.masks.remove(&task);
            }
            EventKind::WaitBegin { .. } => {
                for (other, state) in view.tasks().filter(|(other, _)| *other != task) {
                    // What runs below the reclaim of an allocation takes nothing: the outermost is
                    // the one.
                    self.allocation(at, other, state.frames.iter().position(is_allocation), out);
                }
            }
            _ => {}
        }
    }

    fn learned(&self) -> Learned<'_> {
        Learned { pairs: Some(self.pairs), ..Learned::default() }
    }
}

const fn is_allocation(frame: &Frame) -> bool {
    matches!(frame.kind, FrameKind::Alloc { .. })
}

/// What the request would be if no NOFS scope were there: all that any policy may give it.
const fn without_nofs(request: &Allocation) -> Gfp {
    request.requested.effective(request.flags.without(TaskFlags::MEMALLOC_NOFS))
}

/// What the circumstances of an allocation are known by, within a run. Two of one hash count as
/// one, as in lockdep.
fn key(
    request: &Allocation,
    masks: Option<&PolicyMasks>,
    holdings: &Holdings,
    version: u32,
) -> u64 {
    let Allocation { requested, effective, flags, .. } = *request;
    let mut hasher = DefaultHasher::new();
    (version, requested, effective, flags.contains(TaskFlags::MEMALLOC_NOIO)).hash(&mut hasher);
    for held in &holdings.held {
        (held.hold, held.by).hash(&mut hasher);
    }
    // Who else is stuck decides whether a queue has a server that is not.
    for stuck in &holdings.stuck[1..] {
        stuck.task.hash(&mut hasher);
    }
    masks.hash(&mut hasher);
    hasher.finish()
}
