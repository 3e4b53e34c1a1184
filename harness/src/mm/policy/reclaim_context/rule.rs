//! Chinner's three rules for one context and one target, as a pure function.
//!
//! Key type: [`Rule`]. R1: different depth, deny. R2: another superblock, allow. R3: the same one,
//! ask.

use super::knobs::Order;

/// Which rule matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// R1: as GFP_NOFS.
    Deny,
    /// R2: as GFP_KERNEL.
    Allow,
    /// R3: pass the context to the filesystem.
    Ask,
}

impl Rule {
    /// The first rule that matches.
    ///
    /// With the superblock first, a superblock whose two depths differ is stale data; it is denied,
    /// not asked.
    #[must_use]
    pub const fn first_match(order: Order, same_superblock: bool, same_depth: bool) -> Self {
        match (order, same_superblock, same_depth) {
            (Order::SuperblockFirst, false, _) | (Order::Listed, false, true) => Self::Allow,
            (_, _, false) => Self::Deny,
            (_, true, true) => Self::Ask,
        }
    }
}
