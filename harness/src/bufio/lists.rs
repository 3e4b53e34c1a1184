//! A client's two lists of buffers, clean and dirty.
//!
//! Key types: [`Lists`], [`List`]. A buffer is on one list at the most. The client lock guards
//! them.

use super::ring::{Link, Ring, Walk};
use super::slot::State;

/// One of the two lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum List {
    /// Neither dirty nor being written.
    Clean,
    /// Dirty, being written, or written and not moved back yet.
    Dirty,
}

impl List {
    /// In the order of every walk over both.
    pub(super) const BOTH: [Self; 2] = [Self::Clean, Self::Dirty];

    pub(super) const fn of(state: u8) -> Self {
        if state & (State::DIRTY | State::WRITING) == 0 { Self::Clean } else { Self::Dirty }
    }
}

/// Both lists, by slot number.
#[derive(Debug, Default)]
pub(super) struct Lists {
    links: Vec<Link>,
    on: Vec<Option<List>>,
    clean: Ring,
    dirty: Ring,
}

impl Lists {
    const fn ring(&self, list: List) -> &Ring {
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

    pub(super) const fn len(&self, list: List) -> u64 {
        self.ring(list).len()
    }

    pub(super) const fn total(&self) -> u64 {
        self.clean.len() + self.dirty.len()
    }

    /// The list that the slot is on.
    pub(super) fn list_of(&self, slot: u32) -> Option<List> {
        self.on.get(slot as usize).copied().flatten()
    }

    /// The slot at the cursor of a list: the oldest of it.
    pub(super) fn oldest(&self, list: List) -> Option<u32> {
        self.ring(list).oldest()
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

    /// Takes a slot off its list; returns the list.
    pub(super) fn pull(&mut self, slot: u32) -> Option<List> {
        let list = self.on.get_mut(slot as usize)?.take()?;
        let (ring, links) = self.ring_and_links(list);
        ring.remove(links, slot);
        Some(list)
    }

    /// Turns the cursor of a list on by one.
    pub(super) fn turn(&mut self, list: List) {
        let (ring, links) = self.ring_and_links(list);
        ring.turn(links);
    }

    /// Begins a walk over a list, oldest first; finish it with [`Lists::end`].
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
