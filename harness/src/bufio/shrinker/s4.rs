//! S4, 5.3 (cf3591ef8329, 2019): S3 taken back.
//!
//! The try-lock was no cure: the loop worker's NOIO scope is (d0a255e795ab), and on that this form
//! relies.

use super::inline::{Locking, Policy};
use crate::event::Gfp;

pub(super) const POLICY: Policy =
    Policy { permission: Gfp::FS, count: Locking::None, scan: Locking::ByMask, retains: true };
