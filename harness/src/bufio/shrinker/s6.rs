//! S6, since 6.4: as S5; every 16 evictions the work drops the client lock.
//!
//! With the modern lists what goes first is the CLOCK's choice.

use super::deferred::Policy;

pub(super) const POLICY: Policy = Policy { reschedule: Some(16) };
