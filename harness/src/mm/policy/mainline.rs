//! `mainline`: a NOFS scope forbids every filesystem, and nothing else.
//!
//! Key types: [`Mainline`], [`SwapFiles`]. The mask is the effective mask, whatever the target;
//! each shrinker must check it correctly. In the deadlock of 2014 dm-bufio did not: it read
//! `__GFP_IO` as permission to wait for a loop device. Written from docs/kernel/scopes.md, "The
//! effective mask", and docs/kernel/reclaim.md, "The decision for each page".

use reclaimdep_scope::Gfp;

use super::{Holder, Policy, StackingData, SwapPlace, Target, Topology};

/// When reclaim writes to a swap file that its filesystem writes itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SwapFiles {
    /// With FS (since 5.19).
    #[default]
    NeedFs,
    /// With only I/O, as to any swap area (until 5.18): a NOFS allocation could recurse.
    NeedIo,
}

/// What the kernel does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mainline {
    /// When a swap file is written.
    pub swap_files: SwapFiles,
}

impl Policy for Mainline {
    fn name(&self) -> &'static str {
        "mainline"
    }

    fn needs(&self) -> StackingData {
        StackingData::Nothing
    }

    fn mask_for(&self, holder: &Holder<'_>, _: &Target, _: &Topology) -> Gfp {
        self.effective(holder.requested, holder.flags)
    }

    fn may_swap(&self, holder: &Holder<'_>, area: SwapPlace, _: &Topology) -> bool {
        let mask = self.effective(holder.requested, holder.flags);
        match self.swap_files {
            SwapFiles::NeedFs => area.may_enter(mask),
            SwapFiles::NeedIo => mask.contains(Gfp::IO),
        }
    }
}
