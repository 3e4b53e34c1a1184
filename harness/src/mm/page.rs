//! Pages, and what reclaim does with one.
//!
//! Key types: [`PageState`], [`Verdict`], [`Page`], [`PageOwner`]. A page is {file, anonymous, in
//! the swap cache} x {clean, dirty, under writeback} x {marked for reclaim} x {of a filesystem or
//! of none}. [`decide`] is the decision for an isolated page, one step at a time: a verdict that
//! changes the page is followed by another. Mirrors `shrink_folio_list` in `mm/vmscan.c`; written
//! from the project's description of reclaim, 4.2.
//!
//! Locking: a page's state is a leaf; its page lock ([`PageLock`]) is only ever tried for.

mod lock;

pub use lock::PageLock;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use reclaimdep_scope::{Bracket, Superblock};

use super::alloc::PageBlock;
use super::policy::Waits;
use super::swap::Slot;
use crate::error::Errno;
use crate::event::{Gfp, Resource};
use crate::sched::{Sched, Side, SpinLock, WaitQueue, Waiting, quiet};

/// What a page holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Part of a file.
    File,
    /// Anonymous, without a place in swap.
    Anon,
    /// Anonymous, with a place in a swap area.
    SwapCache {
        /// The area is a file that its filesystem writes itself.
        fs_backed: bool,
    },
}

/// Whether what is stored is what is in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Io {
    /// It is.
    Clean,
    /// It is not.
    Dirty,
    /// It is being written.
    Writeback,
}

/// What a page is, as far as reclaim asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageState {
    /// What it holds.
    pub class: Class,
    /// Whether it is stored.
    pub io: Io,
    /// Reclaim has seen it before and wants it soon (PG_reclaim).
    pub marked: bool,
    /// Page tables point to it.
    pub mapped: bool,
    /// It must stay where it is (pinned for DMA).
    pub pinned: bool,
    /// The filesystem keeps something with it and must be asked to let go.
    pub private: bool,
    /// Somebody else has a reference to it.
    pub in_use: bool,
    /// It was used since reclaim last looked.
    pub referenced: bool,
    /// Its owner can write a single page (`->writepage`, removed in 6.16).
    pub has_writepage: bool,
}

impl PageState {
    /// A clean file page that nobody uses.
    pub const CLEAN_FILE: Self = Self {
        class: Class::File,
        io: Io::Clean,
        marked: false,
        mapped: false,
        pinned: false,
        private: false,
        in_use: false,
        referenced: false,
        has_writepage: true,
    };

    /// The same in another class and state of storage.
    #[must_use]
    pub const fn with(self, class: Class, io: Io) -> Self {
        Self { class, io, ..self }
    }
}

/// On whose behalf the page is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageControl {
    /// What may be done for it.
    pub mask: Gfp,
    /// By kswapd.
    pub kswapd: bool,
    /// For the limit of a memory cgroup of version 1, which has no throttling of dirtiers.
    pub legacy_memcg: bool,
    /// Pages may be written at all.
    pub may_writepage: bool,
    /// Pages may be unmapped at all.
    pub may_unmap: bool,
    /// There is room in swap.
    pub may_swap: bool,
    /// The node is full of pages under writeback.
    pub writeback_heavy: bool,
    /// The node is full of dirty pages.
    pub dirty_heavy: bool,
    /// A swap area on a filesystem needs FS (5.19).
    pub swap_over_fs_needs_fs: bool,
}

impl PageControl {
    /// Direct reclaim with `mask`, with swap, under Linux 6.12.
    #[must_use]
    pub const fn direct(mask: Gfp) -> Self {
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

    /// Whether working on a page of `class` may call into a filesystem, or need not.
    #[must_use]
    pub const fn may_enter_fs(&self, class: Class) -> bool {
        if self.mask.contains(Gfp::FS) {
            return true;
        }
        match class {
            Class::SwapCache { fs_backed } => {
                self.mask.contains(Gfp::IO) && !(fs_backed && self.swap_over_fs_needs_fs)
            }
            Class::File | Class::Anon => false,
        }
    }
}

/// The next thing to do with an isolated page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Leave it on its list.
    Keep,
    /// Put it back among the pages in use.
    Activate,
    /// Mark it for reclaim, and put it back among the pages in use.
    Mark,
    /// Under writeback and seen before, by kswapd: counted, so that kswapd sleeps later, once.
    Immediate,
    /// Wait until it is written. Limit reclaim of a version 1 memory cgroup alone.
    WaitForWriteback,
    /// Give it a place in swap; it is dirty then.
    AddToSwap,
    /// Take it out of the page tables.
    Unmap,
    /// Start to write it, and go on to the next page.
    Write,
    /// Ask the filesystem to let go of what it keeps with the page.
    Release,
    /// Free it.
    Free,
}

/// What to do with a page that was isolated and locked.
#[must_use]
pub fn decide(page: &PageState, control: &PageControl) -> Verdict {
    if page.referenced {
        return Verdict::Activate;
    }
    if page.mapped && !control.may_unmap {
        return Verdict::Keep;
    }
    let may_enter_fs = control.may_enter_fs(page.class);
    if page.io == Io::Writeback {
        return if control.kswapd && page.marked && control.writeback_heavy {
            Verdict::Immediate
        } else if !control.legacy_memcg || !page.marked || !may_enter_fs {
            // The page may wait for a write that is not submitted yet, or that this very task
            // serves.
            Verdict::Mark
        } else {
            Verdict::WaitForWriteback
        };
    }
    if page.class == Class::Anon {
        let fits = control.mask.contains(Gfp::IO) && !page.pinned;
        return match (fits, control.may_swap) {
            (false, _) => Verdict::Keep,
            (true, false) => Verdict::Activate,
            (true, true) => Verdict::AddToSwap,
        };
    }
    if page.mapped {
        return Verdict::Unmap;
    }
    if page.io == Io::Dirty {
        let by_kswapd = control.kswapd && page.marked && control.dirty_heavy;
        if page.class == Class::File && !by_kswapd {
            // Direct reclaim never writes file pages: its stack may be deep already.
            return Verdict::Mark;
        }
        return match (may_enter_fs && control.may_writepage, page.has_writepage) {
            (false, _) => Verdict::Keep,
            (true, false) => Verdict::Activate,
            (true, true) => Verdict::Write,
        };
    }
    if page.private {
        return Verdict::Release;
    }
    if page.in_use { Verdict::Keep } else { Verdict::Free }
}

/// Whose page it is: a filesystem's mapping, the swap cache.
pub trait PageOwner: Send + Sync {
    /// The filesystem, if it is one's.
    fn superblock(&self) -> Option<Superblock> {
        None
    }

    /// Whether a single page can be written (`->writepage`).
    fn has_writepage(&self) -> bool {
        false
    }

    /// Starts to write the page: calls [`Page::start_writeback`], and when it is stored
    /// [`Page::end_writeback`]. It must not wait for that.
    ///
    /// # Errors
    /// What the write was refused with.
    fn writepage(&self, _page: &Arc<Page>, _mask: Gfp) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// When letting go ([`PageOwner::release`]) waits for the filesystem: the rule that it follows,
    /// not the one that it should.
    fn waits(&self) -> Waits {
        Waits::Never
    }

    /// Lets go of what is kept with a clean page; says whether it did (`->release_folio`). Called
    /// also for an allocation that must not enter a filesystem: it has to look at the mask.
    fn release(&self, _page: &Arc<Page>, _mask: Gfp) -> bool {
        true
    }
}

struct Inner {
    state: PageState,
    slot: Option<Slot>,
    /// What a wait for the write is a wait for.
    written_by: Option<Resource>,
    block: Option<PageBlock>,
}

/// A page on reclaim's lists.
pub struct Page {
    owner: Option<(Side, Arc<dyn PageOwner>)>,
    inner: SpinLock<Inner>,
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
                .map_or(state.class != Class::File, |(_, owner)| owner.has_writepage()),
            ..state
        };
        Arc::new(Self {
            owner,
            inner: SpinLock::new(Inner { state, slot: None, written_by: None, block: Some(block) }),
            locked: AtomicBool::new(false),
            written: WaitQueue::new(sched),
        })
    }

    /// What it is now.
    #[must_use]
    pub fn state(&self) -> PageState {
        self.inner.lock().state
    }

    /// Whether reclaim has taken its memory.
    #[must_use]
    pub fn is_freed(&self) -> bool {
        self.inner.lock().block.is_none()
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> Option<&Arc<dyn PageOwner>> {
        self.owner.as_ref().map(|(_, owner)| owner)
    }

    /// Asks the owner to let go of what it keeps with the page; a page of nobody's has nothing.
    pub(super) fn release(self: &Arc<Self>, mask: Gfp) -> bool {
        self.owner
            .as_ref()
            .is_none_or(|(side, owner)| Bracket::around(|| side.call(|| owner.release(self, mask))))
    }

    /// Tells the owner, if there is one, to write the page.
    pub(super) fn writepage(self: &Arc<Self>, mask: Gfp) -> Option<Result<(), Errno>> {
        let owner = self.owner.as_ref();
        owner.map(|(side, owner)| Bracket::around(|| side.call(|| owner.writepage(self, mask))))
    }

    /// Changes what it is.
    pub fn update(&self, change: impl FnOnce(&mut PageState)) {
        let _ours = quiet();
        change(&mut self.inner.lock().state);
    }

    /// Says that a write was started; `by` is what it is a wait for to wait until it is stored.
    pub fn start_writeback(&self, by: Resource) {
        let mut inner = self.inner.lock();
        inner.state.io = Io::Writeback;
        inner.written_by = Some(by);
    }

    /// Says that the write ended; a page that failed is dirty again.
    pub fn end_writeback(&self, outcome: Result<(), Errno>) {
        {
            let mut inner = self.inner.lock();
            inner.state.io = if outcome.is_ok() { Io::Clean } else { Io::Dirty };
            inner.written_by = None;
        }
        self.written.wake_all();
    }

    /// Waits until the write, if there is one, has ended.
    pub fn wait_for_writeback(&self) {
        let (by, io) = {
            let inner = self.inner.lock();
            (inner.written_by, inner.state.io)
        };
        let (Io::Writeback, Some(resource)) = (io, by) else {
            return;
        };
        let waiting = Waiting::on(resource, "page writeback");
        let ended = self.written.wait_until(waiting, || self.state().io != Io::Writeback);
        debug_assert!(ended.is_ok(), "a wait for a page is never broken");
    }

    pub(super) fn give_slot(&self, slot: Slot, fs_backed: bool) {
        let mut inner = self.inner.lock();
        inner.state = inner.state.with(Class::SwapCache { fs_backed }, Io::Dirty);
        inner.slot = Some(slot);
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        self.inner.lock().slot.clone()
    }

    /// Takes the page's memory if nobody began to use it meanwhile (`__remove_mapping`).
    pub(super) fn take(&self) -> Option<PageBlock> {
        let mut inner = self.inner.lock();
        let state = inner.state;
        let idle = state.io == Io::Clean && !state.in_use && !state.private;
        if idle { inner.block.take() } else { None }
    }
}

#[cfg(test)]
mod tests;
