//! RD07: a scan that may not enter filesystems waits, or asks for a superblock's lock.
//!
//! Without FS a scan answers STOP, or frees what it can reach without waiting. It does not so much
//! as try for a superblock's lock: whoever holds that may wait for reclaim. A wait for I/O that the
//! mask permits is left to the judges of recursion, which know where that I/O goes. Invariant 13 of
//! the project's description of reclaim, section 9; the superblock's shrinker is that of 4.4.

use std::collections::BTreeSet;

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind, Subject};
use super::frames::{Frame, FrameKind};
use super::panel::NamingJudge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Event, EventKind, Gfp, Names, Resource, ShrinkerId};

/// The class of superblocks' locks.
const SUPERBLOCK: &str = "s_umount";

/// The judge of invariant 13.
#[derive(Debug, Default)]
pub(super) struct Scan {
    found: BTreeSet<(ShrinkerId, Breach)>,
}

impl NamingJudge for Scan {
    fn reads(&self) -> Reads {
        Reads::LOCKS.and(Reads::WAITS)
    }

    fn observe(&mut self, event: &Event, view: &View, names: &Names, out: &mut Vec<Finding>) {
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
mod tests {
    use super::*;
    use crate::event::{LockMode, TaskId, WaitId};
    use crate::witness::script::{Script, breaches};

    /// The breaches that are named in a scan with `mask`.
    #[track_caller]
    fn check(mask: Gfp, expect: &[Breach], story: impl FnOnce(&mut Script, TaskId)) {
        let mut s = Script::default();
        let task = s.task("cp");
        let shrinker = s.names.add_shrinker("cache");
        s.scan(task, shrinker, mask);
        story(&mut s, task);
        assert_eq!(breaches(&s), expect);
    }

    #[test]
    fn a_superblocks_lock_is_not_even_tried_for_without_fs() {
        let takes = |class| {
            move |s: &mut Script, task| {
                let lock = s.lock(class, "fs:lower");
                s.take(task, lock, LockMode::Shared);
            }
        };
        check(Gfp::NOFS, &[Breach::ScanTakesSuperblock], takes(SUPERBLOCK));
        check(Gfp::KERNEL, &[], takes(SUPERBLOCK));
        check(Gfp::NOFS, &[], takes("cache"));
    }

    #[test]
    fn nothing_is_waited_for_without_fs() {
        let waits = |s: &mut Script, task| s.wait(task, Resource::Condition(WaitId(0)), "anything");
        check(Gfp::NOFS, &[Breach::ScanWaits], waits);
        check(Gfp::NOIO, &[Breach::ScanWaits], waits);
        check(Gfp::KERNEL, &[], waits);
    }

    #[test]
    fn io_that_the_mask_permits_is_for_others_to_judge() {
        let waits = |s: &mut Script, task| {
            let (queue, _) = s.queue("vda");
            let request = s.submit(task, queue);
            s.wait(task, Resource::Request(request), "buffer WRITING");
        };
        check(Gfp::NOFS, &[], waits);
        // Of the wait itself there is nothing more to say than of any other.
        let mut s = Script::default();
        let task = s.task("cp");
        let shrinker = s.names.add_shrinker("cache");
        s.scan(task, shrinker, Gfp::NOIO);
        waits(&mut s, task);
        assert_eq!(breaches(&s), [Breach::ScanWaits]);
    }
}
