//! `join+only-swap-io`: a NOFS scope forbids I/O, but for swap.
//!
//! Key types: [`OnlySwapIo`], [`SwapAreas`]. Patocka's answer to the objection that [`super::Join`]
//! stops swap-out: a bit of its own for swap I/O, which NOFS would keep. It is safe only where the
//! swap I/O cannot come back either, so the area must be known to be plain; proposed without that,
//! it lets in through the swap area what `join` keeps out. Written from the project's description,
//! 7.4.

use reclaimdep_scope::{Gfp, TaskFlags};

use super::{Holder, Join, Policy, StackingData, SwapArea, Target, Topology};

/// Which swap areas a NOFS scope may write to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SwapAreas {
    /// Those with nothing but plain devices below: depth 0, no server, and no cache, which
    /// allocates while it writes.
    #[default]
    Plain,
    /// All, as proposed.
    Any,
}

/// NOFS scopes forbid I/O but to swap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OnlySwapIo {
    /// Which areas.
    pub areas: SwapAreas,
}

impl OnlySwapIo {
    fn keeps(self, holder: &Holder<'_>, area: SwapArea, stack: &Topology) -> bool {
        let nofs = holder.flags.contains(TaskFlags::MEMALLOC_NOFS);
        let fits = match (self.areas, area) {
            (SwapAreas::Any, _) => true,
            (SwapAreas::Plain, SwapArea::Device(node)) => stack.is_plain(node),
            (SwapAreas::Plain, SwapArea::File(_)) => false,
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

    fn may_swap(&self, holder: &Holder<'_>, area: SwapArea, stack: &Topology) -> bool {
        let mask = self.mask_for(holder, &Target::SwapPage(area), stack);
        // The proposal is older than the rule for swap files: "any" asks for I/O alone.
        let any = self.areas == SwapAreas::Any && mask.contains(Gfp::IO);
        any || area.may_enter(mask)
    }
}
