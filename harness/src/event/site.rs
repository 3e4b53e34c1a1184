//! Where an event happened, as far as it says so.

use super::{EventKind, Site};

impl EventKind {
    /// The source line at which it happened, if the event has one.
    #[must_use]
    pub const fn site(&self) -> Option<Site> {
        match self {
            Self::ScopeEnter { site, .. }
            | Self::ScopeMisuse { site, .. }
            | Self::LayerEnter { site, .. }
            | Self::AllocBegin { site, .. }
            | Self::PoolAllocBegin { site, .. }
            | Self::LockAttempt { site, .. }
            | Self::LockAcquired { site, .. }
            | Self::WaitBegin { site, .. }
            | Self::WaitPassed { site, .. }
            | Self::RequestSubmit { site, .. }
            | Self::ShrinkerRegistered { site, .. }
            | Self::Acknowledged { site, .. } => Some(*site),
            _ => None,
        }
    }
}
