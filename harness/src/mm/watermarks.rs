//! Watermarks, and how far below them a request may go.
//!
//! Key types: [`Watermarks`], [`Reserves`]. Arithmetic only, without state. Written from
//! docs/kernel/allocation.md, "Watermarks".

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{Gfp, TaskFlags};
use crate::units::Pages;

/// The budget's watermarks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watermarks {
    /// An ordinary request leaves at least this many pages free.
    pub min: Pages,
    /// Below it the fast path fails and kswapd is woken.
    pub low: Pages,
    /// kswapd stops here; the last attempt before the OOM killer asks for it.
    pub high: Pages,
}

/// The smallest distance between watermarks, in ten-thousandths of the memory.
const WATERMARK_SCALE_FACTOR: u64 = 10;

impl Watermarks {
    /// Watermarks for `total` pages: min is a 64th. The distance between them is the larger of a
    /// quarter of min and the kernel's default share of the memory.
    #[must_use]
    pub fn for_total(total: Pages) -> Self {
        Self::from_min(total, Pages((total.0 / 64).max(1)))
    }

    /// Watermarks for `total` pages with a given min.
    #[must_use]
    pub fn from_min(total: Pages, min: Pages) -> Self {
        let step = (min.0 / 4).max(total.0.saturating_mul(WATERMARK_SCALE_FACTOR) / 10_000).max(1);
        let low = min + Pages(step);
        Self { min, low, high: low + Pages(step) }
    }

    /// These watermarks, if they are valid for `total` pages.
    ///
    /// # Errors
    /// They are out of order, or leave no page to allocate.
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

/// Which reserves below the min watermark a request may use (`ALLOC_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reserves {
    /// Half of min (ALLOC_MIN_RESERVE).
    pub(super) min_reserve: bool,
    /// A quarter of the rest, for requests that cannot sleep (ALLOC_NON_BLOCK).
    pub(super) non_block: bool,
    /// Half of the rest, for tasks that the OOM killer chose (ALLOC_OOM).
    pub(super) oom: bool,
    /// Every last page (ALLOC_NO_WATERMARKS).
    pub(super) no_watermarks: bool,
}

impl Reserves {
    /// The reserves of a request with `mask` on a task with `flags`; `victim` says that the OOM
    /// killer chose the task.
    #[must_use]
    pub(super) fn of(mask: Gfp, flags: TaskFlags, victim: bool) -> Self {
        let below = !mask.contains(Gfp::NOMEMALLOC);
        let reclaimer = flags.contains(TaskFlags::MEMALLOC) || mask.contains(Gfp::MEMALLOC);
        Self {
            min_reserve: mask.contains(Gfp::HIGH),
            non_block: !mask.allow_blocking() && below,
            oom: victim && below,
            no_watermarks: reclaimer && below,
        }
    }

    /// The last reserve of a request that must not fail.
    pub(super) const LAST_RESORT: Self =
        Self { min_reserve: true, non_block: false, oom: false, no_watermarks: false };

    /// Whether the request may ignore the watermarks, or is that of an OOM victim.
    #[must_use]
    pub(super) const fn emergency(self) -> bool {
        self.no_watermarks || self.oom
    }

    /// The watermark of this request, where that of an ordinary request is `min`.
    #[must_use]
    pub(super) const fn reduce(self, min: Pages) -> Pages {
        let Self { min_reserve, non_block, oom, no_watermarks } = self;
        if no_watermarks {
            return Pages(0);
        }
        let mut watermark = min.0;
        if min_reserve {
            watermark -= watermark / 2;
            // Without HIGH a request that cannot sleep gets no reserve.
            if non_block {
                watermark -= watermark / 4;
            }
        }
        if oom {
            watermark -= watermark / 2;
        }
        Pages(watermark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The watermark of a request with `mask`, where min is 1000.
    #[track_caller]
    fn check(mask: Gfp, flags: TaskFlags, victim: bool, expect: u64) {
        let watermark = Reserves::of(mask, flags, victim).reduce(Pages(1000));
        assert_eq!(watermark, Pages(expect), "{mask}, {flags:?}, victim {victim}");
    }

    #[test]
    fn each_request_has_the_watermark_of_its_reserves() {
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
    fn nomemalloc_forbids_the_reserves_of_the_flag_and_of_the_mask() {
        for mask in [Gfp::KERNEL, Gfp::KERNEL | Gfp::MEMALLOC] {
            check(mask | Gfp::NOMEMALLOC, TaskFlags::MEMALLOC, true, 1000);
        }
        check(Gfp::ATOMIC | Gfp::NOMEMALLOC, TaskFlags::EMPTY, false, 500);
    }

    #[test]
    fn watermarks_have_the_kernels_proportions() {
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
    fn watermarks_out_of_order_are_refused() {
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
