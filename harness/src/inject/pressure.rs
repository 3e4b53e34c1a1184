//! Which allocations find memory short.
//!
//! Key type: [`Pressure`]. A rule matches allocations by task, scope-restricted mask and count; a
//! matching allocation skips the fast path and must reclaim.

use serde::{Deserialize, Serialize};

/// One rule: memory is short for the allocations that match.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pressure {
    /// Only allocations of the task of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Only allocations whose effective mask has lost `__GFP_FS` to a scope or to the request.
    #[serde(default)]
    pub in_nofs: bool,
    /// Skip this many matching allocations first.
    #[serde(default)]
    pub skip: u64,
    /// Then hit this many; none for all that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Pressure {
    /// Every allocation of every task.
    #[must_use]
    pub fn every_allocation() -> Self {
        Self::default()
    }

    /// The first allocation of `task` that may not call into a filesystem.
    #[must_use]
    pub fn first_nofs_allocation_of(task: impl Into<String>) -> Self {
        Self {
            task: Some(task.into()),
            in_nofs: true,
            skip: 0,
            times: Some(1),
        }
    }

    /// Whether the `seen`-th match (from 0) is hit.
    pub(super) fn hits(&self, seen: u64) -> bool {
        seen >= self.skip && self.times.is_none_or(|times| seen - self.skip < times)
    }
}
