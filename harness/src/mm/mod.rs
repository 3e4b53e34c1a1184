//! Memory: a page budget, the allocator's slow path, direct reclaim, shrinkers.
//!
//! An allocation takes pages from the budget. Below its mark, or where the plan says that memory is
//! short, it enters the slow path: if its effective mask lets it, it becomes a reclaimer
//! (PF_MEMALLOC, so that it never reclaims below itself), walks the shrinkers, and tries again.
//!
//! | module | holds |
//! |---|---|
//! | [`alloc`] | [`Mm`], [`PageBlock`]: the budget and the slow path |
//! | [`shrinker`] | [`Shrinker`], the registry, the count/scan protocol |
//!
//! Mirrors `mm/page_alloc.c` and `mm/vmscan.c`; written from the project's description of scoped
//! allocation and reclaim, sections 3.1-3.4 and 4.1-4.3.
//!
//! Locking: the budget's and the registry's leaf locks; neither is held while a shrinker runs.

pub mod alloc;
pub mod policy;
pub mod shrinker;

pub use alloc::{Mm, PageBlock};
pub use shrinker::{Registration, ScanControl, Shrinker, Stop};

#[cfg(test)]
mod tests;
