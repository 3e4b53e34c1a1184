//! Memory: a budget of pages, the allocator, reclaim, and shrinkers.
//!
//! Key types: [`Mm`] (the memory of a world), [`PageBlock`] (an allocation), [`Page`] (a page on
//! reclaim's lists), [`policy::Policy`]. An allocation takes pages from the budget. Below its
//! watermark, or where the plan says that memory is short, it enters the slow path. If its
//! effective mask permits it, the task reclaims there: it sets PF_MEMALLOC, so that no allocation
//! below it reclaims again, frees pages from the lists, calls the shrinkers, and tries once more.
//! Users are the ports (`block`, `bufio`, `fs`, `verity`), `stack`, and tests.
//!
//! Locking: leaf locks only; none is held while a shrinker, a page's owner or a victim runs.
//!
//! | floor | module | holds |
//! |---|---|---|
//! | data | `watermarks` | [`Watermarks`], and how far below them a request may go |
//! | | `annotation` | which requests depend on reclaim |
//! | | `page`, `lru` | [`Page`], what reclaim does with one; the lists |
//! | | `mapping` | [`Mapping`]: the mask of a file or of all memory |
//! | | `swap`, `reclaim_state` | [`SwapArea`]; pages that came back to a reclaiming task |
//! | | [`policy`] | which mask reclaim gets for each target: mainline and the proposals |
//! | memory | `memory` | [`Mm`], [`MmOptions`] |
//! | | `shrinker` | the registry, the count/scan protocol, [`SuperblockShrinker`] |
//! | | `memcg` | [`MemcgSpec`]: one memory cgroup with a limit |
//! | | `declare` | the stack and its reclaim targets, as events for the judges |
//! | reclaim | `reclaim`, `inactive` | the priorities and the node; the pages of one list |
//! | | `kswapd`, `throttle` | the background reclaimer; sleeps of reclaimers |
//! | | `compaction`, `oom` | moving pages together; the OOM killer |
//! | allocation | `alloc`, `slow_path` | [`PageBlock`], step by step |
//! | | `mempool`, `vmalloc` | [`Mempool`]; areas |
//!
//! Mirrors `mm/page_alloc.c` and `mm/vmscan.c`; written from the pages that docs/kernel/README.md,
//! "Pages", names for it.

mod alloc;
mod annotation;
mod compaction;
mod declare;
mod inactive;
mod kswapd;
mod lru;
mod mapping;
mod memcg;
mod memory;
mod mempool;
mod oom;
mod page;
pub mod policy;
mod reclaim;
mod reclaim_state;
mod shrinker;
mod slow_path;
mod swap;
mod throttle;
mod vmalloc;
mod watermarks;

pub use alloc::{MAX_ORDER, PageBlock};
pub use mapping::{Constraint, Mapping};
pub use memcg::MemcgSpec;
pub(crate) use memory::WeakMm;
pub use memory::{MAX_PAGES, Mm, MmOptions};
pub use mempool::{Element, Mempool};
pub use oom::Victim;
pub use page::{Page, PageClass, PageIo, PageLock, PageOwner, PageState};
pub(crate) use shrinker::{PortShrinker, ScanControl};
pub use shrinker::{Registration, SuperCounts, SuperOps, SuperblockShrinker};
pub(crate) use swap::MAX_SLOTS as MAX_SWAP_PAGES;
pub use swap::{SwapArea, SwapIo};
pub use watermarks::Watermarks;

#[cfg(test)]
mod tests;
