//! What is under the client lock: the two lists, the classic index, the reserve, free slots.
//!
//! Key types: [`Cache`], [`List`].

use super::ring::{Link, Ring, Walk};
use super::slot::State;
use super::table::Table;

/// Which list a buffer is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum List {
    /// Neither dirty nor being written.
    Clean,
    /// Dirty, being written, or finished and not moved back yet.
    Dirty,
}

impl List {
    /// Clean first, as every walk goes.
    pub(super) const BOTH: [Self; 2] = [Self::Clean, Self::Dirty];

    pub(super) const fn of(state: u8) -> Self {
        if state & (State::DIRTY | State::WRITING) == 0 { Self::Clean } else { Self::Dirty }
    }
}

/// Everything that the client lock guards.
#[derive(Default)]
pub(super) struct Cache {
    /// By slot number.
    links: Vec<Link>,
    on: Vec<Option<List>>,
    clean: Ring,
    dirty: Ring,
    /// The classic index.
    pub(super) table: Table,
    /// Slots with memory, for when there is none.
    pub(super) reserved: Vec<u32>,
    /// Slots without.
    pub(super) free: Vec<u32>,
}

impl Cache {
    #[inline]
    pub(super) fn ring(&self, list: List) -> &Ring {
        match list {
            List::Clean => &self.clean,
            List::Dirty => &self.dirty,
        }
    }

    fn ring_and_links(&mut self, list: List) -> (&mut Ring, &mut Vec<Link>) {
        match list {
            List::Clean => (&mut self.clean, &mut self.links),
            List::Dirty => (&mut self.dirty, &mut self.links),
        }
    }

    #[inline]
    pub(super) fn len(&self, list: List) -> u64 {
        self.ring(list).len()
    }

    #[inline]
    pub(super) fn total(&self) -> u64 {
        self.clean.len() + self.dirty.len()
    }

    /// Which list the slot is on.
    pub(super) fn list_of(&self, slot: u32) -> Option<List> {
        self.on.get(slot as usize).copied().flatten()
    }

    /// Adds a slot as the newest of a list.
    pub(super) fn push(&mut self, list: List, slot: u32) {
        let index = slot as usize;
        if self.on.len() <= index {
            self.on.resize(index + 1, None);
            self.links.resize(index + 1, Link::OFF);
        }
        self.on[index] = Some(list);
        let (ring, links) = self.ring_and_links(list);
        ring.insert(links, slot);
    }

    /// Takes a slot off its list; says which that was.
    pub(super) fn pull(&mut self, slot: u32) -> Option<List> {
        let list = self.on.get_mut(slot as usize)?.take()?;
        let (ring, links) = self.ring_and_links(list);
        ring.remove(links, slot);
        Some(list)
    }

    pub(super) fn turn(&mut self, list: List) {
        let (ring, links) = self.ring_and_links(list);
        ring.turn(links);
    }

    pub(super) fn walk(&mut self, list: List) -> Walk {
        let (ring, links) = self.ring_and_links(list);
        ring.walk(links)
    }

    pub(super) fn step(&mut self, list: List, walk: Walk) -> Option<u32> {
        let (ring, links) = self.ring_and_links(list);
        ring.step(links, walk)
    }

    pub(super) fn end(&mut self, list: List, walk: Walk) {
        self.ring_and_links(list).0.end(walk);
    }

    /// Every slot of a list, oldest first.
    pub(super) fn all(&mut self, list: List) -> Vec<u32> {
        let walk = self.walk(list);
        let all = std::iter::from_fn(|| self.step(list, walk)).collect();
        self.end(list, walk);
        all
    }
}
