//! `Stage`: the parts of a script in a world.
//!
//! Key types: [`Stage`], [`Live`]. Parts call programs, and programs use parts: so the closures of
//! a part know the stage weakly, and nothing of it outlives its run.

mod called;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use called::{Called, Serving};

use super::act::Runner;
use super::coverage::Coverage;
use super::ledger::{Ledger, Subject};
use super::reach::{Reaches, Sort};
use super::script::{Act, LockKind, Nested, PartRef, Program, Script, Step, What};
use crate::block::BlockDevice;
use crate::error::Result;
use crate::event::{Actor, Gfp, Op, RequestId, Resource, Site, TaskKind, WorkId, intern};
use crate::fs::Fs;
use crate::mm::Mempool;
use crate::parts::{
    self, Cache, Count, Device, DeviceOptions, Evictor, Filesystem, Flag, Server, Space,
};
use crate::sched::{
    JoinHandle, RawLock, SpinLock, WaitQueue, Waiting, Work, WorkQueue, WorkQueueOptions,
};
use crate::world::World;

/// A part that exists.
pub(super) enum Live {
    Lock { lock: RawLock, subclass: u8 },
    Flag(Flag),
    Count(Count),
    Space(Space),
    Pool(Mempool),
    Queue(WorkQueue),
    Work { work: Work, on: PartRef, queued: SpinLock<Option<WorkId>> },
    Device(Device),
    Loop(Arc<dyn BlockDevice>),
    Inode { evictor: Evictor, refs: SpinLock<u32> },
    Cache(SpinLock<Option<Cache>>),
    Superblock(SpinLock<Option<Filesystem>>),
}

/// A script in a world.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) script: Arc<Script>,
    pub(super) file: &'static str,
    pub(super) reaches: Reaches,
    pub(super) ledger: Ledger,
    pub(super) coverage: Option<Coverage>,
    filesystems: BTreeMap<String, Fs>,
    parts: Vec<OnceLock<Live>>,
    servers: SpinLock<BTreeMap<String, Server>>,
    pushers: SpinLock<Vec<Pusher>>,
    /// Requests that an item completes: the item, the device, the request.
    completions: SpinLock<Vec<(PartRef, PartRef, RequestId)>>,
}

/// A task that pushes a space.
struct Pusher {
    task: JoinHandle<()>,
    stop: Arc<SpinLock<bool>>,
    wake: WaitQueue,
    space: PartRef,
}

impl Stage {
    /// Builds the parts of `script`, and starts their servers.
    pub(super) fn build(
        world: &World,
        script: &Arc<Script>,
        file: &'static str,
        coverage: Option<Coverage>,
    ) -> Result<Arc<Self>> {
        let stage = Arc::new(Self {
            world: world.clone(),
            script: Arc::clone(script),
            file,
            reaches: Reaches::of(script),
            ledger: Ledger::default(),
            filesystems: {
                let names = script.stack.fs.iter().map(|fs| fs.name.clone());
                names.map(|name| (name.clone(), world.fs(&name))).collect()
            },
            parts: script.parts.iter().map(|_| OnceLock::new()).collect(),
            servers: SpinLock::default(),
            pushers: SpinLock::default(),
            completions: SpinLock::default(),
            coverage,
        });
        for place in 0..script.parts.len() {
            stage.make(PartRef(place))?;
        }
        stage.watch();
        Ok(stage)
    }

    /// The place of a line of the file.
    pub(super) const fn site(&self, line: u32) -> Site {
        Site { file: self.file, line }
    }

    /// The part.
    pub(super) fn part(&self, part: PartRef) -> &Live {
        self.parts[part.0].get().expect("every part was made")
    }

    /// The port of a filesystem.
    pub(super) fn filesystem(&self, name: &str) -> Option<&Fs> {
        self.filesystems.get(name)
    }

    /// Makes a part, after those that it stands on.
    fn make(self: &Arc<Self>, part: PartRef) -> Result<()> {
        if self.parts[part.0].get().is_some() {
            return Ok(());
        }
        let (sched, mm) = (self.world.sched(), self.world.mm());
        let described = &self.script.parts[part.0];
        let name = described.name.as_str();
        let site = self.site(described.line);
        let live = match &described.what {
            What::Lock { kind, class, subclass } => {
                let why = match kind {
                    LockKind::Mutex => "mutex",
                    LockKind::Rwsem => "rwsem",
                    LockKind::Page => "page lock",
                };
                let instance = if class == name { "" } else { name };
                let lock = RawLock::new(sched, intern(class), instance, why);
                Live::Lock { lock, subclass: *subclass }
            }
            What::Flag { set } => Live::Flag(Flag::new(sched, name, *set)),
            What::Count { from } => Live::Count(Count::new(sched, name, u64::from(*from))),
            What::Space { .. } => Live::Space(self.space(part)),
            What::Pool { min, order } => Live::Pool(Mempool::new(mm, name, *min as usize, *order)?),
            What::Queue { mem_reclaim, workers, new_worker_allocates } => {
                let mut options =
                    WorkQueueOptions::default().mem_reclaim(*mem_reclaim).workers(*workers);
                if *new_worker_allocates {
                    let mm = mm.clone();
                    options = options.new_worker(move || drop(mm.alloc_at(0, Gfp::KERNEL, site)));
                }
                Live::Queue(WorkQueue::with(sched, name, options))
            }
            What::Work { on, steps } => {
                self.make(*on)?;
                let (me, steps) = (Arc::downgrade(self), steps.clone());
                let work = Work::new(name, move || {
                    if let Some(stage) = me.upgrade() {
                        stage.dequeued(part);
                        let completed = stage.completions_of(part);
                        Runner::new(&stage, None).run(&steps);
                        stage.complete(completed);
                    }
                });
                Live::Work { work, on: *on, queued: SpinLock::new(None) }
            }
            What::Device { .. } => Live::Device(self.device(part)?),
            What::Inode { of, refs } => {
                self.make(*of)?;
                let evictor = match self.part(*of) {
                    Live::Superblock(fs) => fs.lock().as_ref().map(Filesystem::evictor),
                    _ => None,
                };
                let evictor = evictor.expect("an inode is of a superblock, which is mounted");
                Live::Inode { evictor, refs: SpinLock::new(*refs) }
            }
            What::Loop => Live::Loop(Arc::clone(self.world.stack().device(name)?)),
            What::Cache { objects, count, scan, memcg_aware } => {
                let (count, scan) = (count.clone(), scan.clone());
                let ops = Arc::new(Called { stage: Arc::downgrade(self), count, scan });
                let cache = Cache::new(mm, name, *objects, *memcg_aware, ops);
                Live::Cache(SpinLock::new(Some(cache)))
            }
            What::Superblock { on, inodes, evict } => {
                if let Some(on) = on {
                    self.make(*on)?;
                }
                let writes = on.filter(|_| evict.is_empty()).map(|device| Step {
                    line: described.line,
                    act: Act::Request { device, op: Op::Write, waits: true },
                });
                let evict: Program = evict.iter().cloned().chain(writes).collect();
                let me = Arc::downgrade(self);
                let fs = Filesystem::new_at(mm, name, *inodes, site, move || {
                    if let Some(stage) = me.upgrade() {
                        // The superblock shrinker has tested the mask.
                        Runner::new(&stage, Some(Gfp::KERNEL)).run(&evict);
                    }
                });
                Live::Superblock(SpinLock::new(Some(fs)))
            }
        };
        drop(self.parts[part.0].set(live));
        if let What::Space { push: Some(_), by: Some(_), .. } = described.what {
            self.start_pusher(part);
        }
        Ok(())
    }

    fn space(self: &Arc<Self>, part: PartRef) -> Space {
        let described = &self.script.parts[part.0];
        let What::Space { size, used, push, by, nested } = &described.what else {
            unreachable!("the caller looked");
        };
        let nested = match nested {
            Nested::Waits => parts::Nested::Waits,
            Nested::Joins => parts::Nested::Joins,
        };
        let (size, used) = (u64::from(*size), u64::from(*used));
        let space = Space::new(self.world.sched(), &described.name, size, used).nested(nested);
        match (push, by) {
            (Some(push), None) => {
                let (me, push) = (Arc::downgrade(self), push.clone());
                space.pushed_by_waiters(move || {
                    if let Some(stage) = me.upgrade() {
                        Runner::new(&stage, None).push(&push);
                    }
                })
            }
            _ => space,
        }
    }

    fn start_pusher(self: &Arc<Self>, part: PartRef) {
        let sched = self.world.sched();
        let What::Space { push: Some(push), by: Some(by), .. } = &self.script.parts[part.0].what
        else {
            return;
        };
        let Live::Space(space) = self.part(part) else { return };
        let (stop, wake) = (Arc::new(SpinLock::new(false)), WaitQueue::new(sched));
        let idle = sched.add_queue(by);
        let pushed = space.clone().kicked_by({
            let wake = wake.clone();
            move || wake.wake_all()
        });
        let (me, push) = (Arc::downgrade(self), push.clone());
        let (stopping, kicked) = (Arc::clone(&stop), wake.clone());
        let site = self.site(self.script.parts[part.0].line);
        let task = sched.spawn_at(by, TaskKind::Server, site, move || {
            loop {
                let waiting = Waiting::on(Resource::Idle(idle), "push");
                let ready = || pushed.wants_push() || *stopping.lock();
                let waited = kicked.wait_until(waiting, ready);
                debug_assert!(waited.is_ok(), "an idle wait is never broken");
                if !pushed.wants_push() {
                    return;
                }
                let Some(stage) = me.upgrade() else { return };
                Runner::new(&stage, None).push(&push);
                pushed.pushed();
                stage.after_signal(part, Sort::Room);
            }
        });
        self.pushers.lock().push(Pusher { task, stop, wake, space: part });
    }

    fn device(self: &Arc<Self>, part: PartRef) -> Result<Device> {
        let described = &self.script.parts[part.0];
        let What::Device { served_by, user, threads, on, takes, suspended, .. } = &described.what
        else {
            unreachable!("the caller looked");
        };
        let sched = self.world.sched();
        let mut options = DeviceOptions::default().takes(*takes).suspended(*suspended);
        if let Some(name) = served_by {
            let known = self.servers.lock().get(name).cloned();
            let server = known.unwrap_or_else(|| Server::start(sched, name, *threads, *user));
            options = options.served_by(&server);
            self.servers.lock().insert(name.clone(), server);
        }
        if let Some(below) = on {
            self.make(*below)?;
            match self.part(*below) {
                Live::Device(below) => options = options.on(Arc::new(below.clone())),
                Live::Loop(below) => options = options.on(Arc::clone(below)),
                _ => {}
            }
        }
        let ops = Arc::new(Serving { stage: Arc::downgrade(self), part });
        Ok(Device::new(sched, &described.name, options, ops))
    }

    /// The device, for a port that is on it and for steps.
    pub(super) fn block_device(&self, part: PartRef) -> Option<&dyn BlockDevice> {
        match self.part(part) {
            Live::Device(device) => Some(device),
            Live::Loop(device) => Some(&**device),
            _ => None,
        }
    }

    /// Tells the ledger what there is to promise.
    fn watch(&self) {
        let pushers = self.pushers.lock();
        let subject = |(part, sort): &(PartRef, Sort)| match (self.part(*part), sort) {
            (Live::Flag(flag), Sort::Becomes(value)) => Subject::Becomes(flag.clone(), *value),
            (Live::Count(count), _) => Subject::Zero(count.clone()),
            (Live::Device(device), _) => Subject::Becomes(device.suspension().clone(), false),
            (Live::Space(space), _) => {
                let pusher = pushers.iter().find(|pusher| pusher.space == *part);
                Subject::Room(space.clone(), pusher.map(|pusher| pusher.task.task()))
            }
            _ => unreachable!("the part has no condition"),
        };
        self.ledger.watch(self.reaches.conditions.iter().map(subject).collect());
        for pusher in &*pushers {
            let line = self.script.parts[pusher.space.0].line;
            let actor = Actor::Task(pusher.task.task());
            self.ledger.expect(actor, super::reach::Reach::default(), self.site(line));
        }
    }

    /// The running task signalled a condition: its promises and those of others follow.
    pub(super) fn after_signal(&self, part: PartRef, sort: Sort) {
        let place = self.reaches.conditions.iter().position(|known| *known == (part, sort));
        if let Some(place) = place {
            self.ledger.signalled(self.world.sched().current(), place);
        }
        self.ledger.changed();
    }

    /// The number of a condition.
    pub(super) fn condition(&self, part: PartRef, sort: Sort) -> Option<usize> {
        self.reaches.conditions.iter().position(|known| *known == (part, sort))
    }

    /// The item was queued as this.
    pub(super) fn queued(&self, part: PartRef, line: u32) {
        let Live::Work { work, queued, .. } = self.part(part) else { return };
        let Some(id) = work.pending() else { return };
        *queued.lock() = Some(id);
        self.ledger.expect(Actor::Work(id), self.reaches.part(part), self.site(line));
        // A worker may have begun it meanwhile.
        if work.pending() != Some(id) {
            self.ledger.forget(Actor::Work(id));
        }
    }

    fn dequeued(&self, part: PartRef) {
        let Live::Work { queued, .. } = self.part(part) else { return };
        let id = queued.lock().take();
        if let Some(id) = id {
            self.ledger.forget(Actor::Work(id));
        }
    }

    /// Ends the servers and takes the parts down.
    pub(super) fn close(&self) {
        for part in &self.parts {
            match part.get() {
                Some(Live::Cache(cache)) => {
                    let cache = cache.lock().take();
                    if let Some(cache) = cache {
                        cache.unregister();
                    }
                }
                Some(Live::Superblock(fs)) => {
                    let fs = fs.lock().take();
                    if let Some(fs) = fs {
                        fs.unregister();
                    }
                }
                Some(Live::Queue(queue)) => queue.destroy(),
                _ => {}
            }
        }
        let servers: Vec<Server> = self.servers.lock().values().cloned().collect();
        servers.iter().for_each(Server::stop);
        let pushers = std::mem::take(&mut *self.pushers.lock());
        for pusher in pushers {
            *pusher.stop.lock() = true;
            pusher.wake.wake_all();
            pusher.task.join();
        }
    }
}
