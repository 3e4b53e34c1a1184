//! The steps of a chain in words.

use super::names::{Words, scope_name};
use super::sites::place;
use crate::event::{
    Actor, Entered, HeapPlace, Needs, ReclaimKind, RequestId, Resource, ScopeRef, Site, TaskId,
    WorkId, heap_place,
};
use crate::report::step::{Details, StepKind, need, promised};
use crate::witness::{self as judged, FrameKind, Role};

/// A step in words, without its task, place and time.
pub(super) struct Phrase {
    pub(super) kind: StepKind,
    pub(super) text: String,
    pub(super) short: String,
    pub(super) details: Details,
}

pub(super) fn phrase(kind: StepKind, text: impl Into<String>, short: impl Into<String>) -> Phrase {
    Phrase { kind, text: text.into(), short: short.into(), details: Details::None }
}

impl Phrase {
    fn about(self, details: Details) -> Self {
        Self { details, ..self }
    }
}

impl Words<'_> {
    pub(super) fn step(&self, step: &judged::Step) -> Phrase {
        match step.what {
            judged::StepKind::Frame(frame) => self.on_heap(step.site, self.frame(frame)),
            judged::StepKind::Holds { lock, mode } => {
                let text = format!("holds {}", self.held_lock(lock, mode));
                phrase(StepKind::Holds, text, format!("lock {}", self.short_lock(lock)))
                    .about(Details::Has(self.lock(lock)))
            }
            judged::StepKind::HasElement { pool } => {
                let element = self.resource(Resource::Pool(pool));
                phrase(StepKind::Holds, format!("has {element}"), element.clone())
                    .about(Details::Has(element))
            }
            judged::StepKind::Promised { condition, by, units } => {
                let signal = self.resource(Resource::Condition(condition));
                let text = match self.served(by) {
                    Some(served) => format!("serves {served}, which {}", promised(&signal, units)),
                    None => promised(&signal, units),
                };
                phrase(StepKind::Holds, text, format!("promise {signal}"))
                    .about(Details::Has(signal))
            }
            judged::StepKind::PagedOut { layer, allocation } => {
                let text = self.page_out(layer, allocation);
                let short = format!("page out {}", self.names.layer(layer));
                phrase(StepKind::Layer, text, short).about(Details::Left)
            }
            judged::StepKind::Submitted { request } => {
                let text = format!("submitted {}", self.request(request));
                phrase(StepKind::Submitted, text, format!("submit #{}", request.0))
                    .about(self.about_request(request))
            }
            judged::StepKind::Wait { resource, why, breakable, needs } => {
                let note = match (needs, breakable) {
                    (Needs::All, _) => ", all that promised must act",
                    (_, true) => ", breakable",
                    _ => "",
                };
                let units = match needs {
                    Needs::Units(units) => format!("{units} units of "),
                    Needs::One | Needs::All => String::new(),
                };
                let short = match resource {
                    Resource::Lock(lock) => format!("wait {}", self.short_lock(lock)),
                    Resource::Request(request) => format!("wait #{}", request.0),
                    other => format!("wait {}", self.resource(other)),
                };
                let what = self.waited_for(step.task, resource);
                phrase(StepKind::Wait, format!("waits for {units}{what} ({why}{note})"), short)
            }
            judged::StepKind::Running => phrase(StepKind::Running, "runs", "runs"),
            judged::StepKind::Broke { breach, subject } => {
                let about = subject
                    .map_or_else(String::new, |subject| format!("{}: ", self.subject(subject)));
                let text = format!("broke a rule: {about}{breach}");
                phrase(StepKind::Broke, text, breach.name())
            }
            judged::StepKind::Misused { what, kind, owner, scope } => {
                let text = format!("{}: {}", self.scope(kind, scope, owner), what.sentence());
                phrase(StepKind::Misuse, text, format!("{}: {what}", scope_name(kind, scope)))
            }
            // A finding about order is described from its cycle, which has its edges.
            judged::StepKind::Ordered { .. } => phrase(StepKind::Ordered, "", ""),
            judged::StepKind::Needs { resource, on, how, through, units, .. } => {
                self.need(resource, on, how, through, units)
            }
            judged::StepKind::AlsoNeeds { resource, on, how, through, units } => {
                let phrase = self.need(resource, on, how, through, units);
                Phrase { text: format!("also: {}", phrase.text), ..phrase }
            }
        }
    }

    /// Who submitted the request, if no step of the chain says so.
    fn by_others(&self, id: RequestId) -> String {
        let chain = &self.finding.chain;
        let submits =
            |step: &judged::Step| step.what == judged::StepKind::Submitted { request: id };
        let known = self.finding.requests.iter().find(|(known, _)| *known == id);
        match known.filter(|_| !chain.iter().any(submits)) {
            Some((_, request)) => format!(", {}", self.submission(request)),
            None => String::new(),
        }
    }

    /// The edge from `resource` to the task `on`, which must act through a request or a work item
    /// where that is not the resource itself.
    fn need(
        &self,
        resource: Resource,
        on: TaskId,
        role: Role,
        through: Option<Actor>,
        units: u32,
    ) -> Phrase {
        let (name, on) = (self.resource(resource), self.task(on));
        let text = match (through, through.and_then(|through| self.served(through))) {
            (None, _) => need(role, &name, &on, units),
            (Some(_), None) => format!("{name} was passed down to {on}"),
            (Some(_), Some(served)) => match resource {
                Resource::Condition(_) => {
                    let served = need(role, &served, &on, 1);
                    format!("{}; it {}", served, promised(&name, units))
                }
                Resource::Pool(_) => format!("{name} is with {}", need(role, &served, &on, 1)),
                _ => format!("{name} was passed down: {}", need(role, &served, &on, 1)),
            },
        };
        let details = Details::Needs { resource: name, role, through: through.is_some() };
        phrase(StepKind::Needs, text, format!("-> {on}")).about(details)
    }

    /// The request or work item that a task acts through; none for the task itself.
    fn served(&self, by: Actor) -> Option<String> {
        match by {
            Actor::Task(_) => None,
            Actor::Request(id) => Some(self.request(id)),
            Actor::Work(id) => Some(self.work_on(id)),
        }
    }

    /// `work item end#3 on dio`.
    fn work_on(&self, id: WorkId) -> String {
        let known = self.finding.works.iter().find(|(known, _)| *known == id);
        let on = known
            .map_or_else(String::new, |(_, item)| format!(" on {}", self.names.queue(item.queue)));
        format!("{}{on}", self.work(id))
    }

    fn about_request(&self, id: RequestId) -> Details {
        let resource = self.resource(Resource::Request(id));
        Details::Request { resource, in_full: self.request(id) }
    }

    /// Says of an allocation on the heap which function made it.
    fn on_heap(&self, site: Option<Site>, phrase: Phrase) -> Phrase {
        let Some(HeapPlace { function, .. }) = site.and_then(heap_place) else {
            return phrase;
        };
        let function = if function.is_empty() { "an unknown function" } else { function };
        Phrase { text: format!("{}, on the heap, by {function}", phrase.text), ..phrase }
    }

    /// `file:line` of a step, if it is known.
    pub(super) fn place(&self, site: Site) -> Option<String> {
        place(site)
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
                        let owner = self.task(TaskId(task));
                        format!("entered scope {name} on behalf of #{seq} of {owner}")
                    }
                };
                phrase(StepKind::Scope, text, format!("{name} {{"))
            }
            FrameKind::Layer { layer } => {
                let name = self.names.layer(layer);
                phrase(StepKind::Layer, format!("entered {name}"), format!("enter {name}"))
            }
            FrameKind::Alloc { order, requested, effective, .. } => {
                let text =
                    format!("allocates order {order}, {requested}, effective mask {effective}");
                phrase(StepKind::Alloc, text, format!("alloc {effective}"))
            }
            FrameKind::Reclaim { kind, mask } => {
                let name = match kind {
                    ReclaimKind::Direct => "direct reclaim",
                    ReclaimKind::Kswapd => "kswapd reclaim",
                    ReclaimKind::Memcg => "memcg limit reclaim",
                    ReclaimKind::Compaction => "direct compaction",
                };
                phrase(StepKind::Reclaim, format!("{name}, mask {mask}"), name)
            }
            FrameKind::Count { shrinker, mask } => {
                let name = self.names.shrinker(shrinker);
                let text = format!("shrinker {name} counts, mask {mask}");
                phrase(StepKind::Count, text, format!("count {name}"))
            }
            FrameKind::Scan { shrinker, mask, nr_to_scan } => {
                let name = self.names.shrinker(shrinker);
                let text = format!("shrinker {name} scans {nr_to_scan} objects, mask {mask}");
                phrase(StepKind::Scan, text, format!("scan {name}"))
            }
            FrameKind::Serving { request } => {
                let text = format!("serves {}{}", self.request(request), self.by_others(request));
                phrase(StepKind::Serving, text, format!("serve #{}", request.0))
                    .about(self.about_request(request))
            }
            FrameKind::Working { work } => self.working(work),
        }
    }

    fn working(&self, work: WorkId) -> Phrase {
        let name = self.work(work);
        let known = self.finding.works.iter().find(|(known, _)| *known == work);
        let by = known.map_or_else(String::new, |(_, item)| {
            format!(", queued by {}", self.task(item.queued_by))
        });
        phrase(StepKind::Working, format!("executes {name}{by}"), format!("run {name}"))
            .about(Details::Has(name))
    }
}
