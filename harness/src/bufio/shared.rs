//! State that every part of every client uses: the scheduler, memory, the plan, the knobs, the
//! accounts, the common queue and the marks on tasks.
//!
//! Key type: [`Shared`]. It knows no client; [`super::global`] has their list.

use std::sync::Arc;

use super::context::TaskMarks;
use super::memory::Accounts;
use super::queue::GlobalQueue;
use crate::era::{BufioGeneration, Knobs};
use crate::event::Resource;
use crate::inject::{Failpoint, Plan};
use crate::mm::Mm;
use crate::sched::{Sched, WaitQueue, Waiting, harness_side};
use crate::units::Ticks;

/// For how long a pause failpoint holds a task up.
const PAUSE: Ticks = Ticks(10);

/// Common to all clients of a world.
pub(super) struct Shared {
    pub(super) sched: Sched,
    pub(super) mm: Mm,
    pub(super) plan: Plan,
    pub(super) knobs: Knobs,
    pub(super) accounts: Accounts,
    pub(super) queue: GlobalQueue,
    pub(super) marks: Arc<TaskMarks>,
}

impl Shared {
    pub(super) fn new(sched: &Sched, mm: &Mm, plan: &Plan, knobs: Knobs) -> Arc<Self> {
        Arc::new(Self {
            sched: sched.clone(),
            mm: mm.clone(),
            plan: plan.clone(),
            knobs,
            accounts: Accounts::default(),
            queue: GlobalQueue::new(sched, knobs.bufio_generation),
            marks: Arc::new(TaskMarks::new(sched)),
        })
    }

    pub(super) const fn generation(&self) -> BufioGeneration {
        self.knobs.bufio_generation
    }

    /// The time in ticks.
    pub(super) fn tick(&self) -> u64 {
        let _side = harness_side();
        self.sched.now().0
    }

    /// Passes a failpoint; says whether it fired.
    pub(super) fn fires(&self, point: Failpoint) -> bool {
        self.plan.pass(&self.sched, point).is_err()
    }

    /// Holds the running task up if the plan says so.
    pub(super) fn pause(&self, point: Failpoint, why: &'static str) {
        if self.fires(point) {
            let nobody = WaitQueue::new(&self.sched);
            nobody.wait_timeout(Waiting::on(Resource::Timer, why), PAUSE, || false);
        }
    }
}
