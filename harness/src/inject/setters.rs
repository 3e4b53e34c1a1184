//! How a pressure rule is narrowed in Rust: each method takes the rule and gives it back.

use super::pressure::{InScope, Pressure};

impl Pressure {
    /// The same rule, only for the task of this name.
    #[must_use]
    pub fn task(mut self, name: impl Into<String>) -> Self {
        self.task = Some(name.into());
        self
    }

    /// The same rule, only for tasks inside such a scope.
    #[must_use]
    pub fn scope(mut self, scope: InScope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The same rule, only for allocations whose effective mask has no `__GFP_FS`.
    #[must_use]
    pub fn in_nofs(mut self) -> Self {
        self.in_nofs = true;
        self
    }

    /// The same rule, only for allocations of at least this order (a power of two of pages).
    #[must_use]
    pub fn min_order(mut self, order: u32) -> Self {
        self.min_order = order;
        self
    }

    /// The same rule, only for allocations in a source file whose name ends like this.
    #[must_use]
    pub fn file(mut self, end: impl Into<String>) -> Self {
        self.file = Some(end.into());
        self
    }

    /// The same rule, which lets this many matching allocations go first.
    #[must_use]
    pub fn skip(mut self, matches: u64) -> Self {
        self.skip = matches;
        self
    }

    /// The same rule, without which a run passes too: it may never hit.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The same rule, which hits this many allocations.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}
