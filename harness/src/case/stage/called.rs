//! What the parts call: the programs of a cache and of a device.

use std::sync::Weak;

use reclaimdep_scope::Stop;

use super::Stage;
use crate::case::act::Runner;
use crate::case::script::{PartRef, Program, What};
use crate::event::{Actor, Gfp, Op, RequestId, Site};
use crate::parts::{CacheOps, DeviceOps};

/// A cache's programs.
pub(super) struct Called {
    pub(super) stage: Weak<Stage>,
    pub(super) count: Program,
    pub(super) scan: Program,
}

impl CacheOps for Called {
    fn count(&self, mask: Gfp) {
        if let Some(stage) = self.stage.upgrade() {
            Runner::new(&stage, Some(mask)).run(&self.count);
        }
    }

    fn scan(&self, mask: Gfp) -> Result<(), Stop> {
        let stage = self.stage.upgrade().ok_or(Stop)?;
        if Runner::new(&stage, Some(mask)).run(&self.scan).is_stop() { Err(Stop) } else { Ok(()) }
    }
}

/// A device's programs.
pub(super) struct Serving {
    pub(super) stage: Weak<Stage>,
    pub(super) part: PartRef,
}

impl Serving {
    fn programs(stage: &Stage, part: PartRef) -> Option<(&Program, &Program, &Program, bool)> {
        match &stage.script.parts[part.0].what {
            What::Device { head, serve, done, on, .. } => Some((head, serve, done, on.is_some())),
            _ => None,
        }
    }
}

impl DeviceOps for Serving {
    fn submitted(&self, request: RequestId, site: Site) {
        if let Some(stage) = self.stage.upgrade() {
            stage.ledger.expect(Actor::Request(request), stage.reaches.part(self.part), site);
        }
    }

    fn serve(&self, request: RequestId, _op: Op) {
        let Some(stage) = self.stage.upgrade() else { return };
        let Some((head, serve, _, passes)) = Self::programs(&stage, self.part) else { return };
        stage.ledger.forget(Actor::Request(request));
        Runner::new(&stage, None).run(head);
        Runner::new(&stage, None).run(serve);
        if passes {
            let line = stage.script.parts[self.part.0].line;
            let left = stage.reaches.done(self.part);
            stage.ledger.expect(Actor::Request(request), left, stage.site(line));
        }
    }

    fn done(&self, request: RequestId, _op: Op) {
        let Some(stage) = self.stage.upgrade() else { return };
        let Some((_, _, done, _)) = Self::programs(&stage, self.part) else { return };
        stage.ledger.forget(Actor::Request(request));
        Runner::new(&stage, None).run(done);
    }
}
