//! Allocation scopes, gfp masks and layer frames: what production code links.
//!
//! A *scope* restricts, for a dynamic extent of one task, what the task's allocations may do to get
//! memory. A *layer frame* says which level of the storage stack the running code belongs to.
//! Outside a test's world, entering a scope costs a few thread-local instructions and entering a
//! layer costs one thread-local load. On a task of a world both are recorded, and the judges read
//! them as events.
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
//! | to | use |
//! |---|---|
//! | say what an allocation asks for, print, parse and check it | [`Gfp`], [`GfpRule`] |
//! | restrict allocations for a while | [`nofs`], [`noio`], [`noreclaim`], [`pin`], [`forbid`], [`reclaim_context()`], [`enter_permanent`] |
//! | tie the scope to the resource that needs it | [`NofsMutex`], [`NoioMutex`]; [`Journal`], [`Transaction`], [`Intent`] |
//! | take scopes to a work item, a thread or a future | [`Snapshot`], [`thread`], [`FutureExt`] |
//! | say which layer of the storage stack runs | [`Layer`], [`enter`] |
//! | let reclaim free a cache | [`Shrinker`], [`register_shrinker`] |
//! | take a lock that a world sees | [`Mutex`] |
//! | read the running task's scopes and flags | [`context`], [`TaskFlags`] |
//! | replay what older kernels did with tokens | [`legacy`] |
//! | read or set the task flags of a real thread | `linux`, with the feature `linux` |
//! | run tasks of a world (test harnesses) | [`context`], [`listener`], [`Bracket`], [`Misuse`] |
//!
//! Each item has one path: the functions of [`context`], [`legacy`], [`listener`], [`thread`] and
//! `linux` keep their module's name, and everything else is at the root.
//!
//! Source: `include/linux/gfp_types.h`, `include/linux/sched/mm.h` (names only); written from
//! docs/kernel/masks.md and docs/kernel/scopes.md. The crate has no dependencies; it takes no lock
//! and allocates nothing outside a world.

#![forbid(unsafe_code)]

mod bracket;
pub mod context;
mod flags;
mod future;
mod gfp;
mod guard;
mod kind;
mod layer;
pub mod legacy;
#[cfg(all(feature = "linux", target_os = "linux"))]
pub mod linux;
pub mod listener;
mod lock;
mod misuse;
mod raw;
mod reclaim_context;
mod shrinker;
mod site;
mod snapshot;
mod stack;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod thread;
mod transaction;
mod word;

pub use bracket::Bracket;
pub use flags::TaskFlags;
pub use future::FutureExt;
pub use gfp::{Gfp, GfpRule, InvalidGfp, ParseGfpError};
#[doc(hidden)]
pub use guard::{IoFlusher, io_flusher_at};
pub use guard::{
    ScopeGuard, become_kswapd, enter_permanent, forbid, nofs, noio, noreclaim, nowait, pin,
    reclaim_context,
};
pub use kind::{Entered, Scope, ScopeKind, ScopeRef};
pub use layer::{Layer, LayerGuard, LayerRef, enter};
pub use lock::{
    LockRef, LockScope, Mutex, MutexGuard, Nofs, NofsMutex, Noio, NoioMutex, ScopedMutex,
    ScopedMutexGuard,
};
pub use misuse::{Misuse, MisuseReport};
pub use reclaim_context::{Depth, ReclaimContext, Superblock};
pub use shrinker::{Registration, Shrinker, Stop, register_shrinker};
pub use site::Site;
pub use snapshot::{OnBehalf, Snapshot};
pub use transaction::{Intent, Journal, Transaction};

/// The mask that an allocation of the running task really gets: `requested` after the task's
/// scopes. Scopes only clear bits; [`Gfp::effective`] has the rule.
#[inline]
#[must_use]
pub fn effective(requested: Gfp) -> Gfp {
    requested.effective(context::flags())
}
