//! What an allocation does on a task of a world.
//!
//! Nothing unwinds out of here: the callers of an allocator are not written for it. What an aborted
//! world unwinds with ends here, and the task unwinds at its next scheduling point. Any other panic
//! is kept for the report. Everything here is on the harness's side, so what it allocates itself is
//! not heard of; a shrinker of the user's is, and cannot reclaim again, because its task is the
//! reclaimer by then (PF_MEMALLOC).

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::place;
use crate::sched::{self, Sched};
use crate::units::PAGE_SIZE;

/// The running task is about to allocate `size` bytes.
#[cold]
#[inline(never)]
pub(super) fn allocates(size: usize) {
    if !sched::is_users() {
        return;
    }
    let _ours = sched::quiet();
    // A payload may panic when it is dropped: the last one is leaked.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hear(size))) {
        std::mem::forget(payload);
    }
}

fn hear(size: usize) {
    let Some(sched) = Sched::of_current().filter(|sched| !sched.is_aborted()) else {
        return;
    };
    let (number, found) = (sched.next_heap_allocation(), sched.found());
    let heard = catch_unwind(AssertUnwindSafe(|| sched.heap_allocation(number, order(size))));
    if sched.found() > found {
        // Whoever allocated is still on the stack, also where another task's step was the last one.
        sched.place_heap_allocation(number, place::find());
    }
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
    fn the_order_is_that_of_the_pages_that_hold_it() {
        let of = |sizes: &[usize]| sizes.iter().map(|size| super::order(*size)).collect::<Vec<_>>();
        assert_eq!(of(&[1, 64, 4096, 4097, 8192, 8193, 1 << 26]), [0, 0, 0, 1, 1, 2, 14]);
    }
}
