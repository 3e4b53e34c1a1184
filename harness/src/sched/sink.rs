//! `EventSink`: numbers the events, shows them to the observer, and knows which waits are open.
//!
//! Key types: [`EventSink`], [`Asked`]. An observer names a task whose wait is to be broken. By the
//! time that task looks, it may be in another wait, which its condition began. So what the observer
//! asks for is kept with the wait that was in force at the event.
//!
//! Locking: the sink is under the event lock.

use super::effort::Efforts;
use crate::event::{Event, EventKind, Names, Observer, Reaction, Resource, Site, TaskId};
use crate::units::Nanos;

/// Where the events of a world go, in order.
pub(super) struct EventSink {
    pub(super) names: Names,
    pub(super) observer: Box<dyn Observer>,
    pub(super) seq: u64,
    /// The time of the last event.
    pub(super) last: Nanos,
    /// The source line of the last event of each task that has one.
    pub(super) sites: Vec<Option<Site>>,
    /// By task: its open waits, outermost first, each with the event that began it.
    waits: Vec<Vec<(Resource, u64)>>,
    /// Of a controlled world, whose steps are bounded.
    pub(super) efforts: Option<Efforts>,
}

/// What the observer asked for, with the event that began the wait that it is about.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) reaction: Reaction,
    pub(super) wait: Option<u64>,
}

impl EventSink {
    pub(super) fn new(observer: Box<dyn Observer>, efforts: Option<Efforts>) -> Self {
        Self {
            names: Names::default(),
            observer,
            seq: 0,
            last: Nanos(0),
            sites: Vec::new(),
            waits: Vec::new(),
            efforts,
        }
    }

    /// Shows the observer the next event. Returns its number and what the observer asks for.
    pub(super) fn show(&mut self, time: Nanos, task: TaskId, kind: EventKind) -> (u64, Asked) {
        let event = Event { seq: self.seq, time, task, kind };
        self.seq += 1;
        self.last = time;
        if let Some(site) = kind.site() {
            self.came_to(task, site);
        }
        self.note_wait(&event);
        if let Some(efforts) = &mut self.efforts {
            efforts.note(task, &event.kind);
        }
        let reaction = self.observer.observe(&event, &self.names);
        let wait = match reaction {
            Reaction::Break(task) => self.waits_of(task).last().map(|(_, began)| *began),
            Reaction::Go | Reaction::Abort => None,
        };
        (event.seq, Asked { reaction, wait })
    }

    fn came_to(&mut self, task: TaskId, site: Site) {
        let index = task.0 as usize;
        if self.sites.len() <= index {
            self.sites.resize(index + 1, None);
        }
        self.sites[index] = Some(site);
    }

    fn waits_of(&mut self, task: TaskId) -> &mut Vec<(Resource, u64)> {
        let index = task.0 as usize;
        if self.waits.len() <= index {
            self.waits.resize_with(index + 1, Vec::new);
        }
        &mut self.waits[index]
    }

    fn note_wait(&mut self, event: &Event) {
        match event.kind {
            EventKind::WaitBegin { resource, .. } => {
                self.waits_of(event.task).push((resource, event.seq));
            }
            EventKind::WaitEnd { resource, .. } => self.end_wait(event.task, resource),
            // The releaser hands a lock over before the wait for it is said to end.
            EventKind::LockAcquired { lock, .. } => {
                self.end_wait(event.task, Resource::Lock(lock));
            }
            _ => {}
        }
    }

    fn end_wait(&mut self, task: TaskId, ended: Resource) {
        let waits = self.waits_of(task);
        if let Some(place) = waits.iter().rposition(|(resource, _)| *resource == ended) {
            waits.remove(place);
        }
    }
}
