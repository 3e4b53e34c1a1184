//! A list of buffers in the order in which they leave: the oldest at the cursor, the newest just
//! behind it.
//!
//! Key types: [`Ring`], [`Walk`]. As an LRU list the cursor stays on the oldest; as a CLOCK it
//! turns, and passes referenced entries (docs/kernel/dm-bufio.md, "Index and
//! lists"). Walks that are registered with a ring are patched
//! when an entry is removed, so they survive whatever happens while the lock is dropped. The links
//! are the client's, by slot number: a buffer is on one ring at the most.

/// No slot.
const NONE: u32 = u32::MAX;

/// A slot's neighbours on its ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    next: u32,
    prev: u32,
}

impl Link {
    pub(super) const OFF: Self = Self { next: NONE, prev: NONE };
}

/// A walk over a ring; end it with [`Ring::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk(usize);

/// Where a walk stands: the entry that it returns next, and the last one. Without `next` it is
/// over.
#[derive(Clone, Copy, Debug)]
struct Stand {
    next: u32,
    last: u32,
}

/// A ring with a cursor.
#[derive(Debug)]
pub(super) struct Ring {
    cursor: u32,
    len: u64,
    walks: Vec<Option<Stand>>,
}

impl Default for Ring {
    fn default() -> Self {
        Self { cursor: NONE, len: 0, walks: Vec::new() }
    }
}

impl Ring {
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// The entry at the cursor: the oldest.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.cursor != NONE).then_some(self.cursor)
    }

    /// The entry behind the cursor: the newest.
    pub(super) fn newest(&self, links: &[Link]) -> Option<u32> {
        self.oldest().map(|cursor| links[cursor as usize].prev)
    }

    /// Turns the cursor on to the next entry.
    pub(super) fn turn(&mut self, links: &[Link]) {
        if self.cursor != NONE {
            self.cursor = links[self.cursor as usize].next;
        }
    }

    /// Adds `slot` just behind the cursor.
    pub(super) fn insert(&mut self, links: &mut [Link], slot: u32) {
        debug_assert_eq!(links[slot as usize].next, NONE, "a buffer is on one ring at the most");
        if self.cursor == NONE {
            links[slot as usize] = Link { next: slot, prev: slot };
            self.cursor = slot;
        } else {
            let prev = links[self.cursor as usize].prev;
            links[slot as usize] = Link { next: self.cursor, prev };
            links[prev as usize].next = slot;
            links[self.cursor as usize].prev = slot;
        }
        self.len += 1;
    }

    /// Removes `slot`, which is on this ring.
    pub(super) fn remove(&mut self, links: &mut [Link], slot: u32) {
        let Link { next, prev } = std::mem::replace(&mut links[slot as usize], Link::OFF);
        debug_assert_ne!(next, NONE, "only an entry of the ring is removed");
        for stand in self.walks.iter_mut().flatten() {
            match (stand.next == slot, stand.last == slot) {
                (true, true) => stand.next = NONE,
                (true, false) => stand.next = next,
                (false, true) => stand.last = prev,
                (false, false) => {}
            }
        }
        if next == slot {
            self.cursor = NONE;
        } else {
            links[prev as usize].next = next;
            links[next as usize].prev = prev;
            if self.cursor == slot {
                self.cursor = next;
            }
        }
        self.len -= 1;
    }

    /// Begins a walk over the present entries, oldest first.
    pub(super) fn walk(&mut self, links: &[Link]) -> Walk {
        let last = self.newest(links).unwrap_or(NONE);
        let stand = Some(Stand { next: self.cursor, last });
        let free = self.walks.iter().position(Option::is_none);
        if let Some(index) = free {
            self.walks[index] = stand;
            Walk(index)
        } else {
            self.walks.push(stand);
            Walk(self.walks.len() - 1)
        }
    }

    /// The next entry of a walk.
    pub(super) fn step(&mut self, links: &[Link], walk: Walk) -> Option<u32> {
        let stand = self.walks[walk.0].as_mut()?;
        let slot = stand.next;
        if slot == NONE {
            return None;
        }
        stand.next = if slot == stand.last { NONE } else { links[slot as usize].next };
        Some(slot)
    }

    /// Ends a walk.
    pub(super) fn end(&mut self, walk: Walk) {
        self.walks[walk.0] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(len: u32) -> (Ring, Vec<Link>) {
        let (mut ring, mut links) = (Ring::default(), vec![Link::OFF; 16]);
        (0..len).for_each(|slot| ring.insert(&mut links, slot));
        (ring, links)
    }

    /// Checks the entries that a walk sees if `remove` is removed after its first step.
    #[track_caller]
    fn check_walk(remove: &[u32], expect: &[u32]) {
        let (mut ring, mut links) = ring(4);
        let walk = ring.walk(&links);
        let mut seen = vec![ring.step(&links, walk).unwrap()];
        remove.iter().for_each(|slot| ring.remove(&mut links, *slot));
        seen.extend(std::iter::from_fn(|| ring.step(&links, walk)));
        assert_eq!(seen, expect);
        ring.end(walk);
        assert!(ring.walks.iter().all(Option::is_none));
    }

    #[test]
    fn a_walk_survives_the_removal_of_entries() {
        check_walk(&[], &[0, 1, 2, 3]);
        check_walk(&[0], &[0, 1, 2, 3]);
        check_walk(&[1], &[0, 2, 3]);
        check_walk(&[3], &[0, 1, 2]);
        check_walk(&[1, 2, 3], &[0]);
        check_walk(&[3, 2, 1, 0], &[0]);
    }

    #[test]
    fn a_walk_does_not_see_entries_that_come_after_it_began() {
        let (mut ring, mut links) = ring(2);
        let walk = ring.walk(&links);
        ring.insert(&mut links, 7);
        let seen: Vec<_> = std::iter::from_fn(|| ring.step(&links, walk)).collect();
        assert_eq!(seen, [0, 1]);
    }

    #[test]
    fn the_newest_stands_just_behind_the_cursor() {
        let (mut ring, mut links) = ring(3);
        ring.turn(&links);
        ring.insert(&mut links, 9);
        assert_eq!((ring.oldest(), ring.newest(&links), ring.len()), (Some(1), Some(9), 4));
        ring.remove(&mut links, 1);
        assert_eq!(ring.oldest(), Some(2));
    }

    #[test]
    fn the_last_one_leaves_a_ring_empty() {
        let (mut ring, mut links) = ring(1);
        ring.remove(&mut links, 0);
        assert_eq!((ring.oldest(), ring.newest(&links), ring.len()), (None, None, 0));
    }
}
