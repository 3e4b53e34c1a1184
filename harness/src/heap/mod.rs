//! The heap hook: every `Box`, `Vec` and `String` of a task in a world is an allocation that may
//! reclaim.
//!
//! Key type: [`Heap`], the process's allocator in a test binary. It tells the world of the running
//! task about an allocation of the user side, with the task's effective mask; where the plan says
//! that memory is short, the task reclaims before it gets the memory. The memory itself always
//! comes from the inner allocator. Neighbours: `mm` reclaims, `sched` says which world and whose
//! code runs, `event` names the place of an allocation.
//!
//! | module | holds |
//! |---|---|
//! | [`Heap`] (here) | the allocator: one thread-local load and a branch, then the inner one |
//! | `hook` | which allocations count, and that nothing unwinds out of them |
//! | `reclaim` | the allocation as `mm` and the judges see it |
//! | `watch` | what a world keeps for the hook |
//!
//! Three parts are elsewhere: the side of a task is `sched::side`, because a switch of tasks
//! changes it, `sched::place` finds the line that allocates, and `sched::extension` keeps the
//! world's part, because `sched` may not import this module.
//!
//! Locking: none of its own; the hook may run under any lock of the user side.
//!
//! Written from docs/kernel/rules.md, "Mistakes of a naive port" (point 6): real allocations hide
//! in collections, formatting and logging, and a harness that sees only calls of its own allocator
//! misses them.
#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; every method only forwards"
)]

mod hook;
mod reclaim;
#[cfg(test)]
mod tests;
mod watch;

use std::alloc::{GlobalAlloc, Layout, System};

use reclaimdep_scope::context;

pub(crate) use self::hook::is_installed;
pub(crate) use self::watch::{allocations, watch};

/// An allocator that makes the heap allocations of a world's tasks allocations of that world, and
/// takes the memory from an inner allocator. Make it the process's allocator in a test binary:
///
/// ```
/// #[global_allocator]
/// static HEAP: reclaimdep::Heap = reclaimdep::Heap::system();
/// # use reclaimdep::Pressure;
/// # use reclaimdep::World;
/// # let report = World::builder().pressure(Pressure::every_allocation()).run(|world| {
/// #     let before = world.heap_allocations();
/// #     drop(vec![0_u8; 100]);
/// #     assert_eq!(world.heap_allocations(), before + 1);
/// # })?;
/// # assert!(report.is_quiet(), "{report}");
/// # Ok::<(), reclaimdep::Error>(())
/// ```
///
/// # What it does
/// On a task of a world each `alloc`, each `alloc_zeroed` and each `realloc` that grows is an
/// allocation with `GFP_KERNEL` after the task's scopes. Judges see it, and pressure rules match
/// and count it ([`crate::inject::AllocSource`] tells it from allocations of the world's pages).
/// Where a rule hits, the task runs direct reclaim with the effective mask before it gets its
/// memory. The allocation takes no page from the world's budget, and no plan makes it fail. Freeing
/// does nothing.
///
/// The hook ignores what the harness side allocates on the task (events, names, locks, the ports,
/// starting tasks). It sees the user side: a task's body, and what the harness calls back, such as
/// a shrinker's count and scan, a page's owner, a work item.
///
/// A report names the function and the line that allocated. They come from the stack; each
/// place is looked up once in the process.
///
/// # Cost
/// On a thread that runs no task of a world, one thread-local load and a branch. What other threads
/// do changes nothing. `docs/performance.md` has the measurement.
///
/// # Limits
/// - Other tasks run while an allocation reclaims. If the allocating task holds a lock of `std`
///   then, a task that wants the lock blocks; on the model tier, where all tasks share one thread,
///   it blocks for ever. Use `reclaimdep_scope::Mutex` for what shrinkers or other tasks need. A
///   shrinker that borrows a `RefCell` which is borrowed across the allocation panics, and the
///   report says so. No other task runs in an allocation that does not reclaim.
/// - The model tier replays what it found. What a process allocates only once (a lazy static, the
///   buffer of stdout) is there in the first run and missing in the second, and the run ends with
///   the error that it does not replay. Initialise such things before the world begins.
/// - The hook ignores allocations while the thread unwinds from a panic, in a world that is being
///   unwound, on threads that the world did not start, and in the closure of a buffer's
///   [`with_data`](crate::bufio::Buffer::with_data).
/// - A device, backing file or swap area that you implement runs on the harness side: the hook
///   ignores what it allocates.
#[derive(Debug)]
pub struct Heap<A = System> {
    inner: A,
}

impl Heap {
    /// A heap over the system's allocator.
    #[must_use]
    pub const fn system() -> Self {
        Self::new(System)
    }
}

impl<A> Heap<A> {
    /// A heap over `inner`.
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self { inner }
    }
}

// The cold halves call the inner allocator themselves instead of returning to the hot half. So no
// value of a hot half lives across a call, and it needs no stack frame; the frame would be most of
// the hook's cost.
impl<A: GlobalAlloc> Heap<A> {
    #[cold]
    #[inline(never)]
    unsafe fn alloc_in_world(&self, layout: Layout) -> *mut u8 {
        hook::allocates(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { self.inner.alloc(layout) }
    }

    #[cold]
    #[inline(never)]
    unsafe fn alloc_zeroed_in_world(&self, layout: Layout) -> *mut u8 {
        hook::allocates(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    #[cold]
    #[inline(never)]
    unsafe fn realloc_in_world(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if new_size > layout.size() {
            hook::allocates(new_size);
        }
        // SAFETY: the caller keeps the contract of `realloc`, and `ptr` came from `inner`.
        unsafe { self.inner.realloc(ptr, layout, new_size) }
    }
}

// SAFETY: each method, or its cold half, hands its arguments unchanged to the same method of
// `inner`, whose contract is the trait's, and returns the result of that.
// `hook::allocates` does not unwind, and neither reads nor frees the memory.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Heap<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if context::is_attached() {
            // SAFETY: the caller keeps the contract of `alloc`.
            return unsafe { self.alloc_in_world(layout) };
        }
        // SAFETY: the same.
        unsafe { self.inner.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `ptr` came from `inner`.
        unsafe { self.inner.dealloc(ptr, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if context::is_attached() {
            // SAFETY: the caller keeps the contract of `alloc_zeroed`.
            return unsafe { self.alloc_zeroed_in_world(layout) };
        }
        // SAFETY: the same.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if context::is_attached() {
            // SAFETY: the caller keeps the contract of `realloc`, and `ptr` came from `inner`.
            return unsafe { self.realloc_in_world(ptr, layout, new_size) };
        }
        // SAFETY: the same.
        unsafe { self.inner.realloc(ptr, layout, new_size) }
    }
}
