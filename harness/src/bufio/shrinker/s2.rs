//! S2, from about 4.10 (2016): the count takes no lock.
//!
//! Reclaim of the loop worker no longer stops in the count; it still may in the scan. Cycles B, C
//! and D.

use super::inline::{Locking, Policy};
use crate::event::Gfp;

pub(super) const POLICY: Policy =
    Policy { permission: Gfp::FS, count: Locking::None, scan: Locking::ByMask, retains: true };
