//! `join`: a NOFS scope behaves as a NOIO scope.
//!
//! Key type: [`Join`]. Mikulas Patocka's argument: any I/O may come back to a filesystem through a
//! loop device, so a scope with I/O and without filesystems makes no sense. It prevents the wait
//! for every shrinker that checks either bit, and it prevents all swap-out from NOFS scopes. It
//! joins the *scopes*: an explicit GFP_NOFS mask keeps I/O, and with it the deadlock. Written from
//! docs/kernel/proposals.md, "Join and swap-only I/O".

use reclaimdep_scope::{Gfp, TaskFlags};

use super::{Holder, Policy, StackingData, Target, Topology};

/// NOFS scopes are NOIO scopes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Join;

impl Policy for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn needs(&self) -> StackingData {
        StackingData::Nothing
    }

    fn effective(&self, requested: Gfp, flags: TaskFlags) -> Gfp {
        let nofs = flags.contains(TaskFlags::MEMALLOC_NOFS);
        requested.effective(if nofs { flags | TaskFlags::MEMALLOC_NOIO } else { flags })
    }

    fn mask_for(&self, holder: &Holder<'_>, _: &Target, _: &Topology) -> Gfp {
        self.effective(holder.requested, holder.flags)
    }
}
