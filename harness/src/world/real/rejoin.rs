//! The hop through the kernel, which the events would otherwise lack.
//!
//! Key type: [`Rejoin`]. A request of ours goes to a real loop device; the kernel's loop worker
//! turns it into a FUSE request on the backing file; one of our FUSE threads serves that. Both ends
//! are ours, the middle is not. When a FUSE request on a backing file overlaps a request that is in
//! flight on its loop device, the worker that we cannot see must be serving the latter by waiting
//! for the former. A stand-in task emits the events that say so.

use std::sync::{Arc, Weak};

use crate::event::{
    EventKind, Layer, LayerRef, Op, QueueId, RequestId, Resource, Site, TaskId, WaitOutcome,
};
use crate::fs::Ino;
use crate::fs::fuse::ServeHook;
use crate::host::HostLoop;
use crate::sched::{Sched, SpinLock};
use crate::units::{SECTOR_SIZE, Sectors};

/// A loop device and the file that backs it.
struct BackedDevice {
    ino: Ino,
    layer: LayerRef,
    device: Weak<HostLoop>,
}

/// The loop devices on the files of one mount.
pub(super) struct Rejoin {
    sched: Sched,
    queue: QueueId,
    backed: SpinLock<Vec<BackedDevice>>,
}

impl Rejoin {
    /// No device yet on the mount of filesystem `name`.
    pub(super) fn new(sched: &Sched, name: &str) -> Self {
        Self {
            sched: sched.clone(),
            queue: sched.add_queue(&format!("fuse:{name}")),
            backed: SpinLock::default(),
        }
    }

    /// `device` sits on file `ino`.
    pub(super) fn add(&self, ino: Ino, device: &Arc<HostLoop>) {
        use crate::block::BlockDevice as _;
        let layer = self.sched.add_layer(Layer::LOOP, device.name());
        self.backed.lock().push(BackedDevice { ino, layer, device: Arc::downgrade(device) });
    }

    /// The worker, its layer and the request above a FUSE request, if it comes from a loop device.
    fn above(
        &self,
        op: Op,
        ino: Ino,
        offset: u64,
        len: u64,
    ) -> Option<(TaskId, LayerRef, RequestId)> {
        let backed = self.backed.lock();
        let BackedDevice { layer, device, .. } = backed.iter().find(|backed| backed.ino == ino)?;
        let device = device.upgrade()?;
        let request = device.in_flight(op, offset..offset.saturating_add(len))?;
        Some((device.foreign_task(), *layer, request))
    }
}

impl ServeHook for Rejoin {
    fn serve(&self, op: Op, ino: Ino, offset: u64, len: u64) -> Box<dyn Send> {
        match self.above(op, ino, offset, len) {
            Some((worker, layer, request)) => {
                Box::new(Hop::begin(self, worker, layer, request, (op, offset, len)))
            }
            None => Box::new(()),
        }
    }
}

/// One FUSE request below one loop request; dropping it says that it is done.
struct Hop {
    sched: Sched,
    worker: TaskId,
    layer: LayerRef,
    above: RequestId,
    below: RequestId,
}

impl Hop {
    fn begin(
        rejoin: &Rejoin,
        worker: TaskId,
        layer: LayerRef,
        above: RequestId,
        what: (Op, u64, u64),
    ) -> Self {
        let sched = rejoin.sched.clone();
        let below = sched.next_request();
        let (op, offset, len) = what;
        let (sector, sectors) = (Sectors(offset / SECTOR_SIZE), Sectors(len / SECTOR_SIZE));
        let (queue, site) = (rejoin.queue, Site::here());
        let submit = EventKind::RequestSubmit {
            request: below,
            queue,
            op,
            sector,
            sectors,
            origin: None,
            site,
        };
        let resource = Resource::Request(below);
        sched.emit_for(worker, EventKind::RequestServe { request: above });
        sched.emit_for(worker, EventKind::LayerEnter { layer, site });
        sched.emit_for(worker, submit);
        sched.emit(EventKind::RequestServe { request: below });
        sched.emit_for(
            worker,
            EventKind::WaitBegin { resource, why: "FUSE reply", breakable: false, site },
        );
        Self { sched, worker, layer, above, below }
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        let Self { sched, worker, layer, above, below } = self;
        sched.emit(EventKind::RequestServed { request: *below });
        sched.emit(EventKind::RequestComplete { request: *below, error: None });
        let (resource, outcome) = (Resource::Request(*below), WaitOutcome::Satisfied);
        sched.emit_for(*worker, EventKind::WaitEnd { resource, outcome });
        sched.emit_for(*worker, EventKind::LayerExit { layer: *layer });
        sched.emit_for(*worker, EventKind::RequestServed { request: *above });
    }
}
