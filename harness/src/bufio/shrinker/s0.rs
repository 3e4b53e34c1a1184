//! S0, 3.2-3.17: `__GFP_IO` is taken for the permission to wait.
//!
//! A NOFS task's scan writes and waits; on a loop device that write ends in a filesystem, perhaps
//! the task's own. Cycles A, B, C and D of the project's description are possible.

use super::inline::{Locking, Policy};
use crate::event::Gfp;

pub(super) const POLICY: Policy =
    Policy { permission: Gfp::IO, count: Locking::ByMask, scan: Locking::ByMask, retains: false };
