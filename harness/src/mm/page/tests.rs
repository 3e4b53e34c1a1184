//! The decision, row by row.

use super::Class::{Anon, File, SwapCache};
use super::Io::{Clean, Dirty, Writeback};
use super::*;

const PLAIN_SWAP: Class = SwapCache { fs_backed: false };
const FS_SWAP: Class = SwapCache { fs_backed: true };

fn page(class: Class, io: Io) -> PageState {
    PageState::CLEAN_FILE.with(class, io)
}

fn marked(class: Class, io: Io) -> PageState {
    PageState { marked: true, ..page(class, io) }
}

fn kswapd() -> PageControl {
    PageControl { kswapd: true, ..PageControl::direct(Gfp::KERNEL) }
}

#[track_caller]
fn check(page: PageState, control: PageControl, expect: Verdict) {
    assert_eq!(decide(&page, &control), expect, "{page:?} under {control:?}");
}

/// Direct reclaim with KERNEL, NOFS and NOIO.
#[track_caller]
fn check_masks(page: PageState, expect: [Verdict; 3]) {
    for (mask, expect) in [Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO].into_iter().zip(expect) {
        check(page, PageControl::direct(mask), expect);
    }
}

#[test]
fn clean_pages_are_freed_whatever_the_mask() {
    check_masks(page(File, Clean), [Verdict::Free; 3]);
    check_masks(page(PLAIN_SWAP, Clean), [Verdict::Free; 3]);
    check_masks(page(FS_SWAP, Clean), [Verdict::Free; 3]);
}

#[test]
fn direct_reclaim_never_writes_a_file_page() {
    for page in [page(File, Dirty), marked(File, Dirty)] {
        check_masks(page, [Verdict::Mark; 3]);
        check(
            page,
            PageControl { dirty_heavy: true, ..PageControl::direct(Gfp::KERNEL) },
            Verdict::Mark,
        );
    }
}

#[test]
fn kswapd_writes_a_file_page_that_it_saw_before_on_a_dirty_node() {
    let heavy = PageControl { dirty_heavy: true, ..kswapd() };
    check(marked(File, Dirty), heavy, Verdict::Write);
    check(page(File, Dirty), heavy, Verdict::Mark);
    check(marked(File, Dirty), kswapd(), Verdict::Mark);
    check(marked(File, Dirty), PageControl { may_writepage: false, ..heavy }, Verdict::Keep);
    let single = PageState { has_writepage: false, ..marked(File, Dirty) };
    check(single, heavy, Verdict::Activate);
}

#[test]
fn an_anonymous_page_needs_io_and_room_in_swap() {
    check_masks(page(Anon, Dirty), [Verdict::AddToSwap, Verdict::AddToSwap, Verdict::Keep]);
    let full = PageControl { may_swap: false, ..PageControl::direct(Gfp::KERNEL) };
    check(page(Anon, Dirty), full, Verdict::Activate);
    let pinned = PageState { pinned: true, ..page(Anon, Dirty) };
    check(pinned, PageControl::direct(Gfp::KERNEL), Verdict::Keep);
}

#[test]
fn swap_on_a_device_needs_io_and_on_a_filesystem_needs_fs() {
    check_masks(page(PLAIN_SWAP, Dirty), [Verdict::Write, Verdict::Write, Verdict::Keep]);
    check_masks(page(FS_SWAP, Dirty), [Verdict::Write, Verdict::Keep, Verdict::Keep]);
}

#[test]
fn until_5_18_a_nofs_allocation_wrote_to_a_swap_file() {
    let old = PageControl { swap_over_fs_needs_fs: false, ..PageControl::direct(Gfp::NOFS) };
    check(page(FS_SWAP, Dirty), old, Verdict::Write);
    check(page(FS_SWAP, Dirty), PageControl::direct(Gfp::NOFS), Verdict::Keep);
}

#[test]
fn nobody_but_old_limit_reclaim_waits_for_writeback() {
    let legacy = |mask| PageControl { legacy_memcg: true, ..PageControl::direct(mask) };
    for page in [page(File, Writeback), marked(File, Writeback)] {
        check_masks(page, [Verdict::Mark; 3]);
    }
    check(marked(File, Writeback), legacy(Gfp::KERNEL), Verdict::WaitForWriteback);
    check(page(File, Writeback), legacy(Gfp::KERNEL), Verdict::Mark);
    check(marked(File, Writeback), legacy(Gfp::NOFS), Verdict::Mark);
    check(marked(PLAIN_SWAP, Writeback), legacy(Gfp::NOFS), Verdict::WaitForWriteback);
    check(marked(FS_SWAP, Writeback), legacy(Gfp::NOFS), Verdict::Mark);
}

#[test]
fn kswapd_counts_what_it_meets_again_on_a_node_full_of_writeback() {
    let heavy = PageControl { writeback_heavy: true, ..kswapd() };
    check(marked(File, Writeback), heavy, Verdict::Immediate);
    check(page(File, Writeback), heavy, Verdict::Mark);
    check(marked(File, Writeback), kswapd(), Verdict::Mark);
}

#[test]
fn what_is_used_mapped_or_kept_stays() {
    let clean = page(File, Clean);
    let direct = PageControl::direct(Gfp::KERNEL);
    check(PageState { referenced: true, ..clean }, direct, Verdict::Activate);
    check(PageState { mapped: true, ..clean }, direct, Verdict::Unmap);
    check(
        PageState { mapped: true, ..clean },
        PageControl { may_unmap: false, ..direct },
        Verdict::Keep,
    );
    check(PageState { private: true, ..clean }, direct, Verdict::Release);
    check(PageState { in_use: true, ..clean }, direct, Verdict::Keep);
}
