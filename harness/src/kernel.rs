//! What is behind the front door: the simulated kernel, the judges, and what both use.
//!
//! A test seldom needs it. It is public for tests that drive a port or a judge directly, for
//! devices and policies of a user's own, and for tools that read reports and event files. Each
//! item has one path: what the crate root names is not repeated here.
//!
//! | column | modules |
//! |---|---|
//! | both use | [`event`], [`era`], [`units`], [`error`], [`variables`], [`sched`] |
//! | simulated kernel | [`inject`], [`mm`], [`block`], [`bufio`], [`fs`], [`verity`], [`parts`], [`stack`] |
//! | judges | [`witness`], [`report`], [`explore`], [`recording`] |
//! | the real machine | `host` (Linux, feature `loop`) |

/// Everything observable, as plain data.
pub mod event {
    pub use crate::event::{
        Actor, AllocOutcome, Choice, Event, EventKind, Fact, HeapPlace, ItemId, Levels, LockId,
        LockMode, LockName, MayWait, Names, Needs, Observer, Op, Origin, PartId, PartKind, PointId,
        PoolId, Prime, QueueId, Reaction, ReclaimKind, ReclaimTarget, RequestId, Resource,
        ShrinkPass, ShrinkerId, TaskId, TaskKind, Trace, WaitId, WaitOutcome, WorkId, heap_place,
        source_line,
    };
}

/// Kernel behaviours, release by release.
pub mod era {
    pub use crate::era::{
        BufioGeneration, Flip, MmKnobs, ReclaimThrottle, ShrinkerForm, ShrinkerProgress,
        SlabAlgorithm,
    };
}

/// Units that types keep apart: pages, sectors, ticks.
pub mod units {
    pub use crate::units::*;
}

/// Names made safe to print.
pub mod error {
    pub use crate::error::{visible, visible_json, visible_os};
}

/// The project's environment variables: one table, one parser.
pub mod variables {
    pub use crate::variables::*;
}

/// Tasks, locks, wait queues, work queues and the clock, over coroutines or OS threads.
pub mod sched {
    pub use crate::sched::{
        Adopted, Completion, Mutex, MutexGuard, Promise, RwSem, RwSemReadGuard, RwSemWriteGuard,
        Sched, SpinLock, SplitMix64, Strategy, WaitQueue, Waiting, Work, WorkQueue,
        WorkQueueOptions,
    };
}

/// The plan: failpoints, memory pressure, planted bugs.
pub mod inject {
    pub use crate::inject::{
        AddedScope, AllocPoint, AllocSource, Bug, IdleRule, InScope, PageFilter, Plan, PressureHit,
        Reclaimer, ScopeChoice,
    };
}

/// The port of page allocation and reclaim.
pub mod mm {
    pub use crate::mm::*;
}

/// Bios, devices and queues.
pub mod block {
    pub use crate::block::*;
}

/// The port of dm-bufio.
pub mod bufio {
    pub use crate::bufio::*;
}

/// The journalled filesystem.
pub mod fs {
    pub use crate::fs::*;
}

/// The dm-verity target.
pub mod verity {
    pub use crate::verity::*;
}

/// A stack that was built from a spec.
pub mod stack {
    pub use crate::stack::{InProcess, LoopBackend, Parts, Stack};
}

/// The judges, and what they find.
pub mod witness {
    pub use crate::witness::{
        Breach, Collision, Cycle, Declaration, Edge, Entry, Finding, Frame, FrameKind, HeldLock,
        Judge, JudgeOptions, Learned, Level, Moment, Needed, Node, NodeKind, Order, OrderGraph,
        PageOut, Pairs, Progress, Reads, RequestFacts, RestrictedBy, Restriction, Role, Stall,
        StallCause, Stalls, Step, StepKind, Subject, Task, View, Wait, Witness, WorkItem,
    };
}

/// What a report consists of.
pub mod report {
    pub use crate::report::{
        ClosingEdge, Elsewhere, Finding, Held, Order, OrderEdge, Stalled, Step, StepKind, Waiting,
        describe, describe_stalls, file_name, order_note, write_file,
    };
}

/// Strategies of exploration.
pub mod explore {
    pub use crate::explore::*;
}

/// Event files, texts of real kernels, and judging both.
pub mod recording {
    pub use crate::recording::*;
}

/// Real files, loop devices, FUSE mounts and supervision.
#[cfg(all(feature = "loop", target_os = "linux"))]
pub mod host {
    pub use crate::host::*;
}

/// Stand-ins for what has no port.
pub mod parts {
    pub use crate::parts::{
        Cache, CacheOps, Count, Device, DeviceOps, DeviceOptions, Evictor, Filesystem, Flag,
        Nested, Server, Space,
    };
}
