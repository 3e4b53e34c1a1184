//! `Script`: one variant of a case, as data that the interpreter runs.
//!
//! Key types: [`Case`], [`Script`], [`Part`], [`Step`], [`Row`]. The reader resolves variants and
//! names: a script has no `in`, and a step refers to a part by its number.

use crate::era::Era;
use crate::event::{Gfp, Op, ScopeKind};
use crate::inject::PlanSpec;
use crate::stack::StackSpec;
use crate::tier::Tier;
use crate::units::Ticks;
use crate::witness::Code;

/// The number of a part in its script.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PartRef(pub usize);

/// One reported deadlock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// The file, as errors and sites call it.
    pub path: &'static str,
    /// Short and unique: `c42`.
    pub id: String,
    /// What happens, in one line.
    pub title: String,
    /// Where it was reported or fixed.
    pub citation: Vec<String>,
    /// The recurrent patterns of the case, such as `P1+P2`.
    pub shape: String,
    /// Whether it was reported, or made to test a judge.
    pub origin: Origin,
    /// When and in which kernels it was reported, as free text.
    pub reported: Option<String>,
    /// How good the evidence is, as free text.
    pub evidence: Option<String>,
    /// The year of the report.
    pub year: Option<u16>,
    /// Whether some variant must reclaim; false for stories of pools, queues and reservations.
    pub reclaims: bool,
    /// Each variant.
    pub scripts: Vec<Script>,
    /// What must be found.
    pub rows: Vec<Row>,
}

/// Where a case comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Origin {
    /// Somebody's machine, test or code review.
    #[default]
    Reported,
    /// Made for this catalogue.
    Constructed,
}

/// One variant of a case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Script {
    /// The name of the variant: `before`.
    pub variant: String,
    /// The ports.
    pub stack: StackSpec,
    /// What goes wrong.
    pub plan: PlanSpec,
    /// The stand-ins, in the order of the file.
    pub parts: Vec<Part>,
    /// Who does what, at the same time.
    pub tasks: Vec<Task>,
    /// What the test itself does after every task has ended.
    pub settle: Program,
}

/// One task.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name in reports.
    pub name: String,
    /// How many of it run.
    pub copies: u32,
    /// What it does.
    pub steps: Program,
    /// Its line in the file.
    pub line: u32,
}

/// A stand-in.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in the file and in reports.
    pub name: String,
    /// Its line in the file.
    pub line: u32,
    /// What it is.
    pub what: What,
}

/// What a stand-in is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What {
    /// A lock.
    Lock {
        /// Which kind.
        kind: LockKind,
        /// Its lock class; its name by default.
        class: String,
        /// The subclass with which it is taken.
        subclass: u8,
    },
    /// A boolean with waiters.
    Flag {
        /// Its value at the start.
        set: bool,
    },
    /// A number with waiters for zero.
    Count {
        /// Its value at the start.
        from: u32,
    },
    /// What is reserved, first come first served.
    Space {
        /// Units in all.
        size: u32,
        /// Units that only a push frees.
        used: u32,
        /// One push round.
        push: Option<Program>,
        /// The task that pushes; none if the waiter does.
        by: Option<String>,
        /// What a second reservation by its holder does.
        nested: Nested,
    },
    /// A mempool.
    Pool {
        /// Elements in reserve.
        min: u32,
        /// Pages of an element as a power of two.
        order: u32,
    },
    /// A work queue.
    Queue {
        /// Reclaim may wait for it.
        mem_reclaim: bool,
        /// How many workers.
        workers: u32,
        /// Starting a worker allocates.
        new_worker_allocates: bool,
    },
    /// A work item.
    Work {
        /// On which queue.
        on: PartRef,
        /// What it does.
        steps: Program,
    },
    /// Whatever serves requests or calls.
    Device {
        /// The task that serves; none if the submitter does.
        served_by: Option<String>,
        /// A server in user space.
        user: bool,
        /// How many servers.
        threads: u32,
        /// What it does for each request.
        serve: Program,
        /// What it takes before it looks at the request at the head of its queue.
        head: Program,
        /// What it does when the request is complete.
        done: Program,
        /// The device below, which each request is passed on to.
        on: Option<PartRef>,
        /// For how long each request is served.
        takes: Ticks,
        /// It is suspended at the start.
        suspended: bool,
    },
    /// A named inode.
    Inode {
        /// Of which superblock.
        of: PartRef,
        /// References at the start.
        refs: u32,
    },
    /// A loop device of the stack, which is a port.
    Loop,
    /// A cache with a shrinker.
    Cache {
        /// Objects at the start.
        objects: u64,
        /// What its count does.
        count: Program,
        /// What its scan does.
        scan: Program,
        /// It is asked in the reclaim of a memory cgroup.
        memcg_aware: bool,
    },
    /// A filesystem without a port, with the port of the superblock shrinker.
    Superblock {
        /// Its device.
        on: Option<PartRef>,
        /// Unused inodes at the start.
        inodes: u64,
        /// What the eviction of an inode does.
        evict: Program,
    },
}

/// The kind of a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LockKind {
    /// One holder.
    #[default]
    Mutex,
    /// Readers and writers; writer-fair.
    Rwsem,
    /// The lock of a page, which a request may hold.
    Page,
}

/// What a second reservation by its holder does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Nested {
    /// It waits like any other.
    #[default]
    Waits,
    /// It is part of the first one.
    Joins,
}

/// Steps in order.
pub type Program = Vec<Step>;

/// One thing that a task does.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its line in the file.
    pub line: u32,
    /// What.
    pub act: Act,
}

/// What a step does.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the registry of words has the meaning of each step and field")]
pub enum Act {
    Lock { lock: PartRef, shared: bool },
    TryLock { lock: PartRef, shared: bool, or_else: Program },
    Unlock { lock: PartRef },
    Alloc { mask: Gfp, order: u32, times: u32, keep: bool, vmalloc: bool },
    Free,
    Scope { kind: ScopeKind },
    IoFlusher,
    EndScope,
    Set { flag: PartRef, to: bool },
    WaitFlag { flag: PartRef, until: bool },
    WaitZero { count: PartRef },
    Inc { count: PartRef },
    Dec { count: PartRef },
    Reserve { space: PartRef, n: u32 },
    TryReserve { space: PartRef, n: u32, or_else: Program },
    Release { space: PartRef },
    Take { pool: PartRef, mask: Gfp, or_else: Option<Program> },
    Put { pool: PartRef },
    GetInode { inode: PartRef },
    PutInode { inode: PartRef },
    Request { device: PartRef, op: Op, waits: bool },
    Suspend { device: PartRef },
    Resume { device: PartRef },
    QueueWork { work: PartRef, in_scopes: bool, completes: bool },
    WaitWork { work: PartRef },
    RunHere { work: PartRef },
    FlushQueue { queue: PartRef },
    Stop,
    Repeat { times: u32, steps: Program },
    If { test: Test, then: Program, or_else: Program },
    Port(PortStep),
}

/// What an `if` tests.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the registry of words has the meaning of each test")]
pub enum Test {
    MaskHas(Gfp),
    MaskLacks(Gfp),
    Flag { flag: PartRef, is: bool },
    InReclaim(bool),
    Kswapd(bool),
}

/// A step on a port.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the registry of words has the meaning of each step and field")]
pub enum PortStep {
    Create { fs: String, file: String },
    WriteFile { fs: String, file: String, offset: u64, bytes: usize },
    Fsync { fs: String, file: String },
    Begin { fs: String, credits: u32 },
    Commit,
    Dirty { client: String, block: u64 },
    ReadBlock { client: String, block: u64 },
    FlushClient { client: String },
}

/// What must be found for a variant, in an era, on a tier.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Row {
    /// For which variants.
    pub variants: Vec<String>,
    /// In which eras, in order.
    pub eras: Vec<Era>,
    /// On which tiers.
    pub tiers: Vec<Tier>,
    /// Exactly these codes; none for quiet.
    pub findings: Vec<Code>,
    /// Codes that some schedules show besides, and others do not.
    pub may: Vec<Code>,
    /// Whether a run in which nothing was pressed predicts it (RD03).
    pub predicted: bool,
    /// Judge the order of lock classes too.
    pub class_view: bool,
    /// Why this is so, where it is not obvious.
    pub why: Option<String>,
    /// Its line in the file.
    pub line: u32,
}
