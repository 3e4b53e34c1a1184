//! Reclaim's lists of pages.
//!
//! Key types: [`Lruvec`], [`LruList`]. There are two pairs of lists, for file pages and for
//! anonymous pages. Of each pair one list holds pages that were used lately (active), the other the
//! pages that reclaim takes next (inactive). Isolated pages are on no list and are counted, because
//! too many of them throttle direct reclaimers. Mirrors `struct lruvec`; written from
//! docs/kernel/allocation.md, "Throttling", and docs/kernel/reclaim.md, "Direct reclaim and
//! kswapd".
//!
//! Locking: one leaf lock around the four lists.

use std::collections::VecDeque;
use std::sync::Arc;

use super::page::{Page, PageClass};
use crate::sched::SpinLock;

/// A pair of lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LruList {
    File,
    Anon,
}

impl LruList {
    pub(super) const ALL: [Self; 2] = [Self::File, Self::Anon];

    const fn of(class: PageClass) -> Self {
        match class {
            PageClass::File => Self::File,
            PageClass::Anon | PageClass::SwapCache { .. } => Self::Anon,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::File => 0,
            Self::Anon => 1,
        }
    }
}

#[derive(Default)]
struct LruPair {
    active: VecDeque<Arc<Page>>,
    inactive: VecDeque<Arc<Page>>,
    isolated: u64,
}

/// The lists of the world or of its memcg (`struct lruvec`).
#[derive(Default)]
pub(super) struct Lruvec(SpinLock<[LruPair; 2]>);

impl Lruvec {
    /// Adds a page to the young end of its inactive list.
    pub(super) fn add(&self, page: Arc<Page>) {
        let list = LruList::of(page.state().class);
        self.0.lock()[list.index()].inactive.push_back(page);
    }

    /// How many pages both lists of a pair hold.
    pub(super) fn size(&self, list: LruList) -> u64 {
        let pair = &self.0.lock()[list.index()];
        (pair.active.len() + pair.inactive.len()) as u64
    }

    pub(super) fn inactive(&self, list: LruList) -> u64 {
        self.0.lock()[list.index()].inactive.len() as u64
    }

    pub(super) fn isolated(&self, list: LruList) -> u64 {
        self.0.lock()[list.index()].isolated
    }

    /// Takes up to `count` pages off the old end of the inactive list.
    pub(super) fn isolate(&self, list: LruList, count: usize) -> Vec<Arc<Page>> {
        let pair = &mut self.0.lock()[list.index()];
        let count = count.min(pair.inactive.len());
        pair.isolated += count as u64;
        pair.inactive.drain(..count).collect()
    }

    /// Puts an isolated page of `from` back on the active or the inactive list. Its pair may have
    /// changed meanwhile.
    pub(super) fn put_back(&self, from: LruList, page: Arc<Page>, activate: bool) {
        let to = LruList::of(page.state().class);
        let mut pairs = self.0.lock();
        pairs[from.index()].isolated -= 1;
        let pair = &mut pairs[to.index()];
        if activate { pair.active.push_back(page) } else { pair.inactive.push_back(page) }
    }

    /// An isolated page of `from` was freed.
    pub(super) fn freed(&self, from: LruList) {
        self.0.lock()[from.index()].isolated -= 1;
    }

    /// Moves up to `count` of the oldest active pages to the inactive list, if that one is shorter
    /// or `force` is set (`shrink_active_list`, `inactive_is_low`).
    pub(super) fn deactivate(&self, list: LruList, count: usize, force: bool) {
        let pair = &mut self.0.lock()[list.index()];
        if !force && pair.inactive.len() >= pair.active.len() {
            return;
        }
        let count = count.min(pair.active.len());
        for page in pair.active.drain(..count) {
            page.update(|state| state.referenced = false);
            pair.inactive.push_back(page);
        }
    }

    /// Takes every page off its list.
    pub(super) fn drain(&self) -> Vec<Arc<Page>> {
        let mut pairs = self.0.lock();
        pairs
            .iter_mut()
            .flat_map(|pair| pair.inactive.drain(..).chain(pair.active.drain(..)))
            .collect()
    }

    /// A copy of every page's reference; the pages stay on their lists.
    pub(super) fn pages(&self) -> Vec<Arc<Page>> {
        let pairs = self.0.lock();
        pairs.iter().flat_map(|pair| pair.inactive.iter().chain(&pair.active)).cloned().collect()
    }
}
