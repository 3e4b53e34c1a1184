//! The hook: what an allocation on a task of a world does besides getting its memory.
//!
//! Key function: [`allocates`]. It ignores allocations of the harness side, counts those of the
//! user side, and hands each to [`super::reclaim`] with the place of the code that allocates.
//! Nothing unwinds out of it: the callers of an allocator are not written for a panic. Where the
//! world is being unwound the hook catches that, and the task unwinds at its next scheduling point.
//! Any other panic is kept for the report. The hook runs on the harness side, so it ignores its own
//! allocations. It sees those of a user's shrinker, which cannot reclaim again, because its task is
//! a reclaimer by then (PF_MEMALLOC).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use super::reclaim;
use super::watch::Watch;
use crate::sched::{Sched, Side, harness_side, place};
use crate::units::PAGE_SIZE;

/// Whether the hook ever ran. The harness allocates on each task of a world, so where the hook is
/// installed it has run before the first world ends.
static RAN: AtomicBool = AtomicBool::new(false);

/// Whether [`crate::Heap`] is the process's allocator, once a world has run.
pub(crate) fn is_installed() -> bool {
    RAN.load(Ordering::Relaxed)
}

/// The running task is about to allocate `size` bytes.
#[cold]
#[inline(never)]
pub(super) fn allocates(size: usize) {
    RAN.store(true, Ordering::Relaxed);
    if !Side::is_users_code() {
        return;
    }
    let _side = harness_side();
    // A payload may panic when it is dropped: the last one is leaked.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hear(size))) {
        std::mem::forget(payload);
    }
}

fn hear(size: usize) {
    let Some(sched) = Sched::of_current().filter(|sched| !sched.is_aborted()) else {
        return;
    };
    let Some(watch) = sched.extension::<Watch>() else {
        return;
    };
    watch.count();
    let heard = catch_unwind(AssertUnwindSafe(|| {
        if let Some(mm) = watch.memory() {
            reclaim::allocate(&mm, order(size), place::heap());
        }
    }));
    if let Err(payload) = heard
        && !Sched::is_abort(&*payload)
    {
        sched.note_panic("reclaim for an allocation on the heap", &*payload);
    }
}

/// The pages that `size` bytes need, as a power of two.
fn order(size: usize) -> u32 {
    let pages = (size as u64).div_ceil(PAGE_SIZE);
    pages.next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_order_is_that_of_the_pages_that_hold_the_size() {
        let of = |sizes: &[usize]| sizes.iter().map(|size| super::order(*size)).collect::<Vec<_>>();
        assert_eq!(of(&[1, 64, 4096, 4097, 8192, 8193, 1 << 26]), [0, 0, 0, 1, 1, 2, 14]);
    }
}
