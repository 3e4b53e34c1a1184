//! Memory: a page budget, the allocator's path through it, reclaim, shrinkers.
//!
//! An allocation takes pages from the budget. Below its mark, or where the plan says that memory is
//! short, it enters the slow path: if its effective mask lets it, it becomes a reclaimer
//! (PF_MEMALLOC, so that it never reclaims below itself), takes pages off the lists, walks the
//! shrinkers, and tries again.
//!
//! | module | holds |
//! |---|---|
//! | [`memory`] | [`Mm`], [`MmOptions`]: the memory of a world |
//! | [`alloc`], `slow_path` | [`PageBlock`]: one allocation, step by step |
//! | [`watermarks`] | [`Watermarks`], [`Reserves`](watermarks::Reserves): how far down a request may go |
//! | [`annotation`] | [`Annotation`](annotation::Annotation): what an allocation depends on, reclaiming or not |
//! | `reclaim`, `inactive` over `lru`, `reclaim_state` | priorities, the node, pages one by one |
//! | [`page`] | [`Page`], [`PageOwner`], and [`decide`](page::decide): what reclaim does with one |
//! | [`swap`] | [`SwapArea`]: where anonymous pages go |
//! | `shrinker` | [`Registration`], [`SuperblockShrinker`], the registry, the count/scan protocol |
//! | `kswapd`, `throttle`, [`oom`], `compaction` | the background reclaimer; who sleeps; who is killed; moving pages |
//! | [`memcg`] | [`MemcgSpec`]: one memory cgroup with a limit |
//! | [`mempool`], [`mapping`], [`vmalloc`] | progress without reserves; masks of objects; masks that become scopes |
//! | [`policy`] | how masks and shrinkers decide: mainline and the proposals |
//!
//! Mirrors `mm/page_alloc.c` and `mm/vmscan.c`; written from the project's description of scoped
//! allocation and reclaim, sections 1-4, 6 and 7.
//!
//! Locking: leaf locks alone; none is held while a shrinker, a page's owner or a victim runs.

pub mod alloc;
pub mod annotation;
mod compaction;
mod declare;
mod inactive;
mod kswapd;
mod lru;
pub mod mapping;
pub mod memcg;
pub mod memory;
pub mod mempool;
pub mod oom;
pub mod page;
pub mod policy;
mod reclaim;
mod reclaim_state;
mod shrinker;
mod slow_path;
pub mod swap;
mod throttle;
pub mod vmalloc;
pub mod watermarks;

pub use alloc::PageBlock;
pub use mapping::Mapping;
pub use memcg::MemcgSpec;
pub(crate) use memory::WeakMm;
pub use memory::{Mm, MmOptions};
pub use mempool::Mempool;
pub use oom::Victim;
pub use page::{Page, PageOwner, PageState};
pub(crate) use shrinker::{PortShrinker, ScanControl};
pub use shrinker::{Registration, SuperCounts, SuperOps, SuperblockShrinker};
pub use swap::{SwapArea, SwapIo};
pub use watermarks::Watermarks;

#[cfg(test)]
mod tests;
