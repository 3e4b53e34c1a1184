//! Everything observable, as plain data: the vocabulary that both columns know.
//!
//! Key types: [`Event`], [`EventKind`], [`Resource`], [`Names`], [`Observer`]. The simulated kernel
//! emits events through the scheduler; judges read them. Events are `Copy` and
//! carry numbers; [`Names`] says what the numbers are called; a [`Trace`] is the list of choices
//! that made the run. Nothing here holds an address.
//!
//! A *resource* is what a task can wait for. Which tasks must act before the wait ends follows from
//! the events alone: a lock's holders from acquire and release; a request's server from
//! [`EventKind::RequestServe`] or, before it is served, from the servers of its queue; a work
//! item's worker likewise; a pool's tasks are those that have its elements. A condition's are those
//! that promised to signal it ([`Actor`]); [`Needs`] says how many of them must. A request that its
//! server passed down needs the server of what carries it ([`EventKind::RequestPassed`]).

mod heap;
mod interned;
mod kind;
mod names;
mod site;
mod stack;
mod trace;
mod words;

pub use heap::{HeapPlace, heap_place, source_line};
pub(crate) use heap::{UNKNOWN_ON_HEAP, heap_file};
pub use kind::EventKind;
pub use names::{LockName, Names};
pub use stack::{Fact, MayWait, PartKind, ReclaimTarget};
pub use trace::{Choice, Trace};
pub use words::{
    Actor, AllocOutcome, ItemId, Levels, LockId, LockMode, Needs, Op, Origin, PartId, PointId,
    PoolId, Prime, QueueId, ReclaimKind, RequestId, Resource, ShrinkPass, ShrinkerId, TaskId,
    TaskKind, WaitId, WaitOutcome, WorkId,
};

pub(crate) use interned::{intern, try_intern};
pub(crate) use reclaimdep_scope::{
    Entered, Gfp, Layer, LayerRef, Misuse, ScopeKind, ScopeRef, Site, TaskFlags,
};

use crate::units::Nanos;

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Position in the world's history, from 0.
    pub seq: u64,
    /// Time at which it happened.
    pub time: Nanos,
    /// The task that it happened on, or on behalf of.
    pub task: TaskId,
    /// What happened.
    pub kind: EventKind,
}

/// What the world asks the scheduler to do after an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// Go on.
    Go,
    /// End this task's breakable wait with `EDEADLK`.
    Break(TaskId),
    /// Nothing can go on: unwind every task.
    Abort,
}

/// Receives every event of a world, in order.
pub trait Observer: Send {
    /// Called once for each event, under the world's event lock: it must not call back.
    fn observe(&mut self, event: &Event, names: &Names) -> Reaction;

    /// The world is about to be unwound: later events are of tasks that unwind, and no part of the
    /// run.
    fn aborted(&mut self) {}
}
