//! `VerityDevice`: a target as a block device, so that a filesystem can be on it.
//!
//! Key type: [`VerityDevice`]. As `kverityd` does, one worker serves and checks reads in order: the
//! submitter may neither compute digests nor wait for hash blocks.
//!
//! Locking: the FIFO's leaf lock, never held while a request is served.

use std::collections::VecDeque;
use std::sync::Arc;

use super::target::Target;
use crate::block::{Bio, BlockDevice, Queue};
use crate::error::{Errno, Result};
use crate::event::{EventKind, Op, Resource, TaskKind};
use crate::sched::{JoinHandle, Sched, SpinLock, WaitQueue, Waiting, harness_side};
use crate::units::Sectors;

#[derive(Default)]
struct VerityFifo {
    bios: VecDeque<Bio>,
    stopping: bool,
}

struct VerityState {
    queue: Queue,
    target: Target,
    fifo: SpinLock<VerityFifo>,
    wake: WaitQueue,
    worker: SpinLock<Option<JoinHandle<()>>>,
}

/// A read-only device whose blocks are checked. Cheap to clone.
#[derive(Clone)]
pub struct VerityDevice(Arc<VerityState>);

impl VerityDevice {
    /// Starts the worker of `target`.
    #[must_use]
    pub fn new(sched: &Sched, target: Target) -> Self {
        let _side = harness_side();
        let name = target.name().to_owned();
        let queue = Queue::new(sched, &name);
        let (fifo, wake, worker) =
            (SpinLock::default(), WaitQueue::new(sched), SpinLock::new(None));
        let this = Self(Arc::new(VerityState { queue, target, fifo, wake, worker }));
        let device = this.clone();
        let handle =
            sched.spawn(&format!("kverityd/{name}"), TaskKind::Server, move || device.work());
        *this.0.worker.lock() = Some(handle);
        this
    }

    /// The target that it reads from.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// Completes what is in flight, ends the worker and frees the cache.
    ///
    /// # Errors
    /// As [`Target::close`].
    pub fn close(&self) -> Result<()> {
        self.stop();
        self.0.target.close()
    }

    fn work(&self) {
        let VerityState { queue, fifo, wake, .. } = &*self.0;
        queue.sched.emit(EventKind::QueueServer { queue: queue.id });
        loop {
            let idle = Waiting::on(Resource::Idle(queue.id), "requests");
            let waited = wake.wait_until(idle, || {
                let fifo = fifo.lock();
                !fifo.bios.is_empty() || fifo.stopping
            });
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
        let offset = bio.sector().bytes();
        // A block device fails a read with EIO, whether the extent, a read or a digest was wrong.
        let outcome = self.0.target.read_at(offset, bio.data_mut()).map_err(|_| Errno::EIO);
        sched.emit(EventKind::RequestServed { request });
        bio.complete(outcome);
    }
}

impl BlockDevice for VerityDevice {
    fn name(&self) -> &str {
        self.0.target.name()
    }

    fn sectors(&self) -> Sectors {
        Sectors::from_bytes(self.0.target.superblock().data_bytes())
    }

    fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// Queues a read. A write or a discard fails with `EROFS`; a flush succeeds at once.
    fn submit(&self, mut bio: Bio) {
        let _side = harness_side();
        bio.submitted(&self.0.queue.sched, self.0.queue.id);
        match bio.op() {
            Op::Write | Op::Discard => return bio.complete(Err(Errno::EROFS)),
            Op::Flush => return bio.complete(Ok(())),
            Op::Read => {}
        }
        let mut fifo = self.0.fifo.lock();
        if fifo.stopping {
            drop(fifo);
            return bio.complete(Err(Errno::ENXIO));
        }
        fifo.bios.push_back(bio);
        drop(fifo);
        self.0.wake.wake_one();
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
