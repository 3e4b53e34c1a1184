//! `join+only-swap-io`: a NOFS scope forbids I/O, except to swap areas.
//!
//! Key types: [`OnlySwapIo`], [`SwapAreas`]. Patocka's answer to the objection that [`super::Join`]
//! stops swap-out: a separate bit for swap I/O, which NOFS would keep. It is safe only if the swap
//! I/O cannot lead back to the holder, so the area must be known to be plain. The proposal lacked
//! that condition and allows over a swap area what `join` forbids. Written from
//! docs/kernel/proposals.md, "Join and swap-only I/O".

use reclaimdep_scope::{Gfp, TaskFlags};

use super::{Holder, Join, Policy, StackingData, SwapPlace, Target, Topology};

/// Which swap areas a NOFS scope may write to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SwapAreas {
    /// Areas with only plain devices below: depth 0, no server, and no cache, since a cache
    /// allocates while it writes.
    #[default]
    Plain,
    /// All areas, as proposed.
    Any,
}

/// NOFS scopes forbid I/O except to swap areas.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OnlySwapIo {
    /// The areas that keep I/O.
    pub areas: SwapAreas,
}

impl OnlySwapIo {
    fn keeps(self, holder: &Holder<'_>, area: SwapPlace, stack: &Topology) -> bool {
        let nofs = holder.flags.contains(TaskFlags::MEMALLOC_NOFS);
        let fits = match (self.areas, area) {
            (SwapAreas::Any, _) => true,
            (SwapAreas::Plain, SwapPlace::Device(node)) => stack.is_plain(node),
            (SwapAreas::Plain, SwapPlace::File(_)) => false,
        };
        nofs && fits
    }
}

impl Policy for OnlySwapIo {
    fn name(&self) -> &'static str {
        "join+only-swap-io"
    }

    fn needs(&self) -> StackingData {
        match self.areas {
            SwapAreas::Plain => StackingData::Swap,
            SwapAreas::Any => StackingData::Nothing,
        }
    }

    fn effective(&self, requested: Gfp, flags: TaskFlags) -> Gfp {
        Join.effective(requested, flags)
    }

    fn mask_for(&self, holder: &Holder<'_>, target: &Target, stack: &Topology) -> Gfp {
        match target {
            Target::SwapPage(area) if self.keeps(holder, *area, stack) => {
                holder.without_nofs() - Gfp::FS
            }
            _ => self.effective(holder.requested, holder.flags),
        }
    }

    fn may_swap(&self, holder: &Holder<'_>, area: SwapPlace, stack: &Topology) -> bool {
        let mask = self.mask_for(holder, &Target::SwapPage(area), stack);
        // The proposal is older than the rule for swap files, so `Any` needs only I/O.
        let any = self.areas == SwapAreas::Any && mask.contains(Gfp::IO);
        any || area.may_enter(mask)
    }
}
