//! The reclaim annotation: which allocations depend on reclaim, whether they reclaim or not.
//!
//! Key function: [`annotation`]. Kernel lockdep has one pseudo-lock, `fs_reclaim`. Every allocation
//! whose reclaim could call into a filesystem acquires and releases it. There is no such
//! pseudo-lock for I/O, so kernel lockdep cannot see the deadlock that this project began with.
//! This harness has three, nested: any, io, fs. Mirrors `fs_reclaim_acquire` and `might_alloc`;
//! written from docs/kernel/lockdep.md, "The annotation", "The model before 4.14" and "What the
//! annotation cannot see".

use crate::event::{Gfp, Levels, TaskFlags};

/// The pseudo-locks that a request with effective mask `mask` acquires on a task with `flags`.
///
/// Until 2018 (`by_task` is false) a task in reclaim was exempt only if the mask lacked
/// `__GFP_NOMEMALLOC`. A release hook that passed such a mask on was reported, although it could
/// not recurse.
#[must_use]
pub(super) fn annotation(mask: Gfp, flags: TaskFlags, by_task: bool) -> Levels {
    let reclaimer = flags.contains(TaskFlags::MEMALLOC);
    let exempt = reclaimer && (by_task || !mask.contains(Gfp::NOMEMALLOC));
    let any = mask.allow_blocking() && !exempt && !mask.contains(Gfp::NOLOCKDEP);
    Levels { any, io: any && mask.contains(Gfp::IO), fs: any && mask.contains(Gfp::FS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mask: Gfp, flags: TaskFlags, [any, io, fs]: [bool; 3]) {
        assert_eq!(annotation(mask, flags, true), Levels { any, io, fs }, "{mask} {flags:?}");
    }

    #[test]
    fn a_request_acquires_the_levels_that_its_effective_mask_permits() {
        let none = TaskFlags::EMPTY;
        check(Gfp::KERNEL, none, [true, true, true]);
        check(Gfp::NOFS, none, [true, true, false]);
        check(Gfp::NOIO, none, [true, false, false]);
        check(Gfp::NOWAIT, none, [false; 3]);
        check(Gfp::KERNEL | Gfp::NOLOCKDEP, none, [false; 3]);
        check(Gfp::KERNEL, TaskFlags::MEMALLOC, [false; 3]);
    }

    #[test]
    fn until_2018_nomemalloc_made_a_reclaimer_look_as_if_it_could_recurse() {
        let (mask, flags) = (Gfp::KERNEL | Gfp::NOMEMALLOC, TaskFlags::MEMALLOC);
        assert!(annotation(mask, flags, false).fs, "the false report of that time");
        assert!(!annotation(mask, flags, true).fs);
    }
}
