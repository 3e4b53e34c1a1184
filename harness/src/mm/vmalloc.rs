//! `vmalloc`: pages one by one, and page tables that hard-code GFP_KERNEL.
//!
//! Key type: [`VmallocScope`]. The page tables ignore the caller's mask, so since 5.17 the mask
//! becomes a scope around them; before, `vmalloc(GFP_NOFS)` was simply a bug. Mirrors
//! `mm/vmalloc.c`; written from the project's description of scoped allocation, 2.7.

use reclaimdep_scope as scope;

use super::alloc::PageBlock;
use super::memory::Mm;
use crate::event::Gfp;
use crate::sched::quiet;

/// The scope that a caller's mask becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VmallocScope {
    /// It may do everything.
    None,
    /// It may not call into a filesystem.
    Nofs,
    /// It may not start I/O.
    Noio,
    /// It may not wait.
    Noreclaim,
}

impl VmallocScope {
    /// The scope of `mask`.
    #[must_use]
    pub const fn of(mask: Gfp) -> Self {
        match (mask.allow_blocking(), mask.contains(Gfp::IO), mask.contains(Gfp::FS)) {
            (false, _, _) => Self::Noreclaim,
            (true, true, true) => Self::None,
            (true, true, false) => Self::Nofs,
            (true, false, _) => Self::Noio,
        }
    }

    #[track_caller]
    fn enter(self) -> Option<scope::ScopeGuard> {
        match self {
            Self::None => None,
            Self::Nofs => Some(scope::nofs()),
            Self::Noio => Some(scope::noio()),
            Self::Noreclaim => Some(scope::noreclaim()),
        }
    }
}

/// Pages of an area that one page table maps.
const PER_TABLE: u64 = 512;

impl Mm {
    /// An area of `pages` pages (`__vmalloc`): its pages with `mask`, its page tables with
    /// GFP_KERNEL.
    ///
    /// `None` where a page or a table could not be had. NOFAIL counts only where the mask may
    /// block.
    #[track_caller]
    pub fn vmalloc(&self, pages: u64, mask: Gfp) -> Option<Vec<PageBlock>> {
        let _ours = quiet();
        let mask = if mask.allow_blocking() { mask } else { mask - Gfp::NOFAIL };
        let mut area = Vec::new();
        for _ in 0..pages {
            area.push(self.alloc(0, mask)?);
        }
        let _scope = self.knobs().vmalloc_scope.then(|| VmallocScope::of(mask).enter()).flatten();
        for _ in 0..pages.div_ceil(PER_TABLE) {
            area.push(self.alloc(0, Gfp::KERNEL)?);
        }
        Some(area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_becomes_the_scope_that_keeps_its_promise() {
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
