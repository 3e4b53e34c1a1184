//! Words for what a finding names by number.
//!
//! Key type: [`Words`]. Kernel vocabulary, and each thing is called the same everywhere: the text
//! of a resource is also its identity when findings are compared.

use crate::event::{
    Entered, HeapPlace, LockId, LockMode, Names, Op, ReclaimKind, RequestId, Resource, ScopeKind,
    ScopeRef, Site, TaskId, WorkId, heap_number,
};
use crate::witness::{
    Finding, FrameKind, RestrictedBy, Restriction, Role, Step, StepKind, Subject,
};

/// Names over one finding.
pub(super) struct Words<'a> {
    pub(super) names: &'a Names,
    pub(super) finding: &'a Finding,
}

/// A step in words.
pub(super) struct Phrase {
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) short: String,
}

fn phrase(kind: &'static str, text: String, short: String) -> Phrase {
    Phrase { kind, text, short }
}

/// `nofs#1`, and what the user forbids by its layers: `forbid(raft)#2`.
pub(super) fn scope_name(kind: ScopeKind, scope: u32) -> String {
    let mut name = kind.name().to_owned();
    if let ScopeKind::Forbid(layers) = kind {
        let layers: Vec<&str> = layers.iter().map(|layer| layer.name()).collect();
        name = format!("{name}({})", layers.join(", "));
    }
    if scope == 0 { name } else { format!("{name}#{scope}") }
}

/// `lock journal of fs:lower`; `lock table#0` where all that is known of the instance is a number.
pub(super) fn lock_name(class: &str, instance: &str) -> String {
    let of = if instance.is_empty() || instance.starts_with('#') { "" } else { " of " };
    format!("lock {class}{of}{instance}")
}

fn mode(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Exclusive | LockMode::Nested(_) => "exclusive",
        LockMode::Shared => "shared",
    }
}

impl Words<'_> {
    pub(super) fn task(&self, task: TaskId) -> String {
        let name = self.names.task(task);
        if name == "?" { format!("task#{}", task.0) } else { name.to_owned() }
    }

    fn lock(&self, lock: LockId) -> String {
        match self.names.lock(lock) {
            Some(name) => lock_name(name.class, &name.instance),
            None => format!("lock#{}", lock.0),
        }
    }

    fn short_lock(&self, lock: LockId) -> String {
        self.names
            .lock(lock)
            .map_or_else(|| format!("lock#{}", lock.0), |name| name.class.to_owned())
    }

    fn work(&self, work: WorkId) -> String {
        format!("work item {}#{}", self.names.work(work), work.0)
    }

    /// What the request asks: `write of block 7, sectors 56..64 of loop0`.
    fn request(&self, id: RequestId) -> String {
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
            Resource::Lock(lock) => self.lock(lock),
            Resource::Request(request) => format!("request #{}", request.0),
            Resource::Work(work) => self.work(work),
            Resource::Task(task) => format!("the exit of {}", self.task(task)),
            Resource::Condition(condition) => {
                format!("condition {}#{}", self.names.condition(condition), condition.0)
            }
            Resource::Pool(pool) => format!("an element of pool {}", self.names.pool(pool)),
            Resource::Idle(queue) => format!("something to do on {}", self.names.queue(queue)),
            Resource::Timer => "time to pass".to_owned(),
        }
    }

    /// What `task` waits for; a request of somebody else in full, since no step of the task says
    /// it.
    fn waited(&self, task: TaskId, resource: Resource) -> String {
        let known = &self.finding.requests;
        let of_another = known
            .iter()
            .find(|(id, request)| Resource::Request(*id) == resource && request.submitter != task);
        match of_another {
            Some((id, request)) => {
                format!("{}, submitted by {}", self.request(*id), self.task(request.submitter))
            }
            None => self.resource(resource),
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
            Subject::Lock(lock) => self.lock(lock),
            Subject::Pool(pool) => format!("pool {}", self.names.pool(pool)),
            Subject::Request(request) => self.request(request),
            Subject::Work(work) => self.work(work),
            Subject::Item(item) => self.names.item(item).to_owned(),
            Subject::Scope { kind, scope } => format!("scope {}", scope_name(kind, scope)),
        }
    }

    /// What forbids: `scope nofs#1 of rsync`.
    pub(super) fn restriction(&self, by: Restriction) -> String {
        let task = self.task(by.task);
        match by.by {
            RestrictedBy::Scope { kind, scope } => {
                format!("scope {} of {task}", scope_name(kind, scope))
            }
            RestrictedBy::Mask(mask) => {
                format!("mask {mask} of the reclaim by {task}, which is in no such scope")
            }
        }
    }

    pub(super) fn step(&self, step: &Step) -> Phrase {
        match step.what {
            StepKind::Frame(frame) => self.on_heap(step.site, self.frame(frame)),
            StepKind::Holds { lock, mode: how } => phrase(
                "holds",
                format!("holds {} ({})", self.lock(lock), mode(how)),
                format!("lock {}", self.short_lock(lock)),
            ),
            StepKind::Submitted { request } => phrase(
                "submitted",
                format!("submitted {}", self.request(request)),
                format!("submit #{}", request.0),
            ),
            StepKind::Wait { resource, why, breakable } => {
                let note = if breakable { ", breakable" } else { "" };
                let short = match resource {
                    Resource::Lock(lock) => format!("wait {}", self.short_lock(lock)),
                    Resource::Request(request) => format!("wait #{}", request.0),
                    other => format!("wait {}", self.resource(other)),
                };
                let what = self.waited(step.task, resource);
                phrase("wait", format!("waits for {what} ({why}{note})"), short)
            }
            StepKind::Running => phrase("running", "runs".to_owned(), "runs".to_owned()),
            StepKind::Broke { breach, subject } => {
                let about = subject
                    .map_or_else(String::new, |subject| format!("{}: ", self.subject(subject)));
                phrase("broke", format!("broke a rule: {about}{breach}"), breach.name().to_owned())
            }
            StepKind::Misused { what, kind, owner, scope } => phrase(
                "misuse",
                format!("{}: {}", self.scope(kind, scope, owner), what.sentence()),
                format!("{}: {what}", scope_name(kind, scope)),
            ),
            StepKind::Ordered { edge } => super::order::phrase(self.finding, edge),
            StepKind::Needs { resource, on, how, .. } => self.needs(resource, &self.task(on), how),
        }
    }

    /// Says of an allocation on the heap which function made it.
    fn on_heap(&self, site: Option<Site>, phrase: Phrase) -> Phrase {
        let Some(number) = site.and_then(heap_number) else {
            return phrase;
        };
        let by = self
            .names
            .heap_place(number)
            .map_or_else(String::new, |at| format!(", by {}", at.function));
        Phrase { text: format!("{}, on the heap{by}", phrase.text), ..phrase }
    }

    /// `file:line` of a step. An allocation on the heap has that of the allocator's caller, which
    /// was looked for when something was found.
    pub(super) fn place(&self, place: Site) -> String {
        let Some(number) = heap_number(place) else {
            return site(place);
        };
        match self.names.heap_place(number) {
            Some(HeapPlace { line: Some((file, line)), .. }) => file_line(file, *line),
            _ => "(no line information)".to_owned(),
        }
    }

    fn frame(&self, frame: FrameKind) -> Phrase {
        match frame {
            FrameKind::Scope { kind, scope, how } => {
                let name = scope_name(kind, scope);
                let text = match how {
                    Entered::Held => format!("entered scope {name}"),
                    Entered::Permanent => format!("entered scope {name} for life"),
                    Entered::Inherited => format!("inherited scope {name} by fork"),
                    Entered::OnBehalf(ScopeRef { task, seq }) => {
                        format!(
                            "entered scope {name} on behalf of #{seq} of {}",
                            self.task(TaskId(task))
                        )
                    }
                };
                phrase("scope", text, format!("{name} {{"))
            }
            FrameKind::Layer { layer } => {
                let name = self.names.layer(layer);
                phrase("layer", format!("entered {name}"), format!("enter {name}"))
            }
            FrameKind::Alloc { order, requested, effective, .. } => phrase(
                "alloc",
                format!("allocates order {order}, {requested}, effective mask {effective}"),
                format!("alloc {effective}"),
            ),
            FrameKind::Reclaim { kind, mask } => {
                let who = match kind {
                    ReclaimKind::Direct => "direct reclaim",
                    ReclaimKind::Kswapd => "kswapd reclaim",
                    ReclaimKind::Memcg => "memcg limit reclaim",
                    ReclaimKind::Compaction => "direct compaction",
                };
                phrase("reclaim", format!("{who}, mask {mask}"), who.to_owned())
            }
            FrameKind::Count { shrinker, mask } => {
                let name = self.names.shrinker(shrinker);
                phrase(
                    "count",
                    format!("shrinker {name} counts, mask {mask}"),
                    format!("count {name}"),
                )
            }
            FrameKind::Scan { shrinker, mask, nr_to_scan } => {
                let name = self.names.shrinker(shrinker);
                let text = format!("shrinker {name} scans {nr_to_scan} objects, mask {mask}");
                phrase("scan", text, format!("scan {name}"))
            }
            FrameKind::Serving { request } => phrase(
                "serving",
                format!("serves {}", self.request(request)),
                format!("serve #{}", request.0),
            ),
            FrameKind::Working { work } => {
                let found = self.finding.works.iter().find(|(known, _)| *known == work);
                let by = found.map_or_else(String::new, |(_, item)| {
                    format!(", queued by {}", self.task(item.queued_by))
                });
                let name = self.work(work);
                phrase("working", format!("executes {name}{by}"), format!("run {name}"))
            }
        }
    }

    fn needs(&self, resource: Resource, on: &str, how: Role) -> Phrase {
        let what = self.resource(resource);
        let text = match how {
            Role::Holds => format!("{what} is held by {on}"),
            Role::AheadInLine => format!("{what}: {on} is ahead in line"),
            Role::Serves => format!("{what} is served by {on}"),
            Role::ServesQueue => format!("{what} is queued for {on}, which is not free"),
            Role::Exits => format!("{on} must exit first"),
            Role::HasElement => format!("{on} has {what}"),
            Role::Promised => format!("{on} promised to signal {what}"),
        };
        phrase("needs", text, format!("-> {on}"))
    }
}

/// `file:line` without the part of the path that differs between machines.
///
/// The compiler names files of the workspace relative to its root, and others absolutely: of those
/// the package's directory and what follows is kept.
pub(super) fn site(site: Site) -> String {
    file_line(site.file, site.line)
}

fn file_line(file: &str, line: u32) -> String {
    let file = file.replace('\\', "/");
    let absolute = file.starts_with('/') || file.get(1..3) == Some(":/");
    let start = if absolute { package_start(&file) } else { 0 };
    let path = file[start..].trim_start_matches("../").trim_start_matches("./");
    format!("{path}:{line}")
}

/// Where the directory of the package begins in an absolute path.
fn package_start(file: &str) -> usize {
    let places = ["/src/", "/tests/", "/examples/", "/benches/"];
    let inside =
        |at: usize| at > 0 && !file[..at].ends_with("/registry") && !file[..at].ends_with("/cargo");
    let root = places.iter().filter_map(|place| file.rfind(place)).filter(|at| inside(*at)).max();
    let end = root.unwrap_or_else(|| file.rfind('/').unwrap_or(0));
    file[..end].rfind('/').map_or(0, |slash| slash + 1)
}
