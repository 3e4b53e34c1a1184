//! How the chain of a finding is put together.
//!
//! A chain lists the tasks one after another, each from its outermost frame to its wait; an edge
//! joins that wait to the task that must act. Key type: [`Chain`]; [`broken_rule`] makes the common
//! case. Used once a judge has found something, so it may allocate.

use crate::event::{Actor, Event, RequestId, Resource, Site, TaskId, WorkId};
use crate::witness::{
    Breach, Code, Entry, Finding, FrameKind, Moment, Needed, PageOut, Step, StepKind, Subject,
    View, restriction,
};

/// A chain under construction.
pub(super) struct Chain<'v> {
    view: &'v View,
    tasks: Vec<TaskId>,
    steps: Vec<Step>,
}

impl<'v> Chain<'v> {
    /// An empty chain over `view`.
    #[must_use]
    pub(super) const fn new(view: &'v View) -> Self {
        Self { view, tasks: Vec::new(), steps: Vec::new() }
    }

    /// Adds everything that `id` is in the middle of, in the order in which it happened, with its
    /// wait. `submitted` adds a request that it submitted and does not wait for.
    pub(super) fn task(&mut self, id: TaskId, submitted: Option<RequestId>) {
        self.tasks.push(id);
        let Some(task) = self.view.exited(id).or_else(|| self.view.task(id)) else {
            return;
        };
        let first = self.steps.len();
        let step =
            |what, site, time, seq| Step { task: id, what, site, time, seq, forbidden: None };
        for frame in &task.frames {
            self.steps.push(step(StepKind::Frame(frame.kind), frame.site, frame.time, frame.seq));
        }
        for held in &task.held {
            let what = StepKind::Holds { lock: held.lock, mode: held.mode };
            self.steps.push(step(what, Some(held.site), held.time, held.seq));
        }
        for (pool, taken) in self.view.elements_of(id) {
            self.steps.push(step(StepKind::HasElement { pool }, taken.site, taken.time, taken.seq));
        }
        let served = task.frames.iter().filter_map(|frame| match frame.kind {
            FrameKind::Serving { request } => Some(Actor::Request(request)),
            FrameKind::Working { work } => Some(Actor::Work(work)),
            _ => None,
        });
        for by in served.chain([Actor::Task(id)]) {
            for (condition, made) in self.view.promises_of(by) {
                let what = StepKind::Promised { condition, by, units: made.units };
                self.steps.push(step(what, made.site, made.time, made.seq));
            }
        }
        let waited = task.waits.iter().rev().find_map(|wait| match wait.resource {
            Resource::Request(request) => Some(request),
            _ => None,
        });
        let own =
            |request: &RequestId| self.view.request(*request).filter(|facts| facts.submitter == id);
        if let Some((request, facts)) =
            submitted.or(waited).and_then(|request| Some((request, own(&request)?)))
        {
            let open = |out: &PageOut| task.frames.iter().any(|frame| frame.seq == out.seq);
            if let Some(out) = facts.page_out.filter(|out| !open(out)) {
                let PageOut { layer, site, allocation, seq, time } = out;
                let what = StepKind::PagedOut { layer, allocation };
                self.steps.push(step(what, site, time, seq));
            }
            let what = StepKind::Submitted { request };
            self.steps.push(step(what, Some(facts.site), facts.time, facts.seq));
        }
        for wait in &task.waits {
            let what = StepKind::Wait {
                resource: wait.resource,
                why: wait.why,
                breakable: wait.breakable,
                needs: wait.needs,
            };
            self.steps.push(step(what, Some(wait.site), wait.time, wait.seq));
        }
        self.steps[first..].sort_by_key(|step| step.seq);
    }

    /// Adds a step that says that the last task does not wait.
    pub(super) fn running(&mut self, event: &Event) {
        if let Some(task) = self.tasks.last() {
            let Event { seq, time, .. } = *event;
            let what = StepKind::Running;
            self.steps.push(Step { task: *task, what, site: None, time, seq, forbidden: None });
        }
    }

    /// Adds, as a step of the last task, what `event` shows to be wrong.
    pub(super) fn ends_with(&mut self, what: StepKind, site: Option<Site>, event: &Event) {
        if let Some(task) = self.tasks.last() {
            let Event { seq, time, .. } = *event;
            self.steps.push(Step { task: *task, what, site, time, seq, forbidden: None });
        }
    }

    /// Adds the edge from the wait of `waiter` to `needed`.
    pub(super) fn edge(&mut self, waiter: TaskId, needed: Needed) {
        let Needed { task: on, how, since, through, units, .. } = needed;
        self.need(waiter, |resource| StepKind::Needs { resource, on, how, since, through, units });
    }

    /// Adds another task that must act before the wait of `waiter` ends. The chain does not lead
    /// there.
    pub(super) fn also(&mut self, waiter: TaskId, needed: Needed) {
        let Needed { task: on, how, through, units, .. } = needed;
        self.need(waiter, |resource| StepKind::AlsoNeeds { resource, on, how, through, units });
    }

    fn need(&mut self, waiter: TaskId, what: impl FnOnce(Resource) -> StepKind) {
        let Some(wait) = self.view.wait(waiter) else {
            return;
        };
        let what = what(wait.resource);
        self.steps.push(Step {
            task: waiter,
            what,
            site: None,
            time: wait.time,
            seq: wait.seq,
            forbidden: None,
        });
    }

    /// The finding: marks the forbidden entries, and collects the facts about the requests and work
    /// items that the chain names.
    #[must_use]
    pub(super) fn finish(mut self, code: Code, event: &Event) -> Finding {
        self.mark();
        let mut requests: Vec<RequestId> =
            self.steps.iter().filter_map(|step| request_of(step.what)).collect();
        let mut works: Vec<WorkId> =
            self.steps.iter().filter_map(|step| work_of(step.what)).collect();
        requests.sort_unstable();
        requests.dedup();
        works.sort_unstable();
        works.dedup();
        let view = self.view;
        Finding {
            code,
            seq: event.seq,
            time: event.time,
            tasks: self.tasks,
            chain: self.steps,
            breakable: Vec::new(),
            cycle: Vec::new(),
            requests: requests
                .into_iter()
                .filter_map(|id| Some((id, *view.request(id)?)))
                .collect(),
            works: works.into_iter().filter_map(|id| Some((id, *view.work(id)?))).collect(),
            order: None,
        }
    }

    /// Marks each entry that the steps before it forbid. A step from before the role in which the
    /// chain reaches its task is context and not part of the path; a task to which no edge leads
    /// begins a path of its own.
    fn mark(&mut self) {
        let (mut since, mut led_to, mut at) = (0, None, None);
        let mut path: Vec<(TaskId, FrameKind, u64)> = Vec::new();
        for step in &mut self.steps {
            if at != Some(step.task) && led_to != Some(step.task) {
                path.clear();
                since = 0;
            }
            at = Some(step.task);
            if let StepKind::Needs { on, since: from, .. } = step.what {
                (since, led_to) = (from, Some(on));
                continue;
            }
            if let StepKind::AlsoNeeds { .. } = step.what {
                continue;
            }
            if step.seq <= since && !matches!(step.what, StepKind::Wait { .. }) {
                continue;
            }
            step.forbidden =
                entered(step.what).and_then(|entry| restriction(path.iter().copied(), entry));
            if let StepKind::Frame(kind) = step.what {
                path.push((step.task, kind, step.seq));
            }
        }
    }
}

/// The finding that a rule was broken at `moment`: what `task` is in the middle of, and last the
/// rule, with what it is about and where.
pub(super) fn broken_rule(
    moment: &Moment<'_>,
    task: TaskId,
    breach: Breach,
    subject: Option<Subject>,
    site: Option<Site>,
) -> Finding {
    let mut chain = Chain::new(moment.view);
    chain.task(task, None);
    chain.ends_with(StepKind::Broke { breach, subject }, site, moment.event);
    chain.finish(breach.code(), moment.event)
}

/// The layer that a step enters. A wait for I/O counts as entering the I/O layer.
fn entered(what: StepKind) -> Option<Entry> {
    match what {
        StepKind::Frame(FrameKind::Layer { layer }) | StepKind::PagedOut { layer, .. } => {
            Some(layer.into())
        }
        StepKind::Submitted { .. } | StepKind::Wait { resource: Resource::Request(_), .. } => {
            Some(Entry::IO)
        }
        _ => None,
    }
}

fn request_of(what: StepKind) -> Option<RequestId> {
    match what {
        StepKind::Frame(FrameKind::Serving { request })
        | StepKind::Submitted { request }
        | StepKind::Wait { resource: Resource::Request(request), .. } => Some(request),
        _ => match acts_through(what) {
            Some(Actor::Request(request)) => Some(request),
            _ => None,
        },
    }
}

fn work_of(what: StepKind) -> Option<WorkId> {
    match what {
        StepKind::Frame(FrameKind::Working { work })
        | StepKind::Wait { resource: Resource::Work(work), .. } => Some(work),
        _ => match acts_through(what) {
            Some(Actor::Work(work)) => Some(work),
            _ => None,
        },
    }
}

/// What the task of a step acts through, where the step says so.
const fn acts_through(what: StepKind) -> Option<Actor> {
    match what {
        StepKind::Needs { through, .. } | StepKind::AlsoNeeds { through, .. } => through,
        StepKind::Promised { by, .. } => Some(by),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
