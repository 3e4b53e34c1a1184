//! `vmalloc`: single pages with the caller's mask, and page tables with a fixed GFP_KERNEL.
//!
//! Key type: [`VmallocScope`]. The allocation of page tables ignores the caller's mask. Since 5.17
//! a scope around it applies the mask; before, `vmalloc(GFP_NOFS)` could call into a filesystem.
//! Mirrors `mm/vmalloc.c`; written from docs/kernel/scopes.md, "vmalloc".

use reclaimdep_scope::{self as scope, ScopeKind};

use super::alloc::PageBlock;
use super::memory::Mm;
use crate::event::{Gfp, Site};
use crate::sched::harness_side;

/// The scope that applies a caller's mask to the page tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum VmallocScope {
    /// The mask forbids nothing.
    None,
    /// The mask forbids calls into a filesystem.
    Nofs,
    /// The mask forbids I/O.
    Noio,
    /// The mask forbids waiting.
    Noreclaim,
}

impl VmallocScope {
    /// The scope of `mask`.
    #[must_use]
    pub(super) const fn of(mask: Gfp) -> Self {
        match (mask.allow_blocking(), mask.contains(Gfp::IO), mask.contains(Gfp::FS)) {
            (false, _, _) => Self::Noreclaim,
            (true, true, true) => Self::None,
            (true, true, false) => Self::Nofs,
            (true, false, _) => Self::Noio,
        }
    }

    fn enter(self, site: Site) -> Option<scope::ScopeGuard> {
        let kind = match self {
            Self::None => return None,
            Self::Nofs => ScopeKind::Nofs,
            Self::Noio => ScopeKind::Noio,
            Self::Noreclaim => ScopeKind::Noreclaim,
        };
        Some(kind.enter_at(site))
    }
}

/// How many pages one page table maps.
const PER_TABLE: u64 = 512;

impl Mm {
    /// Allocates an area of `pages` pages (`__vmalloc`): its pages with `mask`, its page tables
    /// with GFP_KERNEL.
    ///
    /// Returns `None` if a page or a page table could not be allocated. NOFAIL has an effect only
    /// if the mask permits waiting.
    #[track_caller]
    pub fn vmalloc(&self, pages: u64, mask: Gfp) -> Option<Vec<PageBlock>> {
        self.vmalloc_at(pages, mask, Site::here())
    }

    /// As [`Mm::vmalloc`], for a call at `site`.
    pub(crate) fn vmalloc_at(&self, pages: u64, mask: Gfp, site: Site) -> Option<Vec<PageBlock>> {
        let _side = harness_side();
        let mask = if mask.allow_blocking() { mask } else { mask - Gfp::NOFAIL };
        let mut area = Vec::new();
        for _ in 0..pages {
            area.push(self.alloc_at(0, mask, site)?);
        }
        let _scope =
            self.knobs().vmalloc_scope.then(|| VmallocScope::of(mask).enter(site)).flatten();
        for _ in 0..pages.div_ceil(PER_TABLE) {
            area.push(self.alloc_at(0, Gfp::KERNEL, site)?);
        }
        Some(area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_forbids_what_the_mask_forbids() {
        for (mask, expect) in [
            (Gfp::KERNEL, VmallocScope::None),
            (Gfp::NOFS, VmallocScope::Nofs),
            (Gfp::NOIO, VmallocScope::Noio),
            (Gfp::NOWAIT, VmallocScope::Noreclaim),
            (Gfp::ATOMIC, VmallocScope::Noreclaim),
        ] {
            assert_eq!(VmallocScope::of(mask), expect, "{mask}");
        }
    }
}
