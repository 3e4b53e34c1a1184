//! `Device`: whatever serves requests or calls: a device-mapper target, a network device, a FUSE
//! server, a lock manager, kthreadd.
//!
//! Key types: [`Device`], [`Server`], [`DeviceOptions`]. A request is served by the task that
//! submits it, or by a [`Server`]. A device on another passes each request down after it was
//! served, and is done with it when the one below is complete. A suspended device takes no request:
//! whoever submits one waits until it is resumed; and a suspension waits for the requests in
//! flight.
//!
//! Locking: leaf locks around the queue of a server and the requests in flight.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};

use super::Flag;
use crate::block::{Bio, BlockDevice, Queue};
use crate::error::Errno;
use crate::event::{Actor, EventKind, Needs, Op, QueueId, RequestId, Resource, Site, TaskKind};
use crate::sched::{Condition, JoinHandle, Sched, SpinLock, WaitQueue, Waiting, harness_side};
use crate::units::{Sectors, Ticks};

/// The size of a stand-in.
const SECTORS: Sectors = Sectors(1 << 16);

/// What a device does with a request.
pub trait DeviceOps: Send + Sync {
    /// A request was submitted at `site`; called on the submitter.
    fn submitted(&self, request: RequestId, site: Site) {
        let _ = (request, site);
    }

    /// Serves a request.
    fn serve(&self, request: RequestId, op: Op);

    /// The request is done here and below; called on the server.
    fn done(&self, request: RequestId, op: Op);

    /// Whether a request is complete only when [`Device::complete_deferred`] says so, because
    /// `done` hands its completion to a work item.
    fn defers(&self) -> bool {
        false
    }
}

/// How a device is made.
#[derive(Clone, Default)]
pub struct DeviceOptions {
    server: Option<Server>,
    below: Option<Arc<dyn BlockDevice>>,
    takes: Ticks,
    suspended: bool,
}

impl std::fmt::Debug for DeviceOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceOptions")
            .field("takes", &self.takes)
            .field("suspended", &self.suspended)
            .finish_non_exhaustive()
    }
}

impl DeviceOptions {
    /// The server of its requests; without one, whoever submits a request serves it.
    #[must_use]
    pub fn served_by(mut self, server: &Server) -> Self {
        self.server = Some(server.clone());
        self
    }

    /// The device that each request is passed on to.
    #[must_use]
    pub fn on(mut self, below: Arc<dyn BlockDevice>) -> Self {
        self.below = Some(below);
        self
    }

    /// For how long each request is served.
    #[must_use]
    pub const fn takes(mut self, takes: Ticks) -> Self {
        self.takes = takes;
        self
    }

    /// Whether it is suspended at the start.
    #[must_use]
    pub const fn suspended(mut self, suspended: bool) -> Self {
        self.suspended = suspended;
        self
    }
}

struct DeviceState {
    name: String,
    queue: Queue,
    ops: Arc<dyn DeviceOps>,
    options: DeviceOptions,
    suspended: Flag,
    in_flight: SpinLock<BTreeSet<RequestId>>,
    drained: Condition,
    time: WaitQueue,
    /// Requests whose completion was handed on.
    deferred: SpinLock<BTreeMap<RequestId, Finished>>,
    me: Weak<DeviceState>,
}

/// A request that is served here and below, and how that ended.
type Finished = (Bio, Result<(), Errno>);

/// A device that is a stand-in. Cheap to clone.
#[derive(Clone)]
pub struct Device(Arc<DeviceState>);

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("name", &self.0.name).finish_non_exhaustive()
    }
}

/// What a server has to do.
enum Job {
    Serve(Bio),
    /// The request below is complete.
    Done(Bio, Result<(), Errno>),
}

struct ServerState {
    sched: Sched,
    idle: QueueId,
    jobs: SpinLock<VecDeque<(Arc<DeviceState>, Job)>>,
    stopping: SpinLock<bool>,
    wake: WaitQueue,
    tasks: SpinLock<Vec<JoinHandle<()>>>,
}

/// One or several tasks that serve devices, in the order of the requests. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<ServerState>);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("idle", &self.0.idle).finish_non_exhaustive()
    }
}

impl Server {
    /// `threads` tasks called `name`, the second and later ones with a number. A server in user
    /// space is throttled as a user task is.
    #[must_use]
    pub fn start(sched: &Sched, name: &str, threads: u32, in_user_space: bool) -> Self {
        let _side = harness_side();
        let this = Self(Arc::new(ServerState {
            sched: sched.clone(),
            idle: sched.add_queue(name),
            jobs: SpinLock::default(),
            stopping: SpinLock::new(false),
            wake: WaitQueue::new(sched),
            tasks: SpinLock::default(),
        }));
        let kind = if in_user_space { TaskKind::UserServer } else { TaskKind::Server };
        for number in 1..=threads.max(1) {
            let name = if number == 1 { name.to_owned() } else { format!("{name}/{number}") };
            let server = this.clone();
            let task = sched.spawn(&name, kind, move || server.run());
            this.0.tasks.lock().push(task);
        }
        this
    }

    /// Serves what is queued, then ends the tasks.
    pub fn stop(&self) {
        let _side = harness_side();
        *self.0.stopping.lock() = true;
        self.0.wake.wake_all();
        loop {
            let next = self.0.tasks.lock().pop();
            let Some(task) = next else {
                return;
            };
            task.join();
        }
    }

    fn serves(&self, queue: QueueId) {
        for task in self.0.tasks.lock().iter().map(JoinHandle::task) {
            self.0.sched.emit_for(task, EventKind::QueueServer { queue });
        }
    }

    fn add(&self, device: Arc<DeviceState>, job: Job) {
        self.0.jobs.lock().push_back((device, job));
        self.0.wake.wake_all();
    }

    fn run(&self) {
        let ServerState { idle, jobs, stopping, wake, .. } = &*self.0;
        loop {
            let waiting = Waiting::on(Resource::Idle(*idle), "request");
            let ready = || !jobs.lock().is_empty() || *stopping.lock();
            let waited = wake.wait_until(waiting, ready);
            debug_assert!(waited.is_ok(), "an idle wait is never broken");
            let next = jobs.lock().pop_front();
            match next {
                Some((device, Job::Serve(bio))) => device.serve(bio),
                Some((device, Job::Done(bio, outcome))) => device.finish(bio, outcome),
                None if *stopping.lock() => return,
                // Another thread of the server took it.
                None => {}
            }
        }
    }
}

impl Device {
    /// A device that reports call `name`.
    #[must_use]
    pub fn new(sched: &Sched, name: &str, options: DeviceOptions, ops: Arc<dyn DeviceOps>) -> Self {
        let _side = harness_side();
        let queue = Queue::new(sched, name);
        if let Some(server) = &options.server {
            server.serves(queue.id);
        }
        let suspended = Flag::new(sched, &format!("{name} suspended"), options.suspended);
        let drained = Condition::new(sched, &format!("the requests of {name}"));
        Self(Arc::new_cyclic(|me| DeviceState {
            name: name.to_owned(),
            queue,
            ops,
            options,
            suspended,
            in_flight: SpinLock::default(),
            drained,
            time: WaitQueue::new(sched),
            deferred: SpinLock::default(),
            me: me.clone(),
        }))
    }

    /// Takes no further request, and waits for those in flight.
    #[track_caller]
    pub fn suspend(&self) {
        self.suspend_at(Site::here());
    }

    /// As [`Device::suspend`], for a call at `site`.
    pub(crate) fn suspend_at(&self, site: Site) {
        let _side = harness_side();
        let DeviceState { suspended, in_flight, drained, .. } = &*self.0;
        suspended.put(true);
        for request in in_flight.lock().clone() {
            drained.promise_by(Actor::Request(request), 1, site);
        }
        drained.wait_needing(|| Needs::All, "freeze", site, || in_flight.lock().is_empty());
    }

    /// Completes a request whose completion was handed on; the running task then serves it.
    pub fn complete_deferred(&self, request: RequestId) {
        let _side = harness_side();
        let deferred = self.0.deferred.lock().remove(&request);
        if let Some((bio, outcome)) = deferred {
            self.0.complete(bio, outcome);
        }
    }

    /// Takes requests again.
    pub fn resume(&self) {
        self.0.suspended.put(false);
    }

    /// Whether it is suspended: a task that will resume it promises so on
    /// [`Flag::becomes`]`(false)`.
    #[must_use]
    pub fn suspension(&self) -> &Flag {
        &self.0.suspended
    }
}

impl BlockDevice for Device {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn sectors(&self) -> Sectors {
        SECTORS
    }

    fn queue(&self) -> &Queue {
        &self.0.queue
    }

    fn submit(&self, mut bio: Bio) {
        let _side = harness_side();
        let DeviceState { queue, suspended, in_flight, options, .. } = &*self.0;
        // With a scheduling point: two submitters may be in either order.
        suspended.wait_at(false, bio.site());
        let request = bio.submitted(&queue.sched, queue.id);
        in_flight.lock().insert(request);
        self.0.ops.submitted(request, bio.site());
        match &options.server {
            Some(server) => server.add(Arc::clone(&self.0), Job::Serve(bio)),
            None => self.0.serve(bio),
        }
    }
}

impl DeviceState {
    fn serve(&self, mut bio: Bio) {
        let Self { queue, ops, options, time, .. } = self;
        let sched = &queue.sched;
        let (request, op) = (bio.submitted(sched, queue.id), bio.op());
        sched.emit(EventKind::RequestServe { request });
        ops.serve(request, op);
        if options.takes > Ticks(0) {
            let served = Waiting::on(Resource::Timer, "device");
            let _never = time.wait_timeout(served, options.takes, || false);
        }
        let Some(below) = &options.below else {
            return self.done(bio, request, Ok(()));
        };
        let child = self.child(bio, below.as_ref());
        sched.emit(EventKind::RequestServed { request });
        below.submit(child);
    }

    /// The request that carries `bio` on the device below.
    fn child(&self, bio: Bio, below: &dyn BlockDevice) -> Bio {
        let sched = &self.queue.sched;
        let (op, site, request) = (bio.op(), bio.site(), bio.id());
        let (sector, length) = (bio.sector(), bio.sectors().bytes());
        let data = vec![0; if op == Op::Flush { 0 } else { usize::try_from(length).unwrap_or(0) }];
        let me = self.me.upgrade();
        let end_io = Box::new(move |_, outcome| {
            let Some(me) = me else { return bio.complete(outcome) };
            match &me.options.server {
                Some(server) => server.add(Arc::clone(&me), Job::Done(bio, outcome)),
                None => me.finish(bio, outcome),
            }
        });
        let sector = if sector < below.sectors() { sector } else { Sectors(0) };
        let mut child = Bio::new(op, sector, data, end_io).with_site(site);
        let to = Actor::Request(child.number(sched));
        if let Some(request) = request {
            sched.emit(EventKind::RequestPassed { request, to });
        }
        child
    }

    /// The request below is complete.
    fn finish(&self, bio: Bio, outcome: Result<(), Errno>) {
        match bio.id() {
            Some(request) => {
                self.queue.sched.emit(EventKind::RequestServe { request });
                self.done(bio, request, outcome);
            }
            None => self.complete(bio, outcome),
        }
    }

    /// What is left to do for the request is done, or handed on.
    fn done(&self, bio: Bio, request: RequestId, outcome: Result<(), Errno>) {
        let op = bio.op();
        let mut now = Some(bio);
        if self.ops.defers() {
            // First, because what it is handed to may run at once.
            self.deferred.lock().extend(now.take().map(|bio| (request, (bio, outcome))));
        }
        self.ops.done(request, op);
        self.queue.sched.emit(EventKind::RequestServed { request });
        if let Some(bio) = now {
            self.complete(bio, outcome);
        }
    }

    fn complete(&self, bio: Bio, outcome: Result<(), Errno>) {
        let request = bio.id();
        bio.complete(outcome);
        let drained = {
            let mut in_flight = self.in_flight.lock();
            request.map(|request| in_flight.remove(&request));
            in_flight.is_empty()
        };
        if drained && self.suspended.is_set() {
            self.drained.signal();
        }
    }
}
