//! Reclaim from the old end of an inactive list.
//!
//! Carries out for each page what [`decide`] returns, step by step, and keeps the counts by which
//! reclaim is throttled afterwards. Mirrors `shrink_inactive_list` and `shrink_folio_list`; written
//! from docs/kernel/allocation.md, "Throttling", and docs/kernel/reclaim.md, "The decision for each
//! page".

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::lru::{LruList, Lruvec};
use super::memory::{MemoryState, Mm};
use super::page::{Page, PageClass, PageControl, PageIo, PageState, PageVerdict, decide};
use super::policy::Target;
use super::reclaim::{NodeFlags, Scan};
use super::throttle::ThrottleReason;
use crate::event::{Gfp, ReclaimKind};
use crate::inject::PageFilter;

/// Verdicts for one page. Each verdict changes the page's state, so this bound is never reached.
const MAX_VERDICTS: u32 = 16;

/// Counts over one batch of isolated pages (`struct reclaim_stat`).
#[derive(Default)]
struct BatchCounts {
    taken: u64,
    freed: u64,
    dirty: u64,
    /// Dirty, and not queued for writing yet.
    unqueued: u64,
    writeback: u64,
    immediate: u64,
    /// Under writeback, and reclaim has seen them before.
    congested: u64,
}

/// What became of a page.
enum PageEnd {
    Freed,
    Back { activate: bool },
}

/// The result of one look at a locked page.
enum PageVisit {
    Ended(PageEnd),
    /// Wait for the write to end, then look at the page again.
    Wait,
}

impl PageVisit {
    const BACK: Self = Self::Ended(PageEnd::Back { activate: false });
    const ACTIVATE: Self = Self::Ended(PageEnd::Back { activate: true });
}

impl Mm {
    /// Reclaims from up to `count` pages and returns how many it freed; `None` if too many pages
    /// are isolated already.
    pub(super) fn shrink_inactive(
        &self,
        lists: &Lruvec,
        list: LruList,
        count: usize,
        scan: &Scan<'_>,
    ) -> Option<u64> {
        let mut waited = false;
        while !scan.is_kswapd() && Self::too_many_isolated(lists, list, scan.mask) {
            if waited {
                return None;
            }
            waited = true;
            self.throttle(ThrottleReason::Isolated);
        }
        let pages = lists.isolate(list, count);
        let mut batch = BatchCounts::default();
        for page in pages {
            batch.taken += 1;
            match self.visit(&page, scan, &mut batch) {
                PageEnd::Freed => {
                    batch.freed += 1;
                    lists.freed(list);
                }
                PageEnd::Back { activate } => lists.put_back(list, page, activate),
            }
        }
        self.after(&batch, scan);
        Some(batch.freed)
    }

    fn control(&self, scan: &Scan<'_>, mask: Gfp) -> PageControl {
        let MemoryState { node: NodeFlags { dirty_heavy, writeback_heavy, .. }, memcg, .. } =
            &*self.0;
        let legacy = memcg.as_ref().is_some_and(|memcg| memcg.spec.legacy);
        PageControl {
            mask,
            kswapd: scan.is_kswapd(),
            legacy_memcg: legacy && scan.kind == ReclaimKind::Memcg,
            may_writepage: true,
            may_unmap: true,
            may_swap: self.swap_has_room(),
            writeback_heavy: writeback_heavy.load(Ordering::Acquire),
            dirty_heavy: dirty_heavy.load(Ordering::Acquire),
            swap_over_fs_needs_fs: self.knobs().swap_over_fs_needs_fs,
        }
    }

    fn visit(&self, page: &Arc<Page>, scan: &Scan<'_>, batch: &mut BatchCounts) -> PageEnd {
        let wanted = scan.pressed.is_none_or(|pressed| pressed.wants_page(filter(&page.state())));
        let Some(mut lock) = page.try_lock().filter(|_| wanted) else {
            return PageEnd::Back { activate: false };
        };
        loop {
            match self.visit_locked(page, scan, batch) {
                PageVisit::Ended(end) => return end,
                PageVisit::Wait => {
                    // The writer may need the page lock.
                    drop(lock);
                    page.wait_for_writeback();
                    let Some(again) = page.try_lock() else {
                        return PageEnd::Back { activate: false };
                    };
                    lock = again;
                }
            }
        }
    }

    fn visit_locked(
        &self,
        page: &Arc<Page>,
        scan: &Scan<'_>,
        batch: &mut BatchCounts,
    ) -> PageVisit {
        count(&page.state(), batch);
        for _ in 0..MAX_VERDICTS {
            let state = page.state();
            let mask =
                self.page_target(page).map_or(scan.mask, |target| self.mask_for(scan, &target));
            match decide(&state, &self.control(scan, mask)) {
                PageVerdict::Keep => return PageVisit::BACK,
                PageVerdict::Activate => {
                    page.update(|state| state.referenced = false);
                    return PageVisit::ACTIVATE;
                }
                PageVerdict::Mark => {
                    page.update(|state| state.marked = true);
                    return PageVisit::ACTIVATE;
                }
                PageVerdict::Immediate => {
                    batch.immediate += 1;
                    return PageVisit::ACTIVATE;
                }
                PageVerdict::WaitForWriteback => {
                    return PageVisit::Wait;
                }
                PageVerdict::AddToSwap => match self.take_swap_slot() {
                    Some(slot) => {
                        let fs_backed = slot.area().fs_backed();
                        page.give_slot(slot, fs_backed);
                    }
                    None => return PageVisit::ACTIVATE,
                },
                PageVerdict::Unmap => page.update(|state| state.mapped = false),
                PageVerdict::Write => return PageVisit::Ended(self.write(page, mask)),
                PageVerdict::Release => {
                    if !page.release(mask) {
                        return PageVisit::ACTIVATE;
                    }
                    page.update(|state| state.private = false);
                }
                PageVerdict::Free => {
                    let Some(block) = page.take() else {
                        return PageVisit::BACK;
                    };
                    drop(block);
                    return PageVisit::Ended(PageEnd::Freed);
                }
            }
        }
        PageVisit::BACK
    }

    fn page_target(&self, page: &Page) -> Option<Target> {
        match page.slot() {
            Some(slot) => Some(Target::SwapPage(slot.area().place())),
            None => page.owner()?.superblock().map(Target::FilePage),
        }
    }

    /// Starts the write and does not wait for it: a later pass finds the page clean.
    fn write(&self, page: &Arc<Page>, mask: Gfp) -> PageEnd {
        let started = match page.slot() {
            Some(slot) => Some(slot.write(page, mask)),
            None => page.writepage(mask),
        };
        let Some(started) = started else {
            return PageEnd::Back { activate: true };
        };
        page.update(|state| state.marked = started.is_ok());
        PageEnd::Back { activate: started.is_err() }
    }

    /// Sets the node's flags from the batch, and throttles the task if the node is congested.
    fn after(&self, batch: &BatchCounts, scan: &Scan<'_>) {
        if batch.taken == 0 {
            return;
        }
        let NodeFlags { dirty_heavy, writeback_heavy, congested } = &self.0.node;
        if batch.unqueued == batch.taken {
            // Nothing writes these pages, so reclaim would never find them clean.
            self.wake_flushers();
        }
        if scan.is_kswapd() {
            if batch.writeback > 0 && batch.writeback == batch.taken {
                writeback_heavy.store(true, Ordering::Release);
            }
            if batch.unqueued > 0 && batch.unqueued == batch.taken {
                dirty_heavy.store(true, Ordering::Release);
            }
            if batch.dirty > 0 && batch.dirty == batch.congested {
                congested.store(true, Ordering::Release);
            }
            if batch.immediate > 0 {
                self.throttle(ThrottleReason::Writeback);
            }
        } else if congested.load(Ordering::Acquire) {
            self.throttle(ThrottleReason::Congested);
        }
    }
}

/// The name of the page's state in plans.
const fn filter(state: &PageState) -> PageFilter {
    match (state.class, state.io) {
        (PageClass::File, PageIo::Clean) => PageFilter::FileClean,
        (PageClass::File, PageIo::Dirty) => PageFilter::FileDirty,
        (PageClass::File, PageIo::Writeback) => PageFilter::FileWriteback,
        (PageClass::Anon, _) => PageFilter::Anon,
        (PageClass::SwapCache { .. }, PageIo::Clean) => PageFilter::SwapClean,
        (PageClass::SwapCache { .. }, PageIo::Dirty) => PageFilter::SwapDirty,
        (PageClass::SwapCache { .. }, PageIo::Writeback) => PageFilter::SwapWriteback,
    }
}

fn count(state: &PageState, batch: &mut BatchCounts) {
    match state.io {
        PageIo::Clean => {}
        PageIo::Dirty => {
            batch.dirty += 1;
            batch.unqueued += 1;
        }
        PageIo::Writeback => {
            batch.dirty += 1;
            batch.writeback += 1;
            batch.congested += u64::from(state.marked);
        }
    }
}
