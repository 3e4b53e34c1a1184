//! The deadline: a run that reaches no scheduling point is noticed, named and left behind.
//!
//! Key types: [`Limit`], [`Stuck`], [`Pulse`]. The engine of a run has a thread of its own with the
//! name of the thread that asked for it, which waits here for the result and looks at the *pulse*
//! meanwhile: each event and each scheduling point is a beat. When the beats stop for as long as
//! the limit says, the caller gets a [`Stuck`] in place of the result, and the thread is left
//! behind. This is the one use of real time in the model tier. It decides whether a run ends, and
//! nothing in a run that ends by itself.
//!
//! | module | holds |
//! |---|---|
//! | `look` | what has stopped, and who; the clean end of a native world in which every task waits |
//! | `thread` | where a stuck thread is: its state, what it waits for in the kernel, its stack |
//! | `signal` | Linux: the two signal handlers, which store addresses and nothing else |
//!
//! Locking: the stuck thread may hold any lock, so the locks of its world are only tried.

mod look;
#[cfg(target_os = "linux")]
mod signal;
mod thread;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

pub(crate) use thread::ThreadState;
pub(super) use thread::own_id;

use super::core::SchedState;
use super::{Sched, SpinLock};
use crate::event::{Site, TaskId};

/// Bytes of stack of an engine's thread: those of the main thread of a process. A native world runs
/// its first task there.
const ENGINE_STACK: usize = 8 << 20;
/// How often the pulse is looked at, at the least.
const TICK: Duration = Duration::from_millis(100);

/// How long a run may go without a scheduling point; `None` for ever.
pub(crate) type Limit = Option<Duration>;

/// Why a run was left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// No scheduling point for so long.
    Deadline(Duration),
    /// A task needed more stack than it has.
    Overflow,
    /// A task unwinds, and its destructor waits for what never comes.
    Unwinding,
}

/// A task that does not go on.
#[derive(Clone, Debug)]
pub(crate) struct StuckTask {
    pub(crate) task: TaskId,
    /// The source line of its last event that has one.
    pub(crate) site: Option<Site>,
    pub(crate) thread: ThreadState,
}

/// A run that does not end. Its thread is left behind.
#[derive(Debug)]
pub(crate) struct Stuck {
    pub(crate) cause: Cause,
    /// The world that ran; none where its engine had not begun.
    pub(crate) sched: Option<Sched>,
    pub(crate) tasks: Vec<StuckTask>,
}

/// What an engine's thread shows to its watcher.
#[derive(Default)]
pub(super) struct Pulse {
    /// The world that runs now.
    world: SpinLock<Weak<SchedState>>,
    /// The thread of the engine.
    thread: AtomicI32,
    /// The stack of the running coroutine was too small. Its handler sets this.
    overflowed: Arc<AtomicBool>,
    /// What is left of the world can never unwind.
    given_up: AtomicBool,
    /// The watcher is gone.
    abandoned: AtomicBool,
}

thread_local! {
    static PULSE: RefCell<Option<Arc<Pulse>>> = const { RefCell::new(None) };
}

/// The beats of one task, and the thread that it runs on.
#[derive(Debug, Default)]
pub(super) struct Beat {
    pub(super) count: AtomicU64,
    pub(super) thread: AtomicI32,
    /// A server between two requests of the kernel: it waits for the kernel and is not stuck.
    pub(super) idle: AtomicBool,
}

impl Beat {
    #[inline]
    pub(super) fn beat(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The pulse of this thread, if it is an engine's that is watched.
pub(super) fn pulse() -> Option<Arc<Pulse>> {
    PULSE.with_borrow(Clone::clone)
}

impl Pulse {
    /// `world` is the one that runs from now on.
    pub(super) fn begin(&self, world: &Arc<SchedState>) {
        *self.world.lock() = Arc::downgrade(world);
    }

    /// Tells the watcher that what is left of the world can never unwind.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Whether nobody waits for the result any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

/// Gives this thread, on which tasks of a watched world run, what the signal handlers need, until
/// the guard drops.
#[cfg(target_os = "linux")]
pub(super) fn prepare_thread() -> impl Sized {
    signal::AlternateStack::install()
}

/// Other systems have no handlers.
#[cfg(not(target_os = "linux"))]
pub(super) fn prepare_thread() -> impl Sized {}

/// The stack of the running coroutine reaches down from here, `bytes` far; 0 where none runs.
/// Returns what was there before.
#[cfg(target_os = "linux")]
pub(super) use signal::set_coroutine as on_coroutine;

#[cfg(not(target_os = "linux"))]
pub(super) fn on_coroutine(_stack: (usize, usize)) -> (usize, usize) {
    (0, 0)
}

/// Runs `engine` on a thread of its own, which has the name of this one, and waits for it.
///
/// # Errors
/// The engine does not end; then its thread is left behind.
///
/// # Panics
/// With the panic of `engine`; where no thread can be started.
pub(crate) fn run<T: Send + 'static>(
    limit: Limit,
    engine: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stuck> {
    let pulse = Arc::new(Pulse::default());
    let (send, ended) = channel();
    let theirs = Arc::clone(&pulse);
    let body = move || {
        theirs.thread.store(own_id(), Ordering::Release);
        let _handlers = prepare_thread();
        #[cfg(target_os = "linux")]
        signal::report_overflow_to(&theirs.overflowed);
        PULSE.set(Some(theirs));
        let result = catch_unwind(AssertUnwindSafe(engine));
        PULSE.set(None);
        // A watcher that has given up does not listen.
        drop(send.send(result));
    };
    let mut builder = std::thread::Builder::new().stack_size(ENGINE_STACK);
    if let Some(name) = std::thread::current().name() {
        builder = builder.name(name.to_owned());
    }
    let handle = builder.spawn(body).expect("the system starts another thread");
    let tick = limit.map_or(TICK, |limit| TICK.min(limit / 4).max(Duration::from_millis(1)));
    let mut looks = look::Looks::new(limit, tick);
    loop {
        match ended.recv_timeout(tick) {
            Ok(result) => {
                // Its thread-locals are gone when this returns: a leak check of the test sees none.
                drop(handle.join());
                return result.map_err(|payload| resume_unwind(payload));
            }
            Err(RecvTimeoutError::Disconnected) => {
                resume_unwind(handle.join().expect_err("a thread that sends nothing has panicked"))
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(stuck) = looks.look(&pulse) {
                    pulse.abandoned.store(true, Ordering::Release);
                    return Err(stuck);
                }
            }
        }
    }
}
