//! `History`: events under construction.
//!
//! Key type: [`History`]. It numbers events, tasks and what they use, names them in the kernel's
//! words, and spawns a task when it is first seen.

use std::collections::BTreeMap;

use crate::event::{
    Event, EventKind, Layer, LayerRef, LockId, Names, QueueId, RequestId, ShrinkerId, Site, TaskId,
    TaskKind, WaitId, WorkId, intern,
};
use crate::units::Nanos;

/// More tasks than these are not kept.
const MAX_TASKS: usize = 1 << 16;

/// Events under construction.
#[derive(Debug)]
pub(super) struct History {
    pub(super) events: Vec<Event>,
    pub(super) names: Names,
    pub(super) notes: Vec<String>,
    /// Where the recording's own lines are said to be.
    file: &'static str,
    line: u32,
    time: Nanos,
    tasks: BTreeMap<u32, TaskId>,
    shrinkers: BTreeMap<String, ShrinkerId>,
    queues: BTreeMap<String, QueueId>,
    works: BTreeMap<String, WorkId>,
    conditions: BTreeMap<String, WaitId>,
    locks: BTreeMap<(&'static str, String), LockId>,
    layers: BTreeMap<(Layer, String), LayerRef>,
    requests: u32,
}

impl History {
    /// An empty history of the recording `file`.
    pub(super) fn new(file: &str) -> Self {
        Self {
            events: Vec::new(),
            names: Names::default(),
            notes: Vec::new(),
            // Sites are static: the name of a recording stays in the process.
            file: intern(file),
            line: 0,
            time: Nanos(0),
            tasks: BTreeMap::new(),
            shrinkers: BTreeMap::new(),
            queues: BTreeMap::new(),
            works: BTreeMap::new(),
            conditions: BTreeMap::new(),
            locks: BTreeMap::new(),
            layers: BTreeMap::new(),
            requests: 0,
        }
    }

    /// From here on, events are from this line.
    pub(super) const fn at(&mut self, line: u32) {
        self.line = line;
    }

    /// From here on, events are of this time.
    pub(super) const fn clock(&mut self, time: Nanos) {
        self.time = time;
    }

    /// The line as a site.
    pub(super) const fn site(&self) -> Site {
        Site { file: self.file, line: self.line }
    }

    /// Adds an event.
    pub(super) fn on(&mut self, task: TaskId, kind: EventKind) {
        let seq = self.events.len() as u64;
        self.events.push(Event { seq, time: self.time, task, kind });
    }

    /// The task of this thread id, spawned where it is new; none where there are too many.
    pub(super) fn task(&mut self, comm: &str, pid: u32) -> Option<TaskId> {
        if let Some(task) = self.tasks.get(&pid) {
            return Some(*task);
        }
        if self.tasks.len() >= MAX_TASKS {
            return None;
        }
        let task = self.names.add_task(format!("{comm}/{pid}"));
        self.tasks.insert(pid, task);
        self.on(task, EventKind::TaskSpawn { parent: task, kind: TaskKind::Foreign });
        Some(task)
    }

    /// The shrinker of this key; the key may hold an address, the name does not.
    pub(super) fn shrinker(&mut self, key: &str, name: &str) -> ShrinkerId {
        let Self { shrinkers, names, .. } = self;
        *shrinkers.entry(key.to_owned()).or_insert_with(|| names.add_shrinker(name))
    }

    pub(super) fn queue(&mut self, name: &str) -> QueueId {
        let Self { queues, names, .. } = self;
        *queues.entry(name.to_owned()).or_insert_with(|| names.add_queue(name))
    }

    /// The work item of this key; the key may hold an address, the name does not.
    pub(super) fn work(&mut self, key: &str, name: &str) -> WorkId {
        let Self { works, names, .. } = self;
        *works.entry(key.to_owned()).or_insert_with(|| names.add_work(name))
    }

    pub(super) fn condition(&mut self, name: &str) -> WaitId {
        let Self { conditions, names, .. } = self;
        *conditions.entry(name.to_owned()).or_insert_with(|| names.add_condition(name))
    }

    pub(super) fn lock(&mut self, class: &'static str, instance: &str) -> LockId {
        let Self { locks, names, .. } = self;
        let key = (class, instance.to_owned());
        *locks.entry(key).or_insert_with(|| names.add_lock(class, instance))
    }

    pub(super) fn layer(&mut self, layer: Layer, name: &str) -> LayerRef {
        let Self { layers, names, .. } = self;
        *layers.entry((layer, name.to_owned())).or_insert_with(|| names.add_layer(layer, name))
    }

    pub(super) const fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests - 1)
    }
}
