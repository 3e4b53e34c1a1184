//! What a process pays for the heap hook on threads that are in no world, beside other allocators
//! that watch.
//!
//! Each allocator is called through its own `GlobalAlloc` methods, by functions that are not
//! inlined, as the compiler's own functions between a collection and the process's allocator are
//! not: only one of them can be the process's, and a comparison needs all of them in one run. All
//! stand over `System`. Two jobs: a box of 64 bytes made and dropped, and a `Vec` of untouched
//! pages that grows from 1 MiB to 64 MiB by doubling. The second asks whether `realloc` is handed
//! on: where it is not, each step copies what `mremap` would only have moved.
#![expect(unsafe_code, reason = "an allocator's own methods are unsafe to call")]

mod rounds;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

use assert_no_alloc::AllocDisabler;
use criterion::Criterion;
use rounds::{calls, compare};
use stats_alloc::StatsAlloc;
use tracking_allocator::Allocator;

const MIB: usize = 1 << 20;

static HEAP: reclaimdep::Heap = reclaimdep::Heap::system();
static ASSERT_NO_ALLOC: AllocDisabler = AllocDisabler;
static STATS_ALLOC: StatsAlloc<System> = StatsAlloc::system();
static TRACKING_ALLOCATOR: Allocator<System> = Allocator::system();

#[inline(never)]
unsafe fn alloc(allocator: &impl GlobalAlloc, layout: Layout) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe { allocator.alloc(layout) }
}

#[inline(never)]
unsafe fn dealloc(allocator: &impl GlobalAlloc, block: *mut u8, layout: Layout) {
    // SAFETY: the caller's.
    unsafe { allocator.dealloc(block, layout) }
}

#[inline(never)]
unsafe fn realloc(
    allocator: &impl GlobalAlloc,
    block: *mut u8,
    layout: Layout,
    size: usize,
) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe { allocator.realloc(block, layout, size) }
}

fn boxed(allocator: &impl GlobalAlloc) {
    let layout = black_box(Layout::new::<[u64; 8]>());
    // SAFETY: the layout has a size; the block is given back to where it came from, with that
    // layout.
    unsafe {
        let block = alloc(allocator, layout);
        assert!(!black_box(block).is_null(), "64 bytes can be had");
        dealloc(allocator, block, layout);
    }
}

fn grown(allocator: &impl GlobalAlloc) {
    let layout = |size| Layout::from_size_align(size, 8).expect("a size of some MiB is one");
    let mut size = black_box(MIB);
    // SAFETY: no size is 0 and none overflows; each call gets the block and the layout of the one
    // before.
    unsafe {
        let mut block = alloc(allocator, layout(size));
        while size < 64 * MIB {
            assert!(!block.is_null(), "64 MiB of untouched pages can be had");
            block = black_box(realloc(allocator, block, layout(size), 2 * size));
            size *= 2;
        }
        dealloc(allocator, block, layout(size));
    }
}

/// The crates whose allocators are compared with the system's allocator.
const WATCHERS: [&str; 4] = ["reclaimdep", "stats_alloc", "assert_no_alloc", "tracking-allocator"];

fn boxes(criterion: &mut Criterion) {
    compare(
        criterion,
        "heap-box",
        &mut [
            ("system", &mut || calls(|_| boxed(&System))),
            ("reclaimdep", &mut || calls(|_| boxed(&HEAP))),
            ("stats_alloc", &mut || calls(|_| boxed(&STATS_ALLOC))),
            ("assert_no_alloc", &mut || calls(|_| boxed(&ASSERT_NO_ALLOC))),
            ("tracking-allocator", &mut || calls(|_| boxed(&TRACKING_ALLOCATOR))),
        ],
        &WATCHERS.map(|name| (name, "system", 200)),
    );
}

/// glibc learns from what was freed whether the next block of that size is mapped by itself: an
/// allocator that frees on the way would change what the others are measured on.
fn map_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets a parameter of the allocator; no other thread runs yet.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 512 * 1024) };
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let set = 1;
    assert_eq!(set, 1, "glibc takes a threshold of half a MiB");
}

fn growth(criterion: &mut Criterion) {
    map_large_blocks();
    compare(
        criterion,
        "heap-growth",
        &mut [
            ("system", &mut || grown(&System)),
            ("reclaimdep", &mut || grown(&HEAP)),
            ("stats_alloc", &mut || grown(&STATS_ALLOC)),
            ("assert_no_alloc", &mut || grown(&ASSERT_NO_ALLOC)),
            ("tracking-allocator", &mut || grown(&TRACKING_ALLOCATOR)),
        ],
        // Those that do not hand `realloc` on take a thousand times as long: one turn shows it.
        &[
            ("reclaimdep", "system", 200),
            ("stats_alloc", "system", 200),
            ("assert_no_alloc", "system", 1),
            ("tracking-allocator", "system", 1),
        ],
    );
}

fn main() {
    rounds::run(&[boxes, growth]);
}
