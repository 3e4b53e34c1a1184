//! Chinner's three rules for one context and one target, as a pure function.
//!
//! Key type: [`Rule`]. R1: at different depths, deny. R2: for another superblock, allow. R3: for
//! the same superblock, ask the filesystem.

use super::knobs::RuleOrder;

/// Which rule matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// R1: reclaim as with GFP_NOFS.
    Deny,
    /// R2: reclaim as with GFP_KERNEL.
    Allow,
    /// R3: pass the context to the filesystem.
    Ask,
}

impl Rule {
    /// The first rule that matches.
    ///
    /// With [`RuleOrder::SuperblockFirst`], the same superblock at two depths is stale data; it is
    /// denied, and the filesystem is not asked.
    #[must_use]
    pub const fn first_match(order: RuleOrder, same_superblock: bool, same_depth: bool) -> Self {
        match (order, same_superblock, same_depth) {
            (RuleOrder::SuperblockFirst, false, _) | (RuleOrder::Listed, false, true) => {
                Self::Allow
            }
            (_, _, false) => Self::Deny,
            (_, true, true) => Self::Ask,
        }
    }
}
