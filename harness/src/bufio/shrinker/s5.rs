//! S5, 5.9 (70704c33db84, 2020): a work queue does it.
//!
//! No cycle goes through reclaim any more. The claim is optimistic: what a scan says it freed is
//! freed later.

use super::deferred::Policy;

pub(super) const POLICY: Policy = Policy { reschedule: None };
