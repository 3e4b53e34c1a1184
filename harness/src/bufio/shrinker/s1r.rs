//! S1r, late 2014: as S1, and the scan leaves what the client retains.
//!
//! Cycles B, C and D are possible.

use super::inline::{Locking, Policy};
use crate::event::Gfp;

pub(super) const POLICY: Policy =
    Policy { permission: Gfp::FS, count: Locking::ByMask, scan: Locking::ByMask, retains: true };
