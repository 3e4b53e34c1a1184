//! Holds that a hit takes where nobody observes: kept with the task that hits, not with the buffer.
//!
//! Key types: [`Lanes`], [`Cell`]. Raising a count in the slot would take the slot's cache line
//! from whatever processor hit it last, at every hit. A task writes the slot's number to a cell of
//! its own lane instead, and then looks at the slot: what it reads there changes rarely, so all
//! processors keep it. Whoever claims a slot does the same the other way round: it marks the slot,
//! then looks at the cells of all lanes. So of a hit and a claim at the same time at least one sees
//! the other. A lane whose cells are all in use leaves the hold to the slot's count. Where somebody
//! observes there are no lanes.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::sched::lane;

/// Tasks beyond these share lanes.
const LANES: usize = 64;
/// Holds that a task takes cheaply at the same time.
const CELLS: usize = 8;

/// A hold: the number of the slot and one, or none.
pub(super) type Cell = AtomicU32;

/// Two cache lines, because processors fetch them in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Lane([Cell; CELLS]);

/// The lanes of one client.
pub(super) struct Lanes {
    /// A bit for each lane that was ever used: only those are looked at.
    used: AtomicU64,
    lanes: Box<[Lane]>,
}

impl Lanes {
    /// Lanes for a client, or none at all.
    pub(super) fn new(any: bool) -> Self {
        let lanes = if any { LANES } else { 0 };
        Self { used: AtomicU64::new(0), lanes: (0..lanes).map(|_| Lane::default()).collect() }
    }

    /// Holds the slot, whatever it caches by now: look. None where the count must be used.
    #[inline]
    pub(super) fn hold(&self, slot: u32) -> Option<&Cell> {
        let number = lane() % LANES;
        let (lane, bit) = (self.lanes.get(number)?, 1 << number);
        if self.used.load(Ordering::Acquire) & bit == 0 {
            self.used.fetch_or(bit, Ordering::SeqCst);
        }
        let cell = lane.0.iter().find(|cell| cell.load(Ordering::Relaxed) == 0)?;
        cell.compare_exchange(0, slot + 1, Ordering::SeqCst, Ordering::Relaxed).ok()?;
        Some(cell)
    }

    /// Gives a hold back. What is looked at after this is looked at after this.
    #[inline]
    pub(super) fn put(cell: &Cell) {
        cell.swap(0, Ordering::SeqCst);
    }

    /// How many cells hold the slot.
    #[inline]
    pub(super) fn holds(&self, slot: u32) -> u32 {
        let (mut used, mut holds) = (self.used.load(Ordering::SeqCst), 0);
        while used != 0 {
            let lane = &self.lanes[used.trailing_zeros() as usize];
            holds += lane
                .0
                .iter()
                .map(|cell| u32::from(cell.load(Ordering::SeqCst) == slot + 1))
                .sum::<u32>();
            used &= used - 1;
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_holds_as_often_as_it_has_cells_and_then_leaves_it_to_the_count() {
        let lanes = Lanes::new(true);
        let cells: Vec<&Cell> = std::iter::from_fn(|| lanes.hold(3)).take(2 * CELLS).collect();
        assert_eq!((cells.len(), lanes.holds(3), lanes.holds(4)), (8, 8, 0));
        Lanes::put(cells[2]);
        assert_eq!(lanes.holds(3), 7);
        assert!(lanes.hold(4).is_some() && lanes.holds(4) == 1);
    }

    #[test]
    fn where_somebody_observes_there_are_none() {
        let lanes = Lanes::new(false);
        assert!(lanes.hold(3).is_none() && lanes.holds(3) == 0);
    }
}
