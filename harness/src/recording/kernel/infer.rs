//! From blocked tasks to events: what they are in, what they hold, what they wait for.
//!
//! Key function: [`infer`]. The innermost functions say what a task waits for, those outside what
//! it is in and holds. A transaction of a journal is a lock: a handle holds it shared, the commit
//! needs it exclusively, and tasks that arrive later wait behind the commit. A buffer of dm-bufio's
//! waits for a device below that the text does not name: where loop workers are among the tasks,
//! the device may be any of theirs, so all of them must be stuck before that wait is. Every other
//! wait is for something whose doer the text does not say, and leads nowhere.

use super::frame::Frame;
use super::history::History;
use super::stacks::Blocked;
use super::symbols::{Means, Waits, holds_handle, means, opens_handle, waits};
use crate::event::{
    Entered, EventKind, Gfp, Layer, LockId, LockMode, Op, QueueId, ReclaimKind, Resource,
    ScopeKind, TaskFlags, TaskId,
};
use crate::units::Sectors;

/// What is said when a task waits in a function that no table has.
const UNKNOWN: &str = "unknown";
/// The one function of dm-bufio's that waits for a read.
const READS: &str = "new_read";

/// What the tasks share.
struct Shared {
    /// The journal whose commit is among the tasks, if it is the only one.
    transaction: Option<LockId>,
    /// The device below dm-bufio, if it can be one of loop's.
    below: Option<QueueId>,
}

/// Adds what `tasks` show.
pub(super) fn infer(tasks: &[Blocked], to: &mut History) {
    let shared = Shared { transaction: journal(tasks, to), below: below(tasks, to) };
    let mut ids = Vec::new();
    for task in tasks {
        to.at(task.line);
        if let Some(id) = to.task(&task.comm, task.pid) {
            ids.push((id, task));
            walk(id, task, &shared, to);
        }
    }
    // The commit comes before those that wait behind it.
    ids.sort_by_cached_key(|(_, task)| wait_of(task).0 != Waits::Handles);
    for (id, task) in ids {
        wait(id, task, &shared, to);
    }
}

/// Whether the task is a journal's thread.
fn committer(task: &Blocked) -> bool {
    task.frames.iter().any(|frame| frame.symbol == "kjournald2" || frame.symbol == "kjournald")
}

fn journal(tasks: &[Blocked], to: &mut History) -> Option<LockId> {
    let mut threads = tasks.iter().filter(|task| committer(task));
    match (threads.next(), threads.next()) {
        (Some(only), None) => Some(to.lock("transaction", &only.comm)),
        (Some(_), Some(_)) => {
            let note =
                "several journals commit: whose transaction a task waits for is not in the text";
            to.notes.push(note.to_owned());
            None
        }
        (None, _) => None,
    }
}

/// The loop device that a task serves: by its work queue, its name, or only its functions.
fn serves(task: &Blocked) -> Option<&str> {
    let named = |name: &&str| name.strip_prefix("loop").is_some_and(|n| n.parse::<u32>().is_ok());
    let name = task.workqueue.as_deref().filter(named).or(Some(task.comm.as_str()).filter(named));
    let inside = |frame: &Frame| {
        matches!(means(&frame.symbol, frame.module.as_deref()), Some(Means::Layer(Layer::LOOP, _)))
    };
    task.frames.iter().any(inside).then_some(name.unwrap_or("loop"))
}

fn below(tasks: &[Blocked], to: &mut History) -> Option<QueueId> {
    let mut devices: Vec<&str> = tasks.iter().filter_map(serves).collect();
    devices.sort_unstable();
    devices.dedup();
    if devices.is_empty() {
        return None;
    }
    if tasks.iter().any(|task| wait_of(task).0 == Waits::Buffer) {
        let devices = devices.join(", ");
        to.notes.push(format!(
            "inferred: the device below dm-bufio is among those whose workers are shown: {devices}"
        ));
    }
    Some(to.queue(&devices.join(" or ")))
}

/// What the task waits for, and in which function: the first that is more than a way to sleep.
fn wait_of(task: &Blocked) -> (Waits, &'static str) {
    let mut seen: Option<(&'static str, Waits)> = None;
    for frame in &task.frames {
        let Some((name, what)) = waits(&frame.symbol) else {
            break;
        };
        match what {
            Waits::Sleep => {}
            // The function outside may say of what; a lock is a lock.
            Waits::Done => drop(seen.get_or_insert((name, what))),
            _ => return (what, name),
        }
    }
    seen.map_or((Waits::Other, UNKNOWN), |(name, what)| (what, name))
}

/// Adds the events of a blocked task, from its outermost function to its innermost.
fn walk(id: TaskId, task: &Blocked, shared: &Shared, to: &mut History) {
    let flags = task.flags.unwrap_or(TaskFlags::EMPTY);
    let opening = task.frames.iter().any(|frame| opens_handle(&frame.symbol));
    let handle =
        task.frames.iter().rposition(|frame| holds_handle(&frame.symbol)).filter(|_| !opening);
    let mut at = Standing { id, flags, scopes: 0, layer: None, reclaims: false, shrinkers: false };
    if serves(task).is_some()
        && let Some(queue) = shared.below
    {
        to.on(id, EventKind::QueueServer { queue });
    }
    if flags.contains(TaskFlags::MEMALLOC_NOIO) {
        at.scope(ScopeKind::Noio, to);
    }
    if flags.contains(TaskFlags::MEMALLOC_NOFS) && handle.is_none() {
        at.scope(ScopeKind::Nofs, to);
    }
    for (place, frame) in task.frames.iter().enumerate().rev() {
        to.at(frame.line);
        at.enter(frame, to);
        if Some(place) == handle {
            at.open(shared, to);
        }
    }
}

/// A task on the way from its outermost function inwards.
struct Standing {
    id: TaskId,
    flags: TaskFlags,
    scopes: u32,
    layer: Option<(Layer, &'static str)>,
    reclaims: bool,
    shrinkers: bool,
}

impl Standing {
    fn scope(&mut self, kind: ScopeKind, to: &mut History) {
        self.scopes += 1;
        self.flags = self.flags | kind.bit();
        let (scope, site) = (self.scopes, to.site());
        to.on(self.id, EventKind::ScopeEnter { kind, scope, site, how: Entered::Held });
    }

    /// A handle is open from here on, and an open handle is a NOFS scope.
    fn open(&mut self, shared: &Shared, to: &mut History) {
        if let Some(lock) = shared.transaction {
            let site = to.site();
            to.on(self.id, EventKind::LockAcquired { lock, mode: LockMode::Shared, site });
        }
        self.scope(ScopeKind::Nofs, to);
    }

    fn enter(&mut self, frame: &Frame, to: &mut History) {
        let (id, site) = (self.id, to.site());
        match means(&frame.symbol, frame.module.as_deref()) {
            Some(Means::Reclaim(kind)) if !self.reclaims => {
                self.reclaims = true;
                // The mask that the caller wrote is not in a stack: what the scopes leave of
                // everything.
                let mask = if kind == ReclaimKind::Kswapd {
                    Gfp::KERNEL
                } else {
                    Gfp::KERNEL.effective(self.flags)
                };
                to.on(id, EventKind::ReclaimEnter { kind, mask });
            }
            Some(Means::Shrinkers) => self.shrinkers = true,
            Some(Means::Scan) => self.scan(frame, to),
            Some(Means::Count) if self.reclaims => {
                let shrinker = to.shrinker(&frame.symbol, &frame.symbol);
                let mask = Gfp::KERNEL.effective(self.flags);
                to.on(id, EventKind::ShrinkCountBegin { shrinker, mask });
            }
            Some(Means::Layer(layer, sort)) => {
                self.scan(frame, to);
                if self.layer.replace((layer, sort)) != Some((layer, sort)) {
                    let layer = to.layer(layer, sort);
                    to.on(id, EventKind::LayerEnter { layer, site });
                }
            }
            _ => {}
        }
    }

    /// The first function that means something inside of the shrinkers' loop is a shrinker.
    fn scan(&mut self, frame: &Frame, to: &mut History) {
        if !std::mem::take(&mut self.shrinkers) || !self.reclaims {
            return;
        }
        let shrinker = to.shrinker(&frame.symbol, &frame.symbol);
        let mask = Gfp::KERNEL.effective(self.flags);
        to.on(self.id, EventKind::ShrinkScanBegin { shrinker, mask, nr_to_scan: 0 });
    }
}

/// The task's wait, if it is one.
fn wait(id: TaskId, task: &Blocked, shared: &Shared, to: &mut History) {
    let (what, why) = wait_of(task);
    if task.state == Some('R') || (task.state.is_none() && why == UNKNOWN) {
        return;
    }
    to.at(task.frames.first().map_or(task.line, |frame| frame.line));
    let site = to.site();
    let resource = match (what, shared.transaction, shared.below) {
        (Waits::Handles, Some(lock), _) => want(id, lock, LockMode::Exclusive, to),
        (Waits::Transaction | Waits::Commit, Some(lock), _) => want(id, lock, LockMode::Shared, to),
        // A worker's own buffer may be on its own device, or on any other: that it is stuck is not
        // certain.
        (Waits::Buffer, _, Some(queue)) if serves(task).is_none() => {
            let (request, op) = (to.request(), if why == READS { Op::Read } else { Op::Write });
            let (sector, sectors) = (Sectors(0), Sectors(0));
            to.on(
                id,
                EventKind::RequestSubmit {
                    request,
                    queue,
                    op,
                    sector,
                    sectors,
                    origin: None,
                    site,
                },
            );
            Resource::Request(request)
        }
        _ => Resource::Condition(to.condition(why)),
    };
    to.on(id, EventKind::WaitBegin { resource, why, breakable: false, site });
}

fn want(id: TaskId, lock: LockId, mode: LockMode, to: &mut History) -> Resource {
    let site = to.site();
    to.on(id, EventKind::LockAttempt { lock, mode, try_lock: false, site });
    Resource::Lock(lock)
}
