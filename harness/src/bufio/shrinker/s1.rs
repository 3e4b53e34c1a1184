//! S1, 3.18 (9d28eb12447e, 2014): `__GFP_FS` is the permission to wait.
//!
//! Cycle A is gone; B, C and D are left.

use super::inline::{Locking, Policy};
use crate::event::Gfp;

pub(super) const POLICY: Policy =
    Policy { permission: Gfp::FS, count: Locking::ByMask, scan: Locking::ByMask, retains: false };
