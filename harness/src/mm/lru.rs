//! Reclaim's lists of pages.
//!
//! Key types: [`Lists`], [`List`]. Two pairs, file and anonymous, each with pages that were used
//! lately (active) and pages that are next (inactive). Isolated pages are on no list and are
//! counted, because too many of them throttle direct reclaimers. Mirrors `struct lruvec`; written
//! from the project's description of reclaim, 3.7 and 4.1.
//!
//! Locking: one leaf lock around the four lists.

use std::collections::VecDeque;
use std::sync::Arc;

use super::page::{Class, Page};
use crate::sched::SpinLock;

/// Which pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum List {
    File,
    Anon,
}

impl List {
    pub(super) const ALL: [Self; 2] = [Self::File, Self::Anon];

    const fn of(class: Class) -> Self {
        match class {
            Class::File => Self::File,
            Class::Anon | Class::SwapCache { .. } => Self::Anon,
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
struct Pair {
    active: VecDeque<Arc<Page>>,
    inactive: VecDeque<Arc<Page>>,
    isolated: u64,
}

/// The lists of the world, or of its memcg.
#[derive(Default)]
pub(super) struct Lists(SpinLock<[Pair; 2]>);

impl Lists {
    /// A page that was not on a list comes to the end of the inactive one.
    pub(super) fn add(&self, page: Arc<Page>) {
        let list = List::of(page.state().class);
        self.0.lock()[list.index()].inactive.push_back(page);
    }

    /// Pages of both lists of a pair.
    pub(super) fn size(&self, list: List) -> u64 {
        let pair = &self.0.lock()[list.index()];
        (pair.active.len() + pair.inactive.len()) as u64
    }

    pub(super) fn inactive(&self, list: List) -> u64 {
        self.0.lock()[list.index()].inactive.len() as u64
    }

    pub(super) fn isolated(&self, list: List) -> u64 {
        self.0.lock()[list.index()].isolated
    }

    /// Takes up to `count` pages off the old end of the inactive list.
    pub(super) fn isolate(&self, list: List, count: usize) -> Vec<Arc<Page>> {
        let pair = &mut self.0.lock()[list.index()];
        let count = count.min(pair.inactive.len());
        pair.isolated += count as u64;
        pair.inactive.drain(..count).collect()
    }

    /// Puts an isolated page of `from` back, among those in use or among those that are next; its
    /// pair may be another by now.
    pub(super) fn put_back(&self, from: List, page: Arc<Page>, activate: bool) {
        let to = List::of(page.state().class);
        let mut pairs = self.0.lock();
        pairs[from.index()].isolated -= 1;
        let pair = &mut pairs[to.index()];
        if activate { pair.active.push_back(page) } else { pair.inactive.push_back(page) }
    }

    /// An isolated page of `from` was freed.
    pub(super) fn freed(&self, from: List) {
        self.0.lock()[from.index()].isolated -= 1;
    }

    /// Makes up to `count` of the oldest pages in use the next ones, where those are fewer
    /// (`shrink_active_list`, `inactive_is_low`) or where `force` says so.
    pub(super) fn deactivate(&self, list: List, count: usize, force: bool) {
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

    /// Every page, for those who only look.
    pub(super) fn pages(&self) -> Vec<Arc<Page>> {
        let pairs = self.0.lock();
        pairs.iter().flat_map(|pair| pair.inactive.iter().chain(&pair.active)).cloned().collect()
    }
}
