//! Allocation scopes, gfp masks and layer frames: what production code links.
//!
//! A *scope* restricts, for a dynamic extent of one task, what its allocations may do to get
//! memory; a *layer frame* says which level of the storage stack the code is in. Outside a test's
//! world a scope costs a few thread-local instructions and a frame one; on a task of a world each
//! is recorded and is an event that the judges read.
//!
//! ```
//! use reclaimdep_scope::{self as scope, Gfp};
//!
//! let nofs = scope::nofs();
//! assert_eq!(scope::effective(Gfp::KERNEL), Gfp::NOFS);
//! drop(nofs);
//! assert_eq!(scope::effective(Gfp::KERNEL), Gfp::KERNEL);
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`gfp`] | [`Gfp`]: what one allocation asks for; its effective mask, text, and rules |
//! | [`flags`], [`kind`] | [`TaskFlags`]; [`ScopeKind`]: what scopes there are |
//! | [`guard`] | [`nofs`], [`noio`] and the others: scope guards; [`enter_permanent`] |
//! | [`lock`] | [`Mutex`], [`NofsMutex`], [`NoioMutex`]: locks that a world sees, and that own a scope |
//! | [`transaction`] | [`Journal`], [`Transaction`], [`Intent`]: handles that carry their scope |
//! | [`snapshot`], [`thread`], [`future`] | scopes across work items, threads and awaits |
//! | [`layer`] | [`Layer`], [`enter`]: where in the stack this code is |
//! | [`shrinker`] | [`Shrinker`], [`register_shrinker`]: caches that give memory back |
//! | [`mod@reclaim_context`] | [`ReclaimContext`]: which filesystem a scope protects |
//! | [`legacy`] | tokens as kernels had them, to replay what went wrong |
//! | [`context`] over `stack` and `word` | the task context, and how a scheduler moves it between tasks |
//! | [`misuse`] | [`Misuse`]: every way to leave a scope wrongly |
//! | [`listener`] | the hook a test world listens on |
//! | `linux` | the same flags of real threads; feature `linux` |
//!
//! Source: `include/linux/gfp_types.h`, `include/linux/sched/mm.h` (names only); written from the
//! project's description of scoped allocation, sections 1 and 2. No dependencies; outside a world
//! no locks and no allocation.

#![forbid(unsafe_code)]

pub mod bracket;
pub mod context;
pub mod flags;
pub mod future;
pub mod gfp;
pub mod guard;
pub mod kind;
pub mod layer;
pub mod legacy;
#[cfg(all(feature = "linux", target_os = "linux"))]
pub mod linux;
pub mod listener;
pub mod lock;
pub mod misuse;
mod raw;
pub mod reclaim_context;
pub mod shrinker;
pub mod snapshot;
mod stack;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod thread;
pub mod transaction;
mod word;

pub use bracket::Bracket;
pub use flags::TaskFlags;
pub use future::FutureExt;
pub use gfp::Gfp;
pub use guard::{
    ScopeGuard, become_kswapd, enter_permanent, forbid, nofs, noio, noreclaim, nowait, pin,
    reclaim_context,
};
pub use kind::{Entered, Scope, ScopeKind, ScopeRef};
pub use layer::{Layer, LayerGuard, LayerRef, enter};
pub use listener::{Listener, Site};
pub use lock::{Mutex, MutexGuard, NofsMutex, NoioMutex};
pub use misuse::{Misuse, Misused};
pub use reclaim_context::{Depth, ReclaimContext, Superblock};
pub use shrinker::{Registration, Shrinker, Stop, register_shrinker};
pub use snapshot::{OnBehalf, Snapshot};
pub use transaction::{Intent, Journal, Transaction};

/// The mask an allocation of this task would really run with: `requested` after the task's scopes.
///
/// It only ever clears bits ([`Gfp::effective`]).
#[inline]
#[must_use]
pub fn effective(requested: Gfp) -> Gfp {
    requested.effective(context::flags())
}
