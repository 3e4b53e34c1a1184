//! The oldest pages of a list: each is looked at, and something becomes of it.
//!
//! Carries out what [`decide`] says, step by step, and keeps the counts that throttle reclaim
//! afterwards. Mirrors `shrink_inactive_list` and `shrink_folio_list`; written from the project's
//! description of reclaim, 3.7 and 4.2.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::lru::{List, Lists};
use super::memory::{Inner, Mm};
use super::page::{Class, Io, Page, PageControl, PageState, Verdict, decide};
use super::policy::Target;
use super::reclaim::{NodeFlags, Scan};
use super::throttle::Cause;
use crate::event::{Gfp, ReclaimKind};
use crate::inject::PageFilter;

/// Verdicts for one page after which it is left alone: each changes it, so that this is never
/// reached.
const MAX_VERDICTS: u32 = 16;

/// What became of a batch.
#[derive(Default)]
struct Batch {
    taken: u64,
    freed: u64,
    dirty: u64,
    /// Dirty, and nobody writes them yet.
    unqueued: u64,
    writeback: u64,
    immediate: u64,
    /// Under writeback and seen before.
    congested: u64,
}

/// What a page's visit ends with.
enum End {
    Freed,
    Back { activate: bool },
}

/// How far a visit came.
enum Visit {
    Ended(End),
    /// The page must be waited for, and looked at again.
    Wait,
}

impl Visit {
    const BACK: Self = Self::Ended(End::Back { activate: false });
    const ACTIVATE: Self = Self::Ended(End::Back { activate: true });
}

impl Mm {
    /// Looks at up to `count` pages; none where too many are isolated already.
    pub(super) fn shrink_inactive(
        &self,
        lists: &Lists,
        list: List,
        count: usize,
        scan: &Scan<'_>,
    ) -> Option<u64> {
        let mut waited = false;
        while !scan.is_kswapd() && Self::too_many_isolated(lists, list, scan.mask) {
            if waited {
                return None;
            }
            waited = true;
            self.throttle(Cause::Isolated);
        }
        let pages = lists.isolate(list, count);
        let mut batch = Batch::default();
        for page in pages {
            batch.taken += 1;
            match self.visit(&page, scan, &mut batch) {
                End::Freed => {
                    batch.freed += 1;
                    lists.freed(list);
                }
                End::Back { activate } => lists.put_back(list, page, activate),
            }
        }
        self.after(&batch, scan);
        Some(batch.freed)
    }

    fn control(&self, scan: &Scan<'_>, mask: Gfp) -> PageControl {
        let Inner { node: NodeFlags { dirty_heavy, writeback_heavy, .. }, memcg, .. } = &*self.0;
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

    fn visit(&self, page: &Arc<Page>, scan: &Scan<'_>, batch: &mut Batch) -> End {
        let wanted = scan.pressed.is_none_or(|pressed| pressed.wants_page(filter(&page.state())));
        let Some(mut lock) = page.try_lock().filter(|_| wanted) else {
            return End::Back { activate: false };
        };
        loop {
            match self.visit_locked(page, scan, batch) {
                Visit::Ended(end) => return end,
                Visit::Wait => {
                    // Without the page lock: whoever writes may need it.
                    drop(lock);
                    page.wait_for_writeback();
                    let Some(again) = page.try_lock() else {
                        return End::Back { activate: false };
                    };
                    lock = again;
                }
            }
        }
    }

    fn visit_locked(&self, page: &Arc<Page>, scan: &Scan<'_>, batch: &mut Batch) -> Visit {
        count(&page.state(), batch);
        for _ in 0..MAX_VERDICTS {
            let state = page.state();
            let mask =
                self.page_target(page).map_or(scan.mask, |target| self.mask_for(scan, &target));
            match decide(&state, &self.control(scan, mask)) {
                Verdict::Keep => return Visit::BACK,
                Verdict::Activate => {
                    page.update(|state| state.referenced = false);
                    return Visit::ACTIVATE;
                }
                Verdict::Mark => {
                    page.update(|state| state.marked = true);
                    return Visit::ACTIVATE;
                }
                Verdict::Immediate => {
                    batch.immediate += 1;
                    return Visit::ACTIVATE;
                }
                Verdict::WaitForWriteback => {
                    return Visit::Wait;
                }
                Verdict::AddToSwap => match self.take_slot() {
                    Some(slot) => {
                        let fs_backed = slot.area().fs_backed();
                        page.give_slot(slot, fs_backed);
                    }
                    None => return Visit::ACTIVATE,
                },
                Verdict::Unmap => page.update(|state| state.mapped = false),
                Verdict::Write => return Visit::Ended(self.write(page, mask)),
                Verdict::Release => {
                    if !page.release(mask) {
                        return Visit::ACTIVATE;
                    }
                    page.update(|state| state.private = false);
                }
                Verdict::Free => {
                    let Some(block) = page.take() else {
                        return Visit::BACK;
                    };
                    drop(block);
                    return Visit::Ended(End::Freed);
                }
            }
        }
        Visit::BACK
    }

    fn page_target(&self, page: &Page) -> Option<Target> {
        match page.slot() {
            Some(slot) => Some(Target::SwapPage(slot.area().place())),
            None => page.owner()?.superblock().map(Target::FilePage),
        }
    }

    /// Starts the write and goes on: it is for another pass to find the page clean.
    fn write(&self, page: &Arc<Page>, mask: Gfp) -> End {
        let started = match page.slot() {
            Some(slot) => Some(slot.write(page, mask)),
            None => page.writepage(mask),
        };
        let Some(started) = started else {
            return End::Back { activate: true };
        };
        page.update(|state| state.marked = started.is_ok());
        End::Back { activate: started.is_err() }
    }

    /// What the batch says about the node, and whether the task is slowed down for it.
    fn after(&self, batch: &Batch, scan: &Scan<'_>) {
        if batch.taken == 0 {
            return;
        }
        let NodeFlags { dirty_heavy, writeback_heavy, congested } = &self.0.node;
        if batch.unqueued == batch.taken {
            // Nobody writes what reclaim waits for.
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
                self.throttle(Cause::Writeback);
            }
        } else if congested.load(Ordering::Acquire) {
            self.throttle(Cause::Congested);
        }
    }
}

/// What plans call the page.
const fn filter(state: &PageState) -> PageFilter {
    match (state.class, state.io) {
        (Class::File, Io::Clean) => PageFilter::FileClean,
        (Class::File, Io::Dirty) => PageFilter::FileDirty,
        (Class::File, Io::Writeback) => PageFilter::FileWriteback,
        (Class::Anon, _) => PageFilter::Anon,
        (Class::SwapCache { .. }, Io::Clean) => PageFilter::SwapClean,
        (Class::SwapCache { .. }, Io::Dirty) => PageFilter::SwapDirty,
        (Class::SwapCache { .. }, Io::Writeback) => PageFilter::SwapWriteback,
    }
}

fn count(state: &PageState, batch: &mut Batch) {
    match state.io {
        Io::Clean => {}
        Io::Dirty => {
            batch.dirty += 1;
            batch.unqueued += 1;
        }
        Io::Writeback => {
            batch.dirty += 1;
            batch.writeback += 1;
            batch.congested += u64::from(state.marked);
        }
    }
}
