//! The modern index: trees by hash, each with a lock of its own (1.4, since 6.4).
//!
//! Key type: [`Trees`]. get and put take a tree's lock shared and nothing else; who changes a tree
//! holds the client lock as well.
//! Locking: client lock > one tree, never two.

use super::options::ClientOptions;
use super::order;
use super::table::{Table, hash};
use crate::sched::{RwSem, RwSemWriteGuard, Sched};

/// The trees of one client.
pub(super) struct Trees {
    trees: Box<[RwSem<Table>]>,
}

impl Trees {
    pub(super) fn new(sched: &Sched, options: &ClientOptions, name: &str) -> Self {
        let tree = |number| {
            RwSem::new(sched, order::TREE, &format!("bufio:{name}/{number}"), Table::default())
        };
        Self { trees: (0..options.trees).map(tree).collect() }
    }

    fn of(&self, block: u64) -> &RwSem<Table> {
        let index = (hash(block) >> 20) & (self.trees.len() as u64 - 1);
        &self.trees[usize::try_from(index).unwrap_or(0)]
    }

    /// Looks into the block's tree, with its lock shared.
    #[track_caller]
    pub(super) fn look<R>(&self, block: u64, look: impl FnOnce(&Table) -> R) -> R {
        look(&self.of(block).read())
    }

    /// Changes the block's tree, with its lock exclusive. The caller holds the client lock.
    #[track_caller]
    pub(super) fn change<R>(&self, block: u64, change: impl FnOnce(&mut Table) -> R) -> R {
        change(&mut self.of(block).write())
    }

    /// Keeps the block's tree still, for who moves a buffer between lists.
    #[track_caller]
    pub(super) fn still(&self, block: u64) -> RwSemWriteGuard<'_, Table> {
        self.of(block).write()
    }
}
