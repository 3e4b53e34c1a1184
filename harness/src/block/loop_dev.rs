//! `LoopDevice`: the loop driver, in process.
//!
//! Key type: [`LoopDevice`]. Mirrors `drivers/block/loop.c` where progress depends on it: one FIFO,
//! and one worker that serves it serially. A flush is an fsync of the backing file, and everything
//! behind it waits. Since August 2019 the worker serves in a NOIO scope.
//!
//! Written from docs/kernel/loop.md, "The worker over time", "Flags of the worker" and "The data
//! path".
//!
//! Locking: the FIFO's leaf lock, never held while a request is served.

use std::collections::VecDeque;
use std::sync::Arc;

use reclaimdep_scope as scope;

use super::bio::Bio;
use super::device::{BackingFile, BlockDevice, Queue, in_range};
use crate::error::Errno;
use crate::event::{EventKind, Layer, LayerRef, Op, Resource, TaskKind};
use crate::sched::{JoinHandle, Sched, SpinLock, WaitQueue, Waiting, harness_side};
use crate::units::{SECTOR_SIZE, Sectors};

#[derive(Default)]
struct LoopFifo {
    bios: VecDeque<Bio>,
    stopping: bool,
}

struct LoopState {
    name: String,
    queue: Queue,
    layer: LayerRef,
    sectors: Sectors,
    backing: Arc<dyn BackingFile>,
    worker_noio: bool,
    fifo: SpinLock<LoopFifo>,
    wake: WaitQueue,
    worker: SpinLock<Option<JoinHandle<()>>>,
}

/// A block device whose sectors are a file's bytes.
#[derive(Clone)]
pub struct LoopDevice(Arc<LoopState>);

impl LoopDevice {
    /// Attaches `backing` as device `name` and starts its worker.
    ///
    /// # Errors
    /// The errno of the backing file's filesystem where the file's size cannot be read.
    pub fn attach(
        sched: &Sched,
        name: &str,
        backing: Arc<dyn BackingFile>,
        worker_noio: bool,
    ) -> Result<Self, Errno> {
        let sectors = Sectors(backing.size()? / SECTOR_SIZE);
        let inner = Arc::new(LoopState {
            name: name.to_owned(),
            queue: Queue::new(sched, name),
            layer: sched.add_layer(Layer::LOOP, name),
            sectors,
            backing,
            worker_noio,
            fifo: SpinLock::default(),
            wake: WaitQueue::new(sched),
            worker: SpinLock::new(None),
        });
        let this = Self(inner);
        let worker = this.clone();
        let handle = sched.spawn(name, TaskKind::Server, move || worker.work());
        *this.0.worker.lock() = Some(handle);
        Ok(this)
    }

    fn work(&self) {
        let LoopState { queue, fifo, wake, .. } = &*self.0;
        queue.sched.emit(EventKind::QueueServer { queue: queue.id });
        loop {
            let idle = Waiting::on(Resource::Idle(queue.id), "requests");
            let ready = || {
                let fifo = fifo.lock();
                !fifo.bios.is_empty() || fifo.stopping
            };
            let waited = wake.wait_until(idle, ready);
            debug_assert!(waited.is_ok(), "an idle wait is never broken");
            let Some(bio) = fifo.lock().bios.pop_front() else {
                return;
            };
            self.serve(bio);
        }
    }

    fn serve(&self, mut bio: Bio) {
        let request = bio.id().expect("a queued request has a number");
        let sched = &self.0.queue.sched;
        sched.emit(EventKind::RequestServe { request });
        let outcome = {
            let _noio = self.0.worker_noio.then(|| scope::noio());
            let _layer = scope::enter(self.0.layer.layer, self.0.layer.instance);
            self.transfer(&mut bio)
        };
        sched.emit(EventKind::RequestServed { request });
        bio.complete(outcome);
    }

    /// Whatever errno the backing file's filesystem gives, the bio fails with EIO.
    fn transfer(&self, bio: &mut Bio) -> Result<(), Errno> {
        let (backing, offset) = (&self.0.backing, bio.sector().bytes());
        let outcome = match bio.op() {
            Op::Read => backing.read_at(offset, bio.data_mut()),
            Op::Write => backing.write_at(offset, bio.data()),
            Op::Flush => backing.fsync(),
            // The backing file has no holes to punch.
            Op::Discard => return Err(Errno::EOPNOTSUPP),
        };
        outcome.map_err(|_| Errno::EIO)
    }
}

impl BlockDevice for LoopDevice {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn sectors(&self) -> Sectors {
        self.0.sectors
    }

    fn queue(&self) -> &Queue {
        &self.0.queue
    }

    fn submit(&self, mut bio: Bio) {
        let _side = harness_side();
        let Queue { sched, id } = &self.0.queue;
        bio.submitted(sched, *id);
        if !in_range(self, &bio) {
            bio.complete(Err(Errno::EIO));
            return;
        }
        {
            let mut fifo = self.0.fifo.lock();
            if fifo.stopping {
                drop(fifo);
                bio.complete(Err(Errno::ENXIO));
                return;
            }
            fifo.bios.push_back(bio);
        }
        self.0.wake.wake_all();
    }

    fn stop(&self) {
        self.0.fifo.lock().stopping = true;
        self.0.wake.wake_all();
        let worker = self.0.worker.lock().take();
        if let Some(worker) = worker {
            worker.join();
        }
    }
}
