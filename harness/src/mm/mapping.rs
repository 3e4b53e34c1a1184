//! The mask that belongs to an object and not to a task.
//!
//! Key types: [`Mapping`], [`Constraint`]. A file's page cache carries a mask of what its
//! allocations may do. When a loop device is bound to the file, the driver takes IO and FS away; it
//! must give them back later. Here a constraint is a guard, so two devices on one file do not undo
//! each other. The kernel's way, which saves and stores the whole mask, is kept
//! ([`Mapping::set_mask`]) to show what it loses. Mirrors `mapping_set_gfp_mask` and its uses in
//! `drivers/block/loop.c`; written from docs/kernel/scopes.md, "Masks of objects and of the
//! machine".
//!
//! Locking: the constraints are a leaf.

use std::sync::Arc;

use crate::event::Gfp;
use crate::sched::{SpinLock, harness_side};

struct MappingState {
    /// The mask without constraints; `None` permits every bit.
    base: Option<Gfp>,
    /// The bits that each live constraint takes away, by the number of the constraint.
    taken: Vec<(u64, Gfp)>,
    next: u64,
}

/// The mask of an object, as a file or all of memory. Cheap to clone.
#[derive(Clone)]
pub struct Mapping(Arc<SpinLock<MappingState>>);

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping").finish_non_exhaustive()
    }
}

/// Bits taken from a mapping; dropping it gives them back.
#[must_use = "the bits are given back when this is dropped"]
pub struct Constraint {
    mapping: Mapping,
    number: u64,
}

impl Mapping {
    /// A mapping whose allocations may do `mask`.
    #[must_use]
    pub fn new(mask: Gfp) -> Self {
        Self::with(Some(mask))
    }

    /// A mapping that permits every bit until a constraint takes some away, as boot and hibernation
    /// do (`gfp_allowed_mask`).
    #[must_use]
    pub fn unrestricted() -> Self {
        Self::with(None)
    }

    fn with(base: Option<Gfp>) -> Self {
        Self(Arc::new(SpinLock::new(MappingState { base, taken: Vec::new(), next: 0 })))
    }

    /// `request` within this mask, before the task's scopes (`mapping_gfp_constraint`).
    #[must_use]
    pub fn constrained(&self, request: Gfp) -> Gfp {
        let state = self.0.lock();
        let within = state.base.map_or(request, |base| request & base);
        state.taken.iter().fold(within, |mask, (_, taken)| mask - *taken)
    }

    /// Takes `bits` away until the guard is dropped.
    pub fn constrain(&self, bits: Gfp) -> Constraint {
        let _side = harness_side();
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.taken.push((number, bits));
        Constraint { mapping: self.clone(), number }
    }

    /// Stores a mask and returns the previous one, as the loop driver does at bind and unbind. Two
    /// drivers on one file can store what the other has saved.
    pub fn set_mask(&self, mask: Gfp) -> Gfp {
        self.0.lock().base.replace(mask).unwrap_or(mask)
    }
}

impl Drop for Constraint {
    fn drop(&mut self) {
        self.mapping.0.lock().taken.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOP: Gfp = Gfp::IO;

    #[test]
    fn a_bound_file_loses_bits_until_the_last_device_is_gone() {
        let mapping = Mapping::new(Gfp::KERNEL);
        let first = mapping.constrain(LOOP | Gfp::FS);
        let second = mapping.constrain(LOOP | Gfp::FS);
        drop(first);
        assert_eq!(mapping.constrained(Gfp::KERNEL), Gfp::NOIO);
        drop(second);
        assert_eq!(mapping.constrained(Gfp::KERNEL), Gfp::KERNEL);
    }

    #[test]
    fn saving_and_storing_lets_two_devices_on_one_file_undo_each_other() {
        let mapping = Mapping::new(Gfp::KERNEL);
        let first = mapping.set_mask(mapping.constrained(Gfp::KERNEL) - LOOP - Gfp::FS);
        let second = mapping.set_mask(mapping.constrained(Gfp::KERNEL) - LOOP - Gfp::FS);
        mapping.set_mask(first);
        assert_eq!(
            mapping.constrained(Gfp::KERNEL),
            Gfp::KERNEL,
            "the second device is still bound"
        );
        mapping.set_mask(second);
        assert_eq!(
            mapping.constrained(Gfp::KERNEL),
            Gfp::NOIO,
            "and the bits are never given back"
        );
    }

    #[test]
    fn a_mask_that_is_never_given_back_stays_with_the_file() {
        let mapping = Mapping::new(Gfp::KERNEL);
        mapping.set_mask(Gfp::NOFS);
        assert_eq!(mapping.constrained(Gfp::KERNEL), Gfp::NOFS);
        let constraint = mapping.constrain(Gfp::IO);
        assert_eq!(mapping.constrained(Gfp::KERNEL), Gfp::NOIO);
        drop(constraint);
        assert_eq!(mapping.constrained(Gfp::KERNEL), Gfp::NOFS);
    }
}
