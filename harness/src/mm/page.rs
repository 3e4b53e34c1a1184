//! Pages, and what reclaim does with one.
//!
//! Key types: [`PageState`], [`PageVerdict`], [`Page`], [`PageOwner`]. A page is {file, anonymous,
//! in the swap cache} x {clean, dirty, under writeback} x {marked for reclaim or not} x {with or
//! without a filesystem}. [`decide`] returns the next step for an isolated page; after a step that
//! changes the page it is called again. Mirrors `shrink_folio_list` in `mm/vmscan.c`; written from
//! docs/kernel/reclaim.md, "The decision for each page".
//!
//! Locking: a page's state is a leaf; for its page lock ([`PageLock`]) reclaim never waits.

mod lock;

pub use lock::PageLock;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use reclaimdep_scope::{Bracket, Superblock};

use super::alloc::PageBlock;
use super::policy::Waits;
use super::swap::SwapSlot;
use crate::error::Errno;
use crate::event::{Gfp, Resource};
use crate::sched::{Sched, Side, SpinLock, WaitQueue, Waiting, harness_side};

/// The content of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageClass {
    /// Part of a file.
    File,
    /// Anonymous, without a slot in a swap area.
    Anon,
    /// Anonymous, with a slot in a swap area.
    SwapCache {
        /// Whether the area is a file that its filesystem writes itself.
        fs_backed: bool,
    },
}

/// Whether the stored content is that in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageIo {
    /// It is the same.
    Clean,
    /// It differs.
    Dirty,
    /// A write is in flight.
    Writeback,
}

/// The state of a page, as far as reclaim reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageState {
    /// Its content.
    pub class: PageClass,
    /// Whether its content is stored.
    pub io: PageIo,
    /// Reclaim has seen it dirty or under writeback before (PG_reclaim).
    pub marked: bool,
    /// Page tables point to it.
    pub mapped: bool,
    /// It must stay where it is (pinned for DMA).
    pub pinned: bool,
    /// The filesystem has private data with it, which its release hook must free (PG_private).
    pub private: bool,
    /// Another user has a reference to it.
    pub in_use: bool,
    /// It was used since reclaim saw it last.
    pub referenced: bool,
    /// Its owner can write a single page (`->writepage`, removed in 6.16).
    pub has_writepage: bool,
}

impl PageState {
    /// A clean file page without users.
    pub const CLEAN_FILE: Self = Self {
        class: PageClass::File,
        io: PageIo::Clean,
        marked: false,
        mapped: false,
        pinned: false,
        private: false,
        in_use: false,
        referenced: false,
        has_writepage: true,
    };

    /// The same state with another content and storage state.
    #[must_use]
    pub const fn with(self, class: PageClass, io: PageIo) -> Self {
        Self { class, io, ..self }
    }
}

/// The reclaim that looks at a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PageControl {
    /// What reclaim may do with the page.
    pub(super) mask: Gfp,
    /// The reclaimer is kswapd.
    pub(super) kswapd: bool,
    /// Reclaim for the limit of a version 1 memory cgroup, which does not throttle dirtiers.
    pub(super) legacy_memcg: bool,
    /// Pages may be written at all.
    pub(super) may_writepage: bool,
    /// Pages may be unmapped at all.
    pub(super) may_unmap: bool,
    /// A swap area has a free slot.
    pub(super) may_swap: bool,
    /// The node is full of pages under writeback.
    pub(super) writeback_heavy: bool,
    /// The node is full of dirty pages.
    pub(super) dirty_heavy: bool,
    /// A swap area on a filesystem needs FS (5.19).
    pub(super) swap_over_fs_needs_fs: bool,
}

impl PageControl {
    /// Direct reclaim with `mask`, with swap, under Linux 6.12.
    #[cfg(test)]
    #[must_use]
    pub(super) const fn direct(mask: Gfp) -> Self {
        Self {
            mask,
            kswapd: false,
            legacy_memcg: false,
            may_writepage: true,
            may_unmap: true,
            may_swap: true,
            writeback_heavy: false,
            dirty_heavy: false,
            swap_over_fs_needs_fs: true,
        }
    }

    /// Whether reclaim may work on a page of `class`, which may call into a filesystem
    /// (`may_enter_fs`).
    #[must_use]
    pub(super) const fn may_enter_fs(&self, class: PageClass) -> bool {
        if self.mask.contains(Gfp::FS) {
            return true;
        }
        match class {
            PageClass::SwapCache { fs_backed } => {
                self.mask.contains(Gfp::IO) && !(fs_backed && self.swap_over_fs_needs_fs)
            }
            PageClass::File | PageClass::Anon => false,
        }
    }
}

/// The next step for an isolated page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PageVerdict {
    /// Leave it on its list.
    Keep,
    /// Put it on the active list.
    Activate,
    /// Mark it for reclaim, and put it on the active list.
    Mark,
    /// kswapd has seen it under writeback before: count it, so that kswapd sleeps once afterwards.
    Immediate,
    /// Wait until it is written. Only limit reclaim of a version 1 memory cgroup does this.
    WaitForWriteback,
    /// Give it a slot in a swap area; it is dirty then.
    AddToSwap,
    /// Unmap it from the page tables.
    Unmap,
    /// Start to write it, and go on to the next page.
    Write,
    /// Call the release hook of its filesystem.
    Release,
    /// Free it.
    Free,
}

/// The next step for an isolated and locked page.
#[must_use]
pub(super) fn decide(page: &PageState, control: &PageControl) -> PageVerdict {
    if page.referenced {
        return PageVerdict::Activate;
    }
    if page.mapped && !control.may_unmap {
        return PageVerdict::Keep;
    }
    let may_enter_fs = control.may_enter_fs(page.class);
    if page.io == PageIo::Writeback {
        return if control.kswapd && page.marked && control.writeback_heavy {
            PageVerdict::Immediate
        } else if !control.legacy_memcg || !page.marked || !may_enter_fs {
            // A wait could deadlock: the write may not be submitted yet, or this task may be the
            // one that must complete it.
            PageVerdict::Mark
        } else {
            PageVerdict::WaitForWriteback
        };
    }
    if page.class == PageClass::Anon {
        let fits = control.mask.contains(Gfp::IO) && !page.pinned;
        return match (fits, control.may_swap) {
            (false, _) => PageVerdict::Keep,
            (true, false) => PageVerdict::Activate,
            (true, true) => PageVerdict::AddToSwap,
        };
    }
    if page.mapped {
        return PageVerdict::Unmap;
    }
    if page.io == PageIo::Dirty {
        let by_kswapd = control.kswapd && page.marked && control.dirty_heavy;
        if page.class == PageClass::File && !by_kswapd {
            // Direct reclaim never writes file pages, because its call stack may be deep already.
            return PageVerdict::Mark;
        }
        return match (may_enter_fs && control.may_writepage, page.has_writepage) {
            (false, _) => PageVerdict::Keep,
            (true, false) => PageVerdict::Activate,
            (true, true) => PageVerdict::Write,
        };
    }
    if page.private {
        return PageVerdict::Release;
    }
    if page.in_use { PageVerdict::Keep } else { PageVerdict::Free }
}

/// The owner of a page, such as a file's mapping.
pub trait PageOwner: Send + Sync {
    /// The filesystem of the page, if it has one.
    fn superblock(&self) -> Option<Superblock> {
        None
    }

    /// Whether a single page can be written (`->writepage`).
    fn has_writepage(&self) -> bool {
        false
    }

    /// Starts to write the page: calls [`Page::start_writeback`], and when the write has ended
    /// [`Page::end_writeback`]. It must not wait for that end.
    ///
    /// # Errors
    /// The error of the write, if it could not be started.
    fn writepage(&self, _page: &Arc<Page>, _mask: Gfp) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Under which mask [`PageOwner::release`] waits for the filesystem. This is the rule that it
    /// follows, even if that rule is a bug.
    fn waits(&self) -> Waits {
        Waits::Never
    }

    /// Frees the private data of a clean page; returns whether it did (`->release_folio`). It is
    /// also called for an allocation that must not enter a filesystem, so it must check the mask.
    fn release(&self, _page: &Arc<Page>, _mask: Gfp) -> bool {
        true
    }
}

struct PageRecord {
    state: PageState,
    slot: Option<SwapSlot>,
    /// The resource that a wait for the write depends on.
    written_by: Option<Resource>,
    block: Option<PageBlock>,
}

/// A page on reclaim's lists.
pub struct Page {
    owner: Option<(Side, Arc<dyn PageOwner>)>,
    record: SpinLock<PageRecord>,
    locked: AtomicBool,
    written: WaitQueue,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Page {
    pub(super) fn new(
        sched: &Sched,
        block: PageBlock,
        state: PageState,
        owner: Option<(Side, Arc<dyn PageOwner>)>,
    ) -> Arc<Self> {
        let state = PageState {
            has_writepage: owner
                .as_ref()
                .map_or(state.class != PageClass::File, |(_, owner)| owner.has_writepage()),
            ..state
        };
        Arc::new(Self {
            owner,
            record: SpinLock::new(PageRecord {
                state,
                slot: None,
                written_by: None,
                block: Some(block),
            }),
            locked: AtomicBool::new(false),
            written: WaitQueue::new(sched),
        })
    }

    /// Its state now.
    #[must_use]
    pub fn state(&self) -> PageState {
        self.record.lock().state
    }

    /// Whether reclaim has freed it.
    #[must_use]
    pub fn is_freed(&self) -> bool {
        self.record.lock().block.is_none()
    }

    /// Its owner, if it has one.
    #[must_use]
    pub fn owner(&self) -> Option<&Arc<dyn PageOwner>> {
        self.owner.as_ref().map(|(_, owner)| owner)
    }

    /// Calls the owner's release hook; a page without an owner has no private data.
    pub(super) fn release(self: &Arc<Self>, mask: Gfp) -> bool {
        self.owner
            .as_ref()
            .is_none_or(|(side, owner)| Bracket::around(|| side.call(|| owner.release(self, mask))))
    }

    /// Makes the owner write the page; `None` without an owner.
    pub(super) fn writepage(self: &Arc<Self>, mask: Gfp) -> Option<Result<(), Errno>> {
        let owner = self.owner.as_ref();
        owner.map(|(side, owner)| Bracket::around(|| side.call(|| owner.writepage(self, mask))))
    }

    /// Changes its state.
    pub fn update(&self, change: impl FnOnce(&mut PageState)) {
        let _side = harness_side();
        change(&mut self.record.lock().state);
    }

    /// Marks the page as under writeback; a wait for the write depends on `by`.
    pub fn start_writeback(&self, by: Resource) {
        let mut record = self.record.lock();
        record.state.io = PageIo::Writeback;
        record.written_by = Some(by);
    }

    /// Ends the write; after an error the page is dirty again.
    pub fn end_writeback(&self, outcome: Result<(), Errno>) {
        {
            let mut record = self.record.lock();
            record.state.io = if outcome.is_ok() { PageIo::Clean } else { PageIo::Dirty };
            record.written_by = None;
        }
        self.written.wake_all();
    }

    /// Waits until the write in flight, if there is one, has ended.
    pub fn wait_for_writeback(&self) {
        let (by, io) = {
            let record = self.record.lock();
            (record.written_by, record.state.io)
        };
        let (PageIo::Writeback, Some(resource)) = (io, by) else {
            return;
        };
        let waiting = Waiting::on(resource, "page writeback");
        let ended = self.written.wait_until(waiting, || self.state().io != PageIo::Writeback);
        debug_assert!(ended.is_ok(), "a wait for a page is never broken");
    }

    pub(super) fn give_slot(&self, slot: SwapSlot, fs_backed: bool) {
        let mut record = self.record.lock();
        record.state = record.state.with(PageClass::SwapCache { fs_backed }, PageIo::Dirty);
        record.slot = Some(slot);
    }

    pub(super) fn slot(&self) -> Option<SwapSlot> {
        self.record.lock().slot.clone()
    }

    /// Takes the page's memory if the page is still clean and unused (`__remove_mapping`).
    pub(super) fn take(&self) -> Option<PageBlock> {
        let mut record = self.record.lock();
        let state = record.state;
        let idle = state.io == PageIo::Clean && !state.in_use && !state.private;
        if idle { record.block.take() } else { None }
    }
}

#[cfg(test)]
mod tests;
