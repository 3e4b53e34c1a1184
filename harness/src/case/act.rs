//! The interpreter: the steps of a program, on the running task.
//!
//! Key types: [`Runner`], [`Ended`]. A task, a work item, a server, a scan and an eviction are
//! programs of the same steps. What a program holds is its own: a scan that runs below an
//! allocation of the task cannot release what the task locked.

mod conditions;

use std::sync::Arc;

use reclaimdep_scope::{self as scope, ScopeGuard, context};

use super::ledger::Ledger;
use super::port::Port;
use super::reach::Sort;
use super::script::{Act, PartRef, Program, Step, Test};
use super::stage::{Live, Stage};
use crate::block::{Bio, read_at_site, write_at_site};
use crate::error::Errno;
use crate::event::{Gfp, LockMode, Op, Resource, ScopeKind, Site, TaskFlags, TaskId};
use crate::mm::{Element, PageBlock};
use crate::units::Sectors;

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// After its last step.
    Whole,
    /// By a `stop`.
    Stopped,
    /// A step failed.
    Failed(Errno),
}

impl Ended {
    /// Whether the caller of the program must be told to stop.
    pub(super) fn is_stop(self) -> bool {
        self != Self::Whole
    }
}

/// A bracket of a scope that is open.
enum Open {
    Scope { _guard: ScopeGuard },
    IoFlusher { _guard: scope::IoFlusher },
}

/// Runs programs on the running task.
pub(super) struct Runner<'a> {
    stage: &'a Arc<Stage>,
    task: TaskId,
    /// What reclaim may do, for a program that reclaim calls.
    mask: Option<Gfp>,
    scopes: Vec<Open>,
    kept: Vec<Vec<PageBlock>>,
    elements: Vec<(PartRef, Element)>,
    port: Port<'a>,
    /// A try-lock that fails waits for its lock and begins again: a push round.
    pushes: bool,
    failed_try: Option<(PartRef, bool, u32)>,
}

/// The running task is in a program until this is dropped.
struct InProgram<'a>(&'a Ledger, TaskId);

impl Drop for InProgram<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

impl Drop for Runner<'_> {
    /// Innermost first; a vector would drop the outermost first.
    fn drop(&mut self) {
        self.port.close();
        while self.scopes.pop().is_some() {}
    }
}

impl<'a> Runner<'a> {
    /// A runner for a program; `mask` is reclaim's where reclaim calls it.
    pub(super) fn new(stage: &'a Arc<Stage>, mask: Option<Gfp>) -> Self {
        Self {
            stage,
            task: stage.world.sched().current(),
            mask,
            scopes: Vec::new(),
            kept: Vec::new(),
            elements: Vec::new(),
            port: Port::default(),
            pushes: false,
            failed_try: None,
        }
    }

    /// Runs a program.
    pub(super) fn run(&mut self, steps: &Program) -> Ended {
        if steps.is_empty() {
            return Ended::Whole;
        }
        let stage = self.stage;
        let left = stage.reaches.suffixes(steps);
        stage.ledger.begin(self.task, left[0], stage.site(steps[0].line));
        let _in_program = InProgram(&stage.ledger, self.task);
        for (place, (step, left)) in steps.iter().zip(&left).enumerate() {
            stage.ledger.left(self.task, *left, stage.site(step.line));
            let running =
                stage.coverage.as_ref().map(|seen| seen.running(step, &steps[place + 1..]));
            let ended = self.take(step);
            if let (Some(running), Ended::Whole | Ended::Stopped) = (running, &ended) {
                running.ended();
            }
            if !matches!(ended, Ended::Whole) {
                return ended;
            }
        }
        Ended::Whole
    }

    /// Runs a push round. One in which a try-lock fails helps nobody, so it begins again when that
    /// lock was released.
    pub(super) fn push(&mut self, steps: &Program) {
        self.pushes = true;
        loop {
            self.run(steps);
            let Some((lock, shared, line)) = self.failed_try.take() else {
                return;
            };
            self.lock(lock, shared, self.stage.site(line));
            self.unlock(lock);
        }
    }

    fn take(&mut self, step: &Step) -> Ended {
        let site = self.stage.site(step.line);
        let world = &self.stage.world;
        match &step.act {
            Act::Lock { lock, shared } => self.lock(*lock, *shared, site),
            Act::TryLock { lock, shared, or_else } => {
                return self.try_lock(*lock, *shared, or_else, site);
            }
            Act::Unlock { lock } => self.unlock(*lock),
            Act::Alloc { mask, order, times, keep, vmalloc } => {
                let mut got = Vec::new();
                for _ in 0..*times {
                    let pages = if *vmalloc {
                        world.mm().vmalloc_at(1 << order, *mask, site)
                    } else {
                        world.mm().alloc_at(*order, *mask, site).map(|block| vec![block])
                    };
                    let Some(pages) = pages else {
                        return Ended::Failed(Errno::ENOMEM);
                    };
                    if *keep {
                        got.extend(pages);
                    }
                }
                if *keep {
                    self.kept.push(got);
                }
            }
            Act::Free => drop(self.kept.pop()),
            Act::Scope { kind } => {
                self.scopes.push(Open::Scope { _guard: ScopeKind::enter_at(*kind, site) });
            }
            Act::IoFlusher => {
                self.scopes.push(Open::IoFlusher { _guard: scope::io_flusher_at(site) });
            }
            Act::EndScope => drop(self.scopes.pop()),
            Act::Set { .. }
            | Act::WaitFlag { .. }
            | Act::WaitZero { .. }
            | Act::Inc { .. }
            | Act::Dec { .. }
            | Act::Reserve { .. }
            | Act::TryReserve { .. }
            | Act::Release { .. } => return self.condition(&step.act, site),
            Act::Take { pool, mask, or_else } => {
                return self.element(*pool, *mask, or_else.as_ref(), site);
            }
            Act::Put { pool } => {
                let place = self.elements.iter().rposition(|(known, _)| known == pool);
                drop(place.map(|place| self.elements.remove(place)));
            }
            Act::GetInode { inode } => {
                if let Live::Inode { refs, .. } = self.stage.part(*inode) {
                    *refs.lock() += 1;
                }
            }
            Act::PutInode { inode } => return self.put_inode(*inode),
            Act::Request { device, op, waits } => return self.request(*device, *op, *waits, site),
            Act::Suspend { device } => {
                if let Live::Device(part) = self.stage.part(*device) {
                    part.suspend_at(site);
                    self.stage.after_signal(*device, Sort::Resumed);
                }
            }
            Act::Resume { device } => {
                if let Live::Device(part) = self.stage.part(*device) {
                    part.resume();
                    self.stage.after_signal(*device, Sort::Resumed);
                }
            }
            Act::QueueWork { .. }
            | Act::WaitWork { .. }
            | Act::RunHere { .. }
            | Act::FlushQueue { .. } => self.work(&step.act, step.line, site),
            Act::Stop => return Ended::Stopped,
            Act::Repeat { times, steps } => {
                for _ in 0..*times {
                    match self.run(steps) {
                        Ended::Whole => {}
                        ended => return ended,
                    }
                }
            }
            Act::If { test, then, or_else } => {
                let steps = if self.holds(test) { then } else { or_else };
                return self.run(steps);
            }
            Act::Port(step) => {
                if let Err(errno) = self.port.take(self.stage, step) {
                    return Ended::Failed(errno);
                }
            }
        }
        Ended::Whole
    }

    fn lock(&self, lock: PartRef, shared: bool, site: Site) {
        if let Live::Lock { lock, subclass } = self.stage.part(lock) {
            lock.lock_at(mode(shared, *subclass), site);
        }
    }

    fn try_lock(&mut self, part: PartRef, shared: bool, or_else: &Program, site: Site) -> Ended {
        let Live::Lock { lock, subclass } = self.stage.part(part) else {
            return Ended::Whole;
        };
        if self.pushes {
            // A round that cannot have the lock waits for it.
            self.stage.world.sched().wait_passed(Resource::Lock(lock.id()), site);
        }
        if lock.try_lock_at(mode(shared, *subclass), site) {
            return Ended::Whole;
        }
        // The checker has seen that these steps stop, or take the lock.
        let ended = self.run(or_else);
        if self.pushes && ended.is_stop() {
            self.failed_try = Some((part, shared, site.line));
        }
        ended
    }

    fn unlock(&self, lock: PartRef) {
        if let Live::Lock { lock, .. } = self.stage.part(lock) {
            lock.unlock();
        }
    }

    fn element(
        &mut self,
        pool: PartRef,
        mask: Gfp,
        or_else: Option<&Program>,
        site: Site,
    ) -> Ended {
        let Live::Pool(part) = self.stage.part(pool) else {
            return Ended::Whole;
        };
        match (part.alloc_at(mask, site), or_else) {
            (Some(element), _) => self.elements.push((pool, element)),
            (None, Some(or_else)) => return self.run(or_else),
            (None, None) => return Ended::Failed(Errno::ENOMEM),
        }
        Ended::Whole
    }

    /// Puts a reference; the last evicts the inode here. One reference more than there are is a
    /// fault of the case.
    fn put_inode(&self, inode: PartRef) -> Ended {
        let Live::Inode { evictor, refs } = self.stage.part(inode) else { return Ended::Whole };
        let left = {
            let mut refs = refs.lock();
            let Some(left) = refs.checked_sub(1) else {
                return Ended::Failed(Errno::EINVAL);
            };
            *refs = left;
            left
        };
        if left == 0 {
            evictor.evict();
        }
        Ended::Whole
    }

    fn request(&self, device: PartRef, op: Op, waits: bool, site: Site) -> Ended {
        let Some(device) = self.stage.block_device(device) else {
            return Ended::Whole;
        };
        let outcome = match (waits, op) {
            (true, Op::Read) => read_at_site(device, 0, &mut [0; BLOCK], site),
            (true, _) => write_at_site(device, 0, &[0; BLOCK], site),
            (false, _) => {
                let bio = Bio::write(Sectors(0), &[0; BLOCK], Box::new(|_, _| {}));
                device.submit(bio.with_site(site));
                Ok(())
            }
        };
        outcome.map_or_else(Ended::Failed, |()| Ended::Whole)
    }

    fn work(&self, act: &Act, line: u32, site: Site) {
        let stage = self.stage;
        let on = |part: PartRef| match stage.part(part) {
            Live::Work { work, on, .. } => match stage.part(*on) {
                Live::Queue(queue) => Some((work, queue)),
                _ => None,
            },
            _ => None,
        };
        match act {
            Act::QueueWork { work: part, in_scopes, .. } => {
                let Some((work, queue)) = on(*part) else { return };
                stage.world.sched().point();
                let queued = if *in_scopes {
                    queue.queue_in_scopes_at(work, site)
                } else {
                    queue.queue(work)
                };
                if queued {
                    stage.queued(*part, line);
                }
            }
            Act::WaitWork { work: part } => {
                let Some((work, queue)) = on(*part) else { return };
                queue.flush_at(work, site);
            }
            Act::RunHere { work: part } => {
                let Some((work, queue)) = on(*part) else { return };
                queue.run_here_at(work, site);
            }
            Act::FlushQueue { queue } => {
                if let Live::Queue(queue) = stage.part(*queue) {
                    queue.flush_queue_at(site);
                }
            }
            _ => unreachable!("the caller chose the steps"),
        }
    }

    fn holds(&self, test: &Test) -> bool {
        let flags = context::flags();
        let mask = self.mask.unwrap_or(Gfp::KERNEL);
        match test {
            Test::MaskHas(bits) => mask.contains(*bits),
            Test::MaskLacks(bits) => !mask.contains(*bits),
            Test::Flag { flag, is } => {
                matches!(self.stage.part(*flag), Live::Flag(flag) if flag.is_set() == *is)
            }
            Test::InReclaim(is) => flags.contains(TaskFlags::MEMALLOC) == *is,
            Test::Kswapd(is) => flags.contains(TaskFlags::KSWAPD) == *is,
        }
    }
}

/// Bytes of the requests that steps submit.
const BLOCK: usize = 4096;

const fn mode(shared: bool, subclass: u8) -> LockMode {
    match (shared, subclass) {
        (true, _) => LockMode::Shared,
        (false, 0) => LockMode::Exclusive,
        (false, subclass) => LockMode::Nested(subclass),
    }
}
