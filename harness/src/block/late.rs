//! `LateDevice`: a device that delays each bio, then submits it below on a task of its own.
//!
//! Key type: [`LateDevice`]. A disk in memory completes a bio before `submit` returns, so no task
//! ever waits for it. With this device above it, tasks wait, and completions come between the steps
//! of other tasks.
//!
//! Locking: the FIFO's leaf lock.

use std::collections::VecDeque;
use std::sync::Arc;

use super::bio::Bio;
use super::device::{BlockDevice, Queue};
use crate::event::{EventKind, Resource, TaskKind};
use crate::sched::{JoinHandle, Sched, SpinLock, WaitQueue, Waiting, harness_side};
use crate::units::{Sectors, Ticks};

#[derive(Default)]
struct LateFifo {
    bios: VecDeque<Bio>,
    stopping: bool,
}

struct LateState {
    below: Arc<dyn BlockDevice>,
    sched: Sched,
    per_request: Ticks,
    per_sector: Ticks,
    fifo: SpinLock<LateFifo>,
    wake: WaitQueue,
    worker: SpinLock<Option<JoinHandle<()>>>,
}

/// A device above another that delays each bio.
#[derive(Clone)]
pub struct LateDevice(Arc<LateState>);

impl LateDevice {
    /// Starts the task that submits bios to `below`. It delays each by `per_request`, and by
    /// `per_sector` for each of its sectors. Where both are 0 there is no delay, only another task.
    #[must_use]
    pub fn new(
        sched: &Sched,
        below: Arc<dyn BlockDevice>,
        per_request: Ticks,
        per_sector: Ticks,
    ) -> Self {
        let _side = harness_side();
        let this = Self(Arc::new(LateState {
            sched: sched.clone(),
            per_request,
            per_sector,
            fifo: SpinLock::default(),
            wake: WaitQueue::new(sched),
            worker: SpinLock::new(None),
            below,
        }));
        let (worker, name) = (this.clone(), format!("disk/{}", this.name()));
        let handle = sched.spawn(&name, TaskKind::Server, move || worker.work());
        *this.0.worker.lock() = Some(handle);
        this
    }

    fn work(&self) {
        let LateState { below, sched, per_request, per_sector, fifo, wake, .. } = &*self.0;
        let queue = below.queue().id;
        sched.emit(EventKind::QueueServer { queue });
        loop {
            let ready = || {
                let fifo = fifo.lock();
                !fifo.bios.is_empty() || fifo.stopping
            };
            let waited = wake.wait_until(Waiting::on(Resource::Idle(queue), "requests"), ready);
            debug_assert!(waited.is_ok(), "an idle wait is never broken");
            let Some(bio) = fifo.lock().bios.pop_front() else {
                return;
            };
            let delay = Ticks(per_request.0 + per_sector.0 * bio.sectors().0);
            if delay.0 > 0 {
                let nobody = WaitQueue::new(sched);
                nobody.wait_timeout(Waiting::on(Resource::Timer, "the disk"), delay, || false);
            }
            let request = bio.id().expect("a queued request has a number");
            sched.emit(EventKind::RequestServe { request });
            below.submit(bio);
            sched.emit(EventKind::RequestServed { request });
        }
    }
}

impl BlockDevice for LateDevice {
    fn name(&self) -> &str {
        self.0.below.name()
    }

    fn sectors(&self) -> Sectors {
        self.0.below.sectors()
    }

    fn queue(&self) -> &Queue {
        self.0.below.queue()
    }

    fn submit(&self, mut bio: Bio) {
        let _side = harness_side();
        bio.submitted(&self.0.sched, self.queue().id);
        self.0.fifo.lock().bios.push_back(bio);
        self.0.wake.wake_all();
    }

    fn stop(&self) {
        let _side = harness_side();
        self.0.fifo.lock().stopping = true;
        self.0.wake.wake_all();
        let worker = self.0.worker.lock().take();
        if let Some(worker) = worker {
            worker.join();
        }
        self.0.below.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{MemoryDevice, read_at, write_at};
    use crate::sched::log::Log;

    #[test]
    fn a_bio_is_delayed_by_its_sectors_and_completed_by_another_task() {
        let log = Log::default();
        let sched = Sched::native(1, Box::new(log.clone()));
        sched.run_main(|| {
            let disk = Arc::new(MemoryDevice::new(&sched, "vda", 1 << 20));
            let late = LateDevice::new(&sched, disk, Ticks(1), Ticks(1));
            let before = sched.now();
            write_at(&late, 0, &[7; 4096]).unwrap();
            assert!(sched.now() - before >= Ticks(9), "one and eight sectors");
            let mut back = [0; 4096];
            read_at(&late, 0, &mut back).unwrap();
            assert_eq!(back, [7; 4096]);
            late.stop();
        });
        assert_eq!(log.count(|kind| matches!(kind, EventKind::RequestComplete { .. })), 2);
    }
}
