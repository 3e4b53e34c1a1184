//! The index of a client, from a block to its slot, in its two forms.
//!
//! Key type: [`Index`]. The classic form, until 6.3, is one table that is only used under the
//! client lock. The modern form, since 6.4 (docs/kernel/dm-bufio.md, "Index and lists"), is several
//! trees by hash, each with a lock of its own: a look-up takes one tree's lock shared and no other
//! lock, and a task that changes a tree holds the client lock as well. Locking: client lock > one
//! tree, never two.

use super::order;
use super::table::{Table, hash};
use crate::era::BufioGeneration;
use crate::sched::{RwSem, RwSemWriteGuard, Sched, SpinLock};

/// Blocks and their slots.
pub(super) struct Index(Form);

enum Form {
    /// The lock is a leaf: the client lock, which callers hold, already excludes other tasks.
    Classic(SpinLock<Table>),
    Trees(Box<[RwSem<Table>]>),
}

impl Index {
    /// The form of this generation, for the client of the device `name`; the modern one with so
    /// many trees, which is a power of two.
    pub(super) fn new(sched: &Sched, generation: BufioGeneration, trees: u32, name: &str) -> Self {
        if generation != BufioGeneration::V6_4 {
            return Self(Form::Classic(SpinLock::default()));
        }
        let tree = |number| {
            RwSem::new(sched, order::TREE, &format!("bufio:{name}/{number}"), Table::default())
        };
        Self(Form::Trees((0..trees).map(tree).collect()))
    }

    /// Adds a block that is not in the index. The caller holds the client lock.
    pub(super) fn insert(&self, block: u64, slot: u32) {
        match &self.0 {
            Form::Classic(table) => table.lock().insert(block, slot),
            Form::Trees(trees) => tree_of(trees, block).write().insert(block, slot),
        }
    }

    /// Removes a block that has this slot. The caller holds the client lock.
    pub(super) fn remove(&self, block: u64, slot: u32) {
        let had = match &self.0 {
            Form::Classic(table) => table.lock().remove(block),
            Form::Trees(trees) => tree_of(trees, block).write().remove(block),
        };
        debug_assert_eq!(had, Some(slot), "block {block} has this buffer");
    }

    /// The block's slot. The caller holds the client lock.
    pub(super) fn get(&self, block: u64) -> Option<u32> {
        match &self.0 {
            Form::Classic(table) => table.lock().get(block),
            Form::Trees(trees) => tree_of(trees, block).read().get(block),
        }
    }

    /// Looks the block up without the client lock, and calls `hold` with its slot under the tree's
    /// lock. The classic form finds nothing in this way.
    pub(super) fn look_up<R>(&self, block: u64, hold: impl FnOnce(u32) -> Option<R>) -> Option<R> {
        match &self.0 {
            Form::Classic(_) => None,
            Form::Trees(trees) => tree_of(trees, block).read().get(block).and_then(hold),
        }
    }

    /// Excludes look-ups of the block's tree while its buffer moves between lists.
    pub(super) fn exclude(&self, block: u64) -> Option<RwSemWriteGuard<'_, Table>> {
        match &self.0 {
            Form::Classic(_) => None,
            Form::Trees(trees) => Some(tree_of(trees, block).write()),
        }
    }
}

fn tree_of(trees: &[RwSem<Table>], block: u64) -> &RwSem<Table> {
    let number = (hash(block) >> 20) & (trees.len() as u64 - 1);
    &trees[usize::try_from(number).unwrap_or(0)]
}
