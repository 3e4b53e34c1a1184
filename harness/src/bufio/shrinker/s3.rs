//! S3, 5.2.3 (bd293d071ffe, 2019): the scan only tries the lock.
//!
//! It still writes and waits once it has it, so the loop worker can wait for itself (C), and kswapd
//! for I/O (D).

use super::inline::{Locking, Policy};
use crate::event::Gfp;

pub(super) const POLICY: Policy =
    Policy { permission: Gfp::FS, count: Locking::None, scan: Locking::Try, retains: true };
