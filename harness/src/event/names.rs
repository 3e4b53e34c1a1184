//! `Names`: what the numbers in events are called.
//!
//! Filled while the stack is built, read by reports.

use super::{
    ItemId, Layer, LayerRef, LockId, PartId, PointId, PoolId, QueueId, ShrinkerId, TaskId, WaitId,
    WorkId,
};

/// The names of tasks, locks, queues and all else that events name by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub(crate) tasks: Vec<String>,
    pub(crate) locks: Vec<LockName>,
    pub(crate) queues: Vec<String>,
    pub(crate) works: Vec<String>,
    pub(crate) conditions: Vec<String>,
    pub(crate) shrinkers: Vec<String>,
    pub(crate) points: Vec<String>,
    pub(crate) pools: Vec<String>,
    pub(crate) items: Vec<String>,
    pub(crate) parts: Vec<String>,
    pub(crate) layers: Vec<(LayerRef, String)>,
}

/// A lock's class and instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockName {
    /// What all locks of this kind are called: `journal`.
    pub class: &'static str,
    /// The object that it belongs to: `fs:lower`.
    pub instance: String,
}

fn next_id(len: usize) -> u32 {
    u32::try_from(len).expect("a world never has 2^32 named things")
}

macro_rules! named {
    ($($add:ident, $get:ident, $field:ident, $id:ident;)*) => {$(
        /// Registers a name and returns its number.
        pub fn $add(&mut self, name: impl Into<String>) -> $id {
            let id = $id(next_id(self.$field.len()));
            self.$field.push(name.into());
            id
        }

        /// The name behind a number; `?` for one never registered.
        #[must_use]
        pub fn $get(&self, id: $id) -> &str {
            self.$field.get(id.0 as usize).map_or("?", String::as_str)
        }
    )*};
}

impl Names {
    named! {
        add_task, task, tasks, TaskId;
        add_queue, queue, queues, QueueId;
        add_work, work, works, WorkId;
        add_condition, condition, conditions, WaitId;
        add_shrinker, shrinker, shrinkers, ShrinkerId;
        add_point, point, points, PointId;
        add_pool, pool, pools, PoolId;
        add_item, item, items, ItemId;
        add_part, part, parts, PartId;
    }

    /// Registers a lock and returns its number.
    pub fn add_lock(&mut self, class: &'static str, instance: impl Into<String>) -> LockId {
        let id = LockId(next_id(self.locks.len()));
        self.locks.push(LockName { class, instance: instance.into() });
        id
    }

    /// The class and instance behind a lock number.
    #[must_use]
    pub fn lock(&self, id: LockId) -> Option<&LockName> {
        self.locks.get(id.0 as usize)
    }

    /// Registers an instance of a layer and returns its reference.
    pub fn add_layer(&mut self, layer: Layer, name: impl Into<String>) -> LayerRef {
        let instance = self.next_instance(layer);
        let layer = LayerRef { layer, instance };
        self.layers.push((layer, name.into()));
        layer
    }

    /// The number that the next instance of `layer` gets: they are numbered in a row.
    pub(crate) fn next_instance(&self, layer: Layer) -> u32 {
        let mut same = self.layers.iter().rev().map(|(known, _)| *known);
        same.find(|known| known.layer == layer)
            .map_or(0, |last| next_id(last.instance as usize + 1))
    }

    /// The layer in report form: `fs:lower`; the number where the user entered it unregistered.
    #[must_use]
    pub fn layer(&self, layer: LayerRef) -> String {
        match self.layers.iter().find(|(known, _)| *known == layer) {
            Some((_, name)) => format!("{}:{name}", layer.layer.name()),
            None => format!("{}#{}", layer.layer.name(), layer.instance),
        }
    }
}
