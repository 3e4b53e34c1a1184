//! Allocation scopes, gfp masks and layer frames: what production code links.
//!
//! A *scope* restricts, for a dynamic extent of one task, what its allocations may do to get memory;
//! a *layer frame* says which level of the storage stack the code is in. Nobody listening, both cost
//! a thread-local store; while a test world listens, each is an event that the judges read.
//!
//! | module | holds |
//! |---|---|
//! | [`gfp`] | [`Gfp`]: what one allocation asks for, and its effective mask under scopes |
//! | [`guard`] | [`nofs`], [`noio`], [`noreclaim`]: scope guards |
//! | [`layer`] | [`Layer`], [`enter`]: where in the stack this code is |
//! | [`context`] | the task context behind both, and how a scheduler moves it between tasks |
//! | [`listener`] | the hook a test world listens on |
//! | [`reclaim_context`] | [`ReclaimContext`]: which filesystem a scope protects |
//!
//! Source: `include/linux/gfp_types.h`, `include/linux/sched/mm.h` (names only); written from the
//! project's description of scoped allocation, sections 1 and 2. No dependencies, no locks, no
//! allocation.

#![forbid(unsafe_code)]

pub mod context;
pub mod gfp;
pub mod guard;
pub mod layer;
pub mod listener;
pub mod reclaim_context;

pub use context::TaskFlags;
pub use gfp::Gfp;
pub use guard::{ScopeGuard, ScopeKind, nofs, noio, noreclaim};
pub use layer::{Layer, LayerGuard, LayerRef, enter};
pub use listener::{Listener, Site};
pub use reclaim_context::{Depth, ReclaimContext, Superblock};

/// The mask an allocation of this task would really run with: `requested` after the task's scopes.
///
/// It only ever clears bits ([`Gfp::effective`]).
#[must_use]
pub fn effective(requested: Gfp) -> Gfp {
    requested.effective(context::flags())
}
