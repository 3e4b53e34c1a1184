//! RD07: a scan that may not enter filesystems waits, or asks for the lock of a superblock.
//!
//! Without FS a scan answers SHRINK_STOP, or frees what it can reach without waiting. It must not
//! even try the lock of a superblock, because the holder of that lock may wait for reclaim. A wait
//! for I/O that the mask permits is left to RD01 and RD02, which know where the I/O goes. Invariant
//! 13 of docs/kernel/rules.md, "Invariants"; the superblock's shrinker is that of
//! docs/kernel/shrinkers.md, "The superblock shrinker".

use std::collections::BTreeSet;

use crate::event::{EventKind, Gfp, Resource, ShrinkerId};
use crate::witness::{
    Breach, Finding, Frame, FrameKind, Judge, Moment, Reads, Subject, broken_rule,
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
            let subject = Some(Subject::Shrinker(shrinker));
            out.push(broken_rule(moment, event.task, breach, subject, Some(site)));
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
