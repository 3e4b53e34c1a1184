//! What the things are called that a finding names by number.
//!
//! Key type: [`Words`]. Names that an order has too are functions of their own: an order knows
//! names and no numbers.

use crate::event::{
    LayerRef, LockId, LockMode, Names, Op, RequestId, Resource, ScopeKind, Site, TaskId, WaitId,
    WorkId,
};
use crate::report::step::exit_of;
use crate::witness::{
    Finding, RequestFacts, RestrictedBy, Restriction, StallCause, Subject, item_of,
};

/// `nofs#1`, and what the user forbids by its layers: `forbid(raft)#2`.
pub(super) fn scope_name(kind: ScopeKind, scope: u32) -> String {
    let mut name = kind.name().to_owned();
    if let ScopeKind::Forbid(layers) = kind {
        let layers: Vec<&str> = layers.iter().map(|layer| layer.name()).collect();
        name = format!("{name}({})", layers.join(", "));
    }
    if scope == 0 { name } else { format!("{name}#{scope}") }
}

/// `lock journal of fs:lower`; `lock table#0` where only a number is known of the instance.
pub(super) fn lock_name(class: &str, instance: &str) -> String {
    let of = if instance.is_empty() || instance.starts_with('#') { "" } else { " of " };
    format!("lock {class}{of}{instance}")
}

/// The name of a task, or its number where it has none.
pub(super) fn task_name(name: &str, task: TaskId) -> String {
    if name == "?" { format!("task#{}", task.0) } else { name.to_owned() }
}

pub(super) fn requests_of(queue: &str) -> String {
    format!("requests of {queue}")
}

pub(super) fn work_of(queue: &str) -> String {
    format!("work of {queue}")
}

/// `work item flush of events`.
pub(super) fn work_item(item: &str, queue: &str) -> String {
    format!("work item {}", item_of(item, queue))
}

pub(super) fn element_of(pool: &str) -> String {
    format!("an element of pool {pool}")
}

pub(super) fn condition_name(name: &str) -> String {
    format!("condition {name}")
}

/// How a lock is held or taken.
pub(super) const fn mode_name(shared: bool) -> &'static str {
    if shared { "shared" } else { "exclusive" }
}

fn lock(id: LockId, names: &Names) -> String {
    match names.lock(id) {
        Some(name) => lock_name(name.class, &name.instance),
        None => format!("lock#{}", id.0),
    }
}

fn condition(id: WaitId, names: &Names) -> String {
    condition_name(names.condition(id))
}

/// What tasks waited for, under the name that an order has for it.
pub(super) fn thing(thing: StallCause, names: &Names) -> String {
    match thing {
        StallCause::Lock(id) => lock(id, names),
        StallCause::Requests(queue) => requests_of(names.queue(queue)),
        StallCause::Work(queue) => work_of(names.queue(queue)),
        StallCause::Pool(pool) => element_of(names.pool(pool)),
        StallCause::Condition(id) => condition(id, names),
        StallCause::Exit(task) => exit_of(names.task(task)),
    }
}

/// Names over one finding.
pub(super) struct Words<'a> {
    pub(super) names: &'a Names,
    pub(super) finding: &'a Finding,
}

impl Words<'_> {
    pub(super) fn task(&self, task: TaskId) -> String {
        task_name(self.names.task(task), task)
    }

    pub(super) fn lock(&self, id: LockId) -> String {
        lock(id, self.names)
    }

    pub(super) fn short_lock(&self, id: LockId) -> String {
        self.names.lock(id).map_or_else(|| format!("lock#{}", id.0), |name| name.class.to_owned())
    }

    /// `lock journal of fs:lower (exclusive)`.
    pub(super) fn held_lock(&self, id: LockId, mode: LockMode) -> String {
        format!("{} ({})", self.lock(id), mode_name(mode == LockMode::Shared))
    }

    pub(super) fn work(&self, work: WorkId) -> String {
        format!("work item {}#{}", self.names.work(work), work.0)
    }

    /// What the request asks: `request #0: write of block 7 = sectors 56..64 of loop0`.
    pub(super) fn request(&self, id: RequestId) -> String {
        let Some((_, request)) = self.finding.requests.iter().find(|(known, _)| *known == id)
        else {
            return format!("request #{}", id.0);
        };
        let op = match request.op {
            Op::Read => "read",
            Op::Write => "write",
            Op::Flush => "flush",
            Op::Discard => "discard",
        };
        let origin = request
            .origin
            .map_or_else(String::new, |origin| format!(" {} {}", origin.what, origin.item));
        let (from, queue) = (request.sector.0, self.names.queue(request.queue));
        let extent = match request.sectors.0 {
            0 => format!(" on {queue}"),
            n => format!(" = sectors {from}..{} of {queue}", from.saturating_add(n)),
        };
        format!("request #{}: {op}{origin}{extent}", id.0)
    }

    pub(super) fn resource(&self, resource: Resource) -> String {
        match resource {
            Resource::Lock(id) => self.lock(id),
            Resource::Request(request) => format!("request #{}", request.0),
            Resource::Work(work) => self.work(work),
            Resource::Task(task) => exit_of(&self.task(task)),
            Resource::Condition(id) => format!("{}#{}", condition(id, self.names), id.0),
            Resource::Pool(pool) => element_of(self.names.pool(pool)),
            Resource::Idle(queue) => format!("work on {} (idle)", self.names.queue(queue)),
            Resource::Timer => "time to pass".to_owned(),
        }
    }

    /// What `task` waits for. A request that another task submitted is named in full, since no step
    /// of `task` says what it asks.
    pub(super) fn waited_for(&self, task: TaskId, resource: Resource) -> String {
        let mut known = self.finding.requests.iter();
        let of_another = known
            .find(|(id, request)| Resource::Request(*id) == resource && request.submitter != task);
        match of_another {
            Some((id, request)) => {
                format!("{}, {}", self.request(*id), self.submission(request))
            }
            None => self.resource(resource),
        }
    }

    /// `submitted by kswapd at swap.rs:92, which paged out to swap:swap0`.
    pub(super) fn submission(&self, request: &RequestFacts) -> String {
        let by = self.task(request.submitter);
        let at = self.place(request.site).map_or_else(String::new, |place| format!(" at {place}"));
        let out = request.page_out.map_or_else(String::new, |out| {
            format!(", which {}", self.page_out(out.layer, out.allocation))
        });
        format!("submitted by {by}{at}{out}")
    }

    /// `paged out to swap:swap0 in the reclaim of the allocation at app.rs:12`.
    pub(super) fn page_out(&self, layer: LayerRef, allocation: Option<Site>) -> String {
        let reclaim = allocation
            .and_then(|site| self.place(site))
            .map_or_else(String::new, |at| format!(" in the reclaim of the allocation at {at}"));
        format!("paged out to {}{reclaim}", self.names.layer(layer))
    }

    /// The resource under the names that an order has for it; none where the finding does not say
    /// which queue the request or the work item is in.
    pub(super) fn ordered(&self, resource: Resource) -> Vec<String> {
        let (names, Finding { requests, works, .. }) = (self.names, self.finding);
        match resource {
            Resource::Request(id) => {
                let request = requests.iter().find(|(known, _)| *known == id);
                request
                    .map(|(_, request)| requests_of(names.queue(request.queue)))
                    .into_iter()
                    .collect()
            }
            Resource::Work(id) => {
                let item = works.iter().find(|(known, _)| *known == id);
                let queue = item.map(|(_, item)| names.queue(item.queue));
                // What was seen is about the item, what was declared about the queue.
                let both = |queue| [work_item(names.work(id), queue), work_of(queue)];
                queue.map(both).into_iter().flatten().collect()
            }
            Resource::Condition(id) => vec![condition(id, names)],
            other => vec![self.resource(other)],
        }
    }

    /// `scope nofs#1 of rsync`, or `a scope nofs of rsync` where its number is not known.
    pub(super) fn scope(&self, kind: ScopeKind, scope: u32, owner: TaskId) -> String {
        let article = if scope == 0 { "a " } else { "" };
        format!("{article}scope {} of {}", scope_name(kind, scope), self.task(owner))
    }

    /// What a broken rule is about: `shrinker dm-bufio:loop0`.
    pub(super) fn subject(&self, subject: Subject) -> String {
        match subject {
            Subject::Shrinker(shrinker) => format!("shrinker {}", self.names.shrinker(shrinker)),
            Subject::Lock(id) => self.lock(id),
            Subject::Pool(pool) => format!("pool {}", self.names.pool(pool)),
            Subject::Request(request) => self.request(request),
            Subject::Work(work) => self.work(work),
            Subject::Item(item) => self.names.item(item).to_owned(),
            Subject::Scope { kind, scope } => format!("scope {}", scope_name(kind, scope)),
        }
    }

    /// What forbids an entry: `scope nofs#1 of rsync`.
    pub(super) fn restriction(&self, by: Restriction) -> String {
        let task = self.task(by.task);
        match by.by {
            RestrictedBy::Scope { kind, scope } => {
                format!("scope {} of {task}", scope_name(kind, scope))
            }
            RestrictedBy::Mask(mask) => format!("mask {mask} of {task}'s own reclaim"),
        }
    }
}
