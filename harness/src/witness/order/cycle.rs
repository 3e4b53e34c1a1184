//! `Cycle`: an order that cannot be kept, as a finding describes it.
//!
//! Key types: [`Cycle`], [`Edge`], [`Declaration`], [`Collision`]. They hold names and no numbers,
//! because an edge may have been seen in another run than the one that closes the cycle. Written
//! from docs/kernel/lockdep.md, "What a report contains".

use super::node::Node;
use crate::event::{Gfp, MayWait, Site, TaskId};
use crate::units::Nanos;

/// A cycle of the order graph.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle {
    /// Its edges in order; the last is the one that closed it.
    pub edges: Vec<Edge>,
    /// Only the class view has it.
    pub class_only: bool,
    /// Where the class view takes different things for one.
    pub collisions: Vec<Collision>,
}

/// `to` was taken while `from` was held; as first seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// What was held.
    pub from: Node,
    /// Held shared.
    pub from_shared: bool,
    /// Where it was taken, if that is known.
    pub from_site: Option<Site>,
    /// What was taken.
    pub to: Node,
    /// Taken shared.
    pub to_shared: bool,
    /// The mask, where an allocation took it.
    pub mask: Option<Gfp>,
    /// Where.
    pub site: Option<Site>,
    /// Everything that the task held, in the order taken.
    pub held: Vec<Node>,
    /// Its number in its run.
    pub task: TaskId,
    /// Its name.
    pub task_name: String,
    /// How many runs ago; 0 for the run of the finding.
    pub runs_ago: u32,
    /// The event.
    pub seq: u64,
    /// When.
    pub time: Nanos,
    /// Claimed beforehand, not seen to happen.
    pub primed: bool,
    /// It follows from what was declared of the stack, and was not seen to happen.
    pub declared: Option<Declaration>,
}

/// What an edge that was not seen follows from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Declaration {
    /// Reclaim works on a target, which waits.
    Waits {
        /// On what.
        target: String,
        /// When it waits.
        when: MayWait,
        /// What reclaim may do there.
        mask: Gfp,
    },
    /// One part of the stack rests on another.
    Rests {
        /// Which.
        part: String,
        /// On which, however far below.
        on: String,
    },
}

/// One class, several things.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collision {
    /// What one edge of the cycle took.
    pub taken: Node,
    /// What the next edge held instead.
    pub held: Node,
    /// All of the class that the instance view orders among themselves, each with its depth: the
    /// subclass that would tell it from the others. Known when the run has ended; empty where
    /// nothing orders them.
    pub depths: Vec<(Node, u32)>,
}
