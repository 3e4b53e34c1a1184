//! RD07: a scan that may not enter filesystems waits, or asks for a superblock's lock.
//!
//! Without FS a scan answers STOP, or frees what it can reach without waiting. It does not so much
//! as try for a superblock's lock: whoever holds that may wait for reclaim. A wait for I/O that the
//! mask permits is left to the judges of recursion, which know where that I/O goes. Invariant 13 of
//! the project's description of reclaim, section 9; the superblock's shrinker is that of 4.4.

use std::collections::BTreeSet;

use crate::event::{EventKind, Gfp, Resource, ShrinkerId};
use crate::witness::{
    Breach, Chain, Finding, Frame, FrameKind, Judge, Moment, Reads, StepKind, Subject,
};

/// The class of superblocks' locks.
const SUPERBLOCK: &str = "s_umount";

/// The judge of invariant 13.
#[derive(Debug, Default)]
pub(super) struct Scan {
    found: BTreeSet<(ShrinkerId, Breach)>,
}

impl Judge for Scan {
    fn reads(&self) -> Reads {
        Reads::LOCKS.and(Reads::WAITS)
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let Moment { event, view, names } = *moment;
        let frames = view.frames(event.task);
        let (breach, site, shrinker) = match event.kind {
            EventKind::LockAttempt { lock, site, .. } => {
                let class = names.lock(lock).map(|lock| lock.class);
                let Some((shrinker, _)) = restricted(frames).filter(|_| class == Some(SUPERBLOCK))
                else {
                    return;
                };
                (Breach::ScanTakesSuperblock, site, shrinker)
            }
            EventKind::WaitBegin { resource, site, .. } => {
                let permitted =
                    |mask: Gfp| matches!(resource, Resource::Request(_)) && mask.contains(Gfp::IO);
                let Some((shrinker, _)) = restricted(frames).filter(|(_, mask)| !permitted(*mask))
                else {
                    return;
                };
                (Breach::ScanWaits, site, shrinker)
            }
            _ => return,
        };
        if self.found.insert((shrinker, breach)) {
            let mut chain = Chain::new(view);
            chain.task(event.task, None);
            let subject = Some(Subject::Shrinker(shrinker));
            chain.ends_with(StepKind::Broke { breach, subject }, Some(site), event);
            out.push(chain.finish(breach.code(), event));
        }
    }
}

/// The innermost scan, if its mask has no FS, and that mask.
fn restricted(frames: &[Frame]) -> Option<(ShrinkerId, Gfp)> {
    let scan = frames.iter().rev().find_map(|frame| match frame.kind {
        FrameKind::Scan { shrinker, mask, .. } => Some((shrinker, mask)),
        _ => None,
    });
    scan.filter(|(_, mask)| !mask.contains(Gfp::FS))
}

#[cfg(test)]
mod tests;
