//! The decision for each state of a page.

use super::PageClass::{Anon, File, SwapCache};
use super::PageIo::{Clean, Dirty, Writeback};
use super::*;

const PLAIN_SWAP: PageClass = SwapCache { fs_backed: false };
const FS_SWAP: PageClass = SwapCache { fs_backed: true };

fn page(class: PageClass, io: PageIo) -> PageState {
    PageState::CLEAN_FILE.with(class, io)
}

fn marked(class: PageClass, io: PageIo) -> PageState {
    PageState { marked: true, ..page(class, io) }
}

fn kswapd() -> PageControl {
    PageControl { kswapd: true, ..PageControl::direct(Gfp::KERNEL) }
}

#[track_caller]
fn check(page: PageState, control: PageControl, expect: PageVerdict) {
    assert_eq!(decide(&page, &control), expect, "{page:?} under {control:?}");
}

/// Direct reclaim with KERNEL, NOFS and NOIO.
#[track_caller]
fn check_masks(page: PageState, expect: [PageVerdict; 3]) {
    for (mask, expect) in [Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO].into_iter().zip(expect) {
        check(page, PageControl::direct(mask), expect);
    }
}

#[test]
fn clean_pages_are_freed_whatever_the_mask() {
    check_masks(page(File, Clean), [PageVerdict::Free; 3]);
    check_masks(page(PLAIN_SWAP, Clean), [PageVerdict::Free; 3]);
    check_masks(page(FS_SWAP, Clean), [PageVerdict::Free; 3]);
}

#[test]
fn direct_reclaim_never_writes_a_file_page() {
    for page in [page(File, Dirty), marked(File, Dirty)] {
        check_masks(page, [PageVerdict::Mark; 3]);
        check(
            page,
            PageControl { dirty_heavy: true, ..PageControl::direct(Gfp::KERNEL) },
            PageVerdict::Mark,
        );
    }
}

#[test]
fn kswapd_writes_a_file_page_that_it_saw_before_on_a_node_full_of_dirty_pages() {
    let heavy = PageControl { dirty_heavy: true, ..kswapd() };
    check(marked(File, Dirty), heavy, PageVerdict::Write);
    check(page(File, Dirty), heavy, PageVerdict::Mark);
    check(marked(File, Dirty), kswapd(), PageVerdict::Mark);
    check(marked(File, Dirty), PageControl { may_writepage: false, ..heavy }, PageVerdict::Keep);
    let single = PageState { has_writepage: false, ..marked(File, Dirty) };
    check(single, heavy, PageVerdict::Activate);
}

#[test]
fn an_anonymous_page_needs_io_and_room_in_swap() {
    check_masks(
        page(Anon, Dirty),
        [PageVerdict::AddToSwap, PageVerdict::AddToSwap, PageVerdict::Keep],
    );
    let full = PageControl { may_swap: false, ..PageControl::direct(Gfp::KERNEL) };
    check(page(Anon, Dirty), full, PageVerdict::Activate);
    let pinned = PageState { pinned: true, ..page(Anon, Dirty) };
    check(pinned, PageControl::direct(Gfp::KERNEL), PageVerdict::Keep);
}

#[test]
fn swap_on_a_device_needs_io_and_on_a_filesystem_needs_fs() {
    check_masks(
        page(PLAIN_SWAP, Dirty),
        [PageVerdict::Write, PageVerdict::Write, PageVerdict::Keep],
    );
    check_masks(page(FS_SWAP, Dirty), [PageVerdict::Write, PageVerdict::Keep, PageVerdict::Keep]);
}

#[test]
fn until_5_18_a_nofs_allocation_wrote_to_a_swap_file() {
    let old = PageControl { swap_over_fs_needs_fs: false, ..PageControl::direct(Gfp::NOFS) };
    check(page(FS_SWAP, Dirty), old, PageVerdict::Write);
    check(page(FS_SWAP, Dirty), PageControl::direct(Gfp::NOFS), PageVerdict::Keep);
}

#[test]
fn only_limit_reclaim_of_cgroup_v1_waits_for_writeback() {
    let legacy = |mask| PageControl { legacy_memcg: true, ..PageControl::direct(mask) };
    for page in [page(File, Writeback), marked(File, Writeback)] {
        check_masks(page, [PageVerdict::Mark; 3]);
    }
    check(marked(File, Writeback), legacy(Gfp::KERNEL), PageVerdict::WaitForWriteback);
    check(page(File, Writeback), legacy(Gfp::KERNEL), PageVerdict::Mark);
    check(marked(File, Writeback), legacy(Gfp::NOFS), PageVerdict::Mark);
    check(marked(PLAIN_SWAP, Writeback), legacy(Gfp::NOFS), PageVerdict::WaitForWriteback);
    check(marked(FS_SWAP, Writeback), legacy(Gfp::NOFS), PageVerdict::Mark);
}

#[test]
fn kswapd_counts_pages_that_it_sees_under_writeback_again() {
    let heavy = PageControl { writeback_heavy: true, ..kswapd() };
    check(marked(File, Writeback), heavy, PageVerdict::Immediate);
    check(page(File, Writeback), heavy, PageVerdict::Mark);
    check(marked(File, Writeback), kswapd(), PageVerdict::Mark);
}

#[test]
fn a_used_mapped_or_private_page_is_not_freed_at_once() {
    let clean = page(File, Clean);
    let direct = PageControl::direct(Gfp::KERNEL);
    check(PageState { referenced: true, ..clean }, direct, PageVerdict::Activate);
    check(PageState { mapped: true, ..clean }, direct, PageVerdict::Unmap);
    check(
        PageState { mapped: true, ..clean },
        PageControl { may_unmap: false, ..direct },
        PageVerdict::Keep,
    );
    check(PageState { private: true, ..clean }, direct, PageVerdict::Release);
    check(PageState { in_use: true, ..clean }, direct, PageVerdict::Keep);
}
