//! RD01: a task entered a layer that its scope forbids, below a reclaim of its own.
//!
//! Invariants 1 and 2 of docs/kernel/rules.md, "Invariants". The mask of the reclaim restricts as a
//! scope does, so an explicit GFP_NOFS without a scope is judged too. A task that submits a
//! request, or waits for one, enters the I/O layer. A scope that a shrinker enters after reclaim
//! began restricts only what is below it.

use std::collections::BTreeSet;

use crate::event::{EventKind, Layer, Resource, TaskId};
use crate::witness::{Chain, Code, Entry, Finding, FrameKind, Judge, Moment, Reads, restriction};

/// The judge of RD01.
#[derive(Debug, Default)]
pub(super) struct Recursion {
    found: BTreeSet<(TaskId, u64, Layer)>,
}

impl Judge for Recursion {
    fn reads(&self) -> Reads {
        Reads::LAYERS.and(Reads::REQUESTS).and(Reads::WAITS)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, .. } = *moment;
        let (entry, submitted) = match event.kind {
            EventKind::LayerEnter { layer, .. } => (Entry::from(layer), None),
            EventKind::RequestSubmit { request, .. } => (Entry::IO, Some(request)),
            EventKind::WaitBegin { resource: Resource::Request(_), .. } => (Entry::IO, None),
            _ => return,
        };
        let frames = view.frames(event.task);
        if !frames.iter().any(|frame| matches!(frame.kind, FrameKind::Reclaim { .. })) {
            return;
        }
        // The frame of the entry itself is not a scope, so it changes nothing.
        let path = frames.iter().map(|frame| (event.task, frame.kind, frame.seq));
        let Some(by) = restriction(path, entry) else {
            return;
        };
        if self.found.insert((event.task, by.seq, entry.layer)) {
            let mut chain = Chain::new(view);
            chain.task(event.task, submitted);
            out.push(chain.finish(Code::RD01, event));
        }
    }
}

#[cfg(test)]
mod tests;
