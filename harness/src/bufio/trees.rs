//! The modern index: trees by hash, each with a lock of its own (1.4, since 6.4).
//!
//! Key type: [`Trees`]. get and put take a tree's lock shared and nothing else; who changes a tree holds the
//! client lock as well. Where nobody observes, a tree's lock is a leaf's: it is held for one look-up and never
//! over a wait. Locking: client lock > one tree, never two.

use super::options::ClientOptions;
use super::order;
use super::table::{Table, hash};
use crate::sched::{RwSem, RwSemWriteGuard, Sched, SpinLock};

enum Tree {
    Observed(RwSem<Table>),
    Alone(SpinLock<Table>),
}

/// The trees of one client.
pub(super) struct Trees {
    trees: Box<[Tree]>,
}

impl Trees {
    pub(super) fn new(sched: &Sched, options: &ClientOptions, name: &str) -> Self {
        let tree = |number| {
            let (name, table) = (format!("bufio:{name}/{number}"), Table::default());
            if sched.is_observed() {
                Tree::Observed(RwSem::new(sched, order::TREE, &name, table))
            } else {
                Tree::Alone(SpinLock::new(table))
            }
        };
        Self { trees: (0..options.trees).map(tree).collect() }
    }

    fn of(&self, block: u64) -> &Tree {
        let index = (hash(block) >> 20) & (self.trees.len() as u64 - 1);
        &self.trees[usize::try_from(index).unwrap_or(0)]
    }

    /// Looks into the block's tree, with its lock shared.
    #[track_caller]
    pub(super) fn look<R>(&self, block: u64, look: impl FnOnce(&Table) -> R) -> R {
        match self.of(block) {
            Tree::Observed(tree) => look(&tree.read()),
            Tree::Alone(tree) => look(&tree.lock()),
        }
    }

    /// Changes the block's tree, with its lock exclusive. The caller holds the client lock.
    #[track_caller]
    pub(super) fn change<R>(&self, block: u64, change: impl FnOnce(&mut Table) -> R) -> R {
        match self.of(block) {
            Tree::Observed(tree) => change(&mut tree.write()),
            Tree::Alone(tree) => change(&mut tree.lock()),
        }
    }

    /// Keeps the block's tree still, for who moves a buffer between lists. Lists are the client lock's; where
    /// nobody observes that is enough.
    #[track_caller]
    pub(super) fn still(&self, block: u64) -> Option<RwSemWriteGuard<'_, Table>> {
        match self.of(block) {
            Tree::Observed(tree) => Some(tree.write()),
            Tree::Alone(_) => None,
        }
    }
}
