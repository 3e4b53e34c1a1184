//! What the parts call: the programs of a cache and of a device. Which item completes a request.

use std::sync::Weak;

use reclaimdep_scope::Stop;

use super::{Live, Stage};
use crate::case::act::Runner;
use crate::case::script::{Act, PartRef, Program, What};
use crate::event::{Actor, EventKind, Gfp, Op, RequestId, Site};
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

/// The item that completes a request, if its `done` queues one that does.
fn completing(done: &Program) -> Option<PartRef> {
    done.iter().find_map(|step| match step.act {
        Act::QueueWork { work, completes: true, .. } => Some(work),
        _ => None,
    })
}

impl Stage {
    /// The next run of `item` completes the request.
    fn completed_by(&self, item: PartRef, device: PartRef, request: RequestId) {
        self.completions.lock().push((item, device, request));
    }

    /// What the run of `item` that begins now completes.
    pub(super) fn completions_of(&self, item: PartRef) -> Vec<(PartRef, RequestId)> {
        let mut all = self.completions.lock();
        let of_item = all.iter().filter(|(by, ..)| *by == item);
        let taken = of_item.map(|(_, device, request)| (*device, *request)).collect();
        all.retain(|(by, ..)| *by != item);
        taken
    }

    pub(super) fn complete(&self, requests: Vec<(PartRef, RequestId)>) {
        for (device, request) in requests {
            if let Live::Device(device) = self.part(device) {
                device.complete_deferred(request);
            }
        }
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
        let item = completing(done);
        if let Some(item) = item {
            stage.completed_by(item, self.part, request);
        }
        Runner::new(&stage, None).run(done);
        if let Some(Live::Work { work, .. }) = item.map(|item| stage.part(item))
            && let Some(id) = work.pending()
        {
            let to = Actor::Work(id);
            stage.world.sched().emit(EventKind::RequestPassed { request, to });
        }
    }

    fn defers(&self) -> bool {
        let Some(stage) = self.stage.upgrade() else { return false };
        Self::programs(&stage, self.part).is_some_and(|(_, _, done, _)| completing(done).is_some())
    }
}
