//! Watermarks, and how far below them a request may go.
//!
//! Key types: [`Watermarks`], [`Reserves`]. Arithmetic alone. Written from the project's description of
//! the allocation path, 3.2.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{Gfp, TaskFlags};
use crate::units::Pages;

/// The budget's watermarks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watermarks {
    /// The ordinary request stops here.
    pub min: Pages,
    /// Below it kswapd is woken, and the fast path ends.
    pub low: Pages,
    /// kswapd stops here; the last try before the OOM killer asks for it.
    pub high: Pages,
}

/// What the distance between watermarks is at the least, in ten-thousandths of the memory.
const WATERMARK_SCALE_FACTOR: u64 = 10;

impl Watermarks {
    /// Watermarks for `total` pages: min a 64th, and between watermarks the larger of a quarter of min and
    /// the kernel's default share of the memory.
    #[must_use]
    pub fn for_total(total: Pages) -> Self {
        Self::from_min(total, Pages((total.0 / 64).max(1)))
    }

    /// Watermarks for `total` pages above a given min.
    #[must_use]
    pub fn from_min(total: Pages, min: Pages) -> Self {
        let step = (min.0 / 4).max(total.0.saturating_mul(WATERMARK_SCALE_FACTOR) / 10_000).max(1);
        Self { min, low: Pages(min.0 + step), high: Pages(min.0 + 2 * step) }
    }

    /// The same watermarks, if they are watermarks of `total` pages.
    ///
    /// # Errors
    /// If they are not in order, or leave no page to allocate.
    pub fn checked(self, total: Pages) -> Result<Self> {
        let Self { min, low, high } = self;
        if min.0 == 0 || min >= low || low > high || high >= total {
            return Err(Error::input(format!(
                "watermarks min {min}, low {low}, high {high} of {total} pages"
            ))
            .advice("give watermarks with 0 < min < low <= high < pages"));
        }
        Ok(self)
    }
}

/// Which reserves a request may go into, besides what the min watermark leaves it (`ALLOC_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reserves {
    /// Half of min (ALLOC_MIN_RESERVE).
    pub min_reserve: bool,
    /// Another quarter of what is left then, for those that cannot sleep (ALLOC_NON_BLOCK).
    pub non_block: bool,
    /// Half of what is left then, for tasks that the OOM killer chose (ALLOC_OOM).
    pub oom: bool,
    /// Every last page (ALLOC_NO_WATERMARKS).
    pub no_watermarks: bool,
}

impl Reserves {
    /// What `mask` on a task with `flags` may take; `victim` says that the OOM killer chose the
    /// task.
    #[must_use]
    pub fn of(mask: Gfp, flags: TaskFlags, victim: bool) -> Self {
        let below = !mask.contains(Gfp::NOMEMALLOC);
        let reclaimer = flags.contains(TaskFlags::MEMALLOC) || mask.contains(Gfp::MEMALLOC);
        Self {
            min_reserve: mask.contains(Gfp::HIGH),
            non_block: !mask.allow_blocking() && below,
            oom: victim && below,
            no_watermarks: reclaimer && below,
        }
    }

    /// The reserve of the last resort of a request that must not fail.
    pub(super) const LAST_RESORT: Self =
        Self { min_reserve: true, non_block: false, oom: false, no_watermarks: false };

    /// Whether the request may take what an ordinary one may not, ignoring watermarks or as a victim.
    #[must_use]
    pub const fn emergency(self) -> bool {
        self.no_watermarks || self.oom
    }

    /// The mark that this request may go down to, where the ordinary one stops at `min`.
    #[must_use]
    pub const fn reduce(self, min: Pages) -> Pages {
        let Self { min_reserve, non_block, oom, no_watermarks } = self;
        if no_watermarks {
            return Pages(0);
        }
        let mut mark = min.0;
        if min_reserve {
            mark -= mark / 2;
            // Without HIGH a request that cannot sleep gets nothing more.
            if non_block {
                mark -= mark / 4;
            }
        }
        if oom {
            mark -= mark / 2;
        }
        Pages(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mark that `mask` goes down to where min is 1000.
    #[track_caller]
    fn check(mask: Gfp, flags: TaskFlags, victim: bool, expect: u64) {
        let mark = Reserves::of(mask, flags, victim).reduce(Pages(1000));
        assert_eq!(mark, Pages(expect), "{mask}, {flags:?}, victim {victim}");
    }

    #[test]
    fn requests_go_down_to_the_marks_of_the_description() {
        let none = TaskFlags::EMPTY;
        check(Gfp::KERNEL, none, false, 1000);
        check(Gfp::KERNEL | Gfp::HIGH, none, false, 500);
        check(Gfp::ATOMIC, none, false, 375);
        check(Gfp::NOWAIT, none, false, 1000);
        check(Gfp::KERNEL, none, true, 500);
        check(Gfp::KERNEL | Gfp::HIGH, none, true, 250);
        check(Gfp::KERNEL, TaskFlags::MEMALLOC, false, 0);
        check(Gfp::KERNEL | Gfp::MEMALLOC, none, false, 0);
    }

    #[test]
    fn nomemalloc_beats_both_ways_into_the_reserves() {
        for mask in [Gfp::KERNEL, Gfp::KERNEL | Gfp::MEMALLOC] {
            check(mask | Gfp::NOMEMALLOC, TaskFlags::MEMALLOC, true, 1000);
        }
        check(Gfp::ATOMIC | Gfp::NOMEMALLOC, TaskFlags::EMPTY, false, 500);
    }

    #[test]
    fn marks_have_the_kernels_proportions() {
        let watermarks = Watermarks::from_min(Pages(64_000), Pages(1000));
        assert_eq!(
            (watermarks.low, watermarks.high),
            (Pages(1250), Pages(1500)),
            "a quarter of min"
        );
        let watermarks = Watermarks::from_min(Pages(1_000_000), Pages(1000));
        assert_eq!(
            (watermarks.low, watermarks.high),
            (Pages(2000), Pages(3000)),
            "a thousandth of the memory"
        );
    }

    #[test]
    fn marks_out_of_order_are_refused() {
        let good = Watermarks { min: Pages(10), low: Pages(12), high: Pages(14) };
        assert_eq!(good.checked(Pages(64)).unwrap(), good);
        for bad in [
            Watermarks { min: Pages(0), ..good },
            Watermarks { min: Pages(12), ..good },
            Watermarks { high: Pages(11), ..good },
            Watermarks { high: Pages(64), ..good },
        ] {
            let message = bad.checked(Pages(64)).unwrap_err().to_string();
            assert!(message.contains("0 < min < low"), "{message}");
        }
    }
}
