//! The heap hook: every `Box`, `Vec` and `String` of a task in a world is an allocation that may
//! reclaim.
//!
//! Key type: [`Heap`]. An allocation of code under test is told to the world with the task's
//! effective mask, and where the plan says that memory is short it reclaims before the memory is
//! had. The memory itself is always the inner allocator's. Neighbours: `mm` hears of it, `sched`
//! says whose code runs.
//!
//! | module | holds |
//! |---|---|
//! | [`Heap`] (here) | the allocator: one thread-local load and a branch, then the inner one |
//! | `hook` | what happens on a task of a world; nothing unwinds out of it |
//! | `place` | the source line of an allocation, from a backtrace |
//!
//! Written from the project's description of reclaim, 10, point 6: real allocations hide in
//! collections, formatting and logging, and a harness that sees only calls of its own allocator
//! misses them.
#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; every method only forwards"
)]

mod hook;
mod place;

use std::alloc::{GlobalAlloc, Layout, System};

use reclaimdep_scope::context;

/// An allocator over another one, which makes the heap allocations of a world's tasks allocations
/// of that world. Make it the process's allocator in a test binary:
///
/// ```
/// #[global_allocator]
/// static HEAP: reclaimdep::Heap = reclaimdep::Heap::system();
/// # use reclaimdep::inject::Pressure;
/// # use reclaimdep::World;
/// # let report = World::builder().pressure(Pressure::every_allocation()).run(|world| {
/// #     let before = world.sched().heap_allocations();
/// #     drop(vec![0_u8; 100]);
/// #     assert_eq!(world.sched().heap_allocations(), before + 1);
/// # })?;
/// # assert!(report.is_quiet(), "{report}");
/// # Ok::<(), reclaimdep::Error>(())
/// ```
///
/// # What it does
/// On a task of a world each `alloc`, `alloc_zeroed`, and `realloc` that grows, is an allocation
/// with `GFP_KERNEL` after the task's scopes: judges see it, pressure rules match and count it
/// ([`crate::inject::Of`] tells it from allocations of the world's pages), and one that a rule hits
/// runs direct reclaim with the effective mask before it gets its memory. It takes no page from the
/// world's budget, and no plan makes it fail. Freeing does nothing.
///
/// What the harness itself allocates on the task (events, names, locks, the ports, starting tasks)
/// is not heard of. Code of yours that it calls back is: a task's body, a shrinker's count and
/// scan, a page's owner, a work item.
///
/// A finding's report names the function and the line that allocated, taken from a backtrace once
/// something was found.
///
/// # Cost
/// On a thread that runs no task of a world, one thread-local load and a branch, whatever other
/// threads do: `docs/performance.md` has the measurement.
///
/// # Limits
/// - Reclaim is a place where other tasks run. An allocation that reclaims while it holds a lock of
///   `std` blocks whoever wants that lock, and on the model tier, where all tasks share one thread,
///   for ever: use `reclaimdep_scope::Mutex` for what shrinkers or other tasks need. A shrinker
///   that borrows a `RefCell` which is borrowed across the allocation panics; that panic is
///   reported. An allocation that does not reclaim is no such place.
/// - The model tier replays what it found. What a process allocates only once (a lazy static, the
///   buffer of stdout) is there in the first run and missing in the second, and the run ends with
///   the error that it does not replay: make such things before the world begins.
/// - No allocation is heard of while its thread unwinds from a panic, in a world that is being
///   ended, on threads that the world did not start, and in the closure of a buffer's
///   [`with_data`](crate::bufio::Buffer::with_data).
/// - A device, backing file or swap that you implement is called by the ports as part of them.
#[derive(Debug)]
pub struct Heap<A = System> {
    inner: A,
}

impl Heap {
    /// Over the system's allocator.
    #[must_use]
    pub const fn system() -> Self {
        Self::new(System)
    }
}

impl<A> Heap<A> {
    /// Over `inner`.
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self { inner }
    }
}

// The cold halves allocate themselves instead of returning to do so: then nothing lives across a
// call, and the hot halves need no stack frame, which is what most of the hook's cost would be.
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

// SAFETY: each method, or the cold half that stands in for it, hands its arguments unchanged to the
// same method of `inner`, whose contract is the trait's, and returns what that returned.
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
