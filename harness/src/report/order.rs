//! Words for an order that cannot be kept (RD03).
//!
//! Key functions: [`describe`], [`note`]. A cycle has names of its own, because an edge may come
//! from another run than the finding. Written from the project's description of reclaim, 5.4 and
//! 5.7.

use super::finding::{Edge, Finding, Held, Order, Ordered, Step};
use super::words::{self, Phrase};
use crate::event::{Names, Resource};
use crate::witness::{
    self as judged, Code, Collision, Cycle, Declaration, FrameKind, Node, NodeKind, StallCause,
};

/// The thing itself, as other findings call it too.
fn name(node: &Node) -> String {
    let Node { kind, class, instance, .. } = node;
    match kind {
        NodeKind::Reclaim(level) => level.name().to_owned(),
        NodeKind::Lock => words::lock_name(class, instance),
        NodeKind::Requests => requests(instance),
        NodeKind::Work => work(instance),
        NodeKind::Pool => format!("an element of pool {instance}"),
        NodeKind::Condition => condition(instance),
        NodeKind::Exit => format!("the exit of {instance}"),
    }
}

fn short(node: &Node) -> &str {
    if node.kind == NodeKind::Lock { &node.class } else { &node.instance }
}

fn requests(queue: &str) -> String {
    format!("requests of {queue}")
}

fn work(queue: &str) -> String {
    format!("work of {queue}")
}

fn condition(name: &str) -> String {
    format!("condition {name}")
}

/// What tasks stood behind, as an order would call it.
pub(super) fn thing(thing: StallCause, names: &Names) -> String {
    match thing {
        StallCause::Lock(lock) => match names.lock(lock) {
            Some(name) => words::lock_name(name.class, &name.instance),
            None => format!("lock#{}", lock.0),
        },
        StallCause::Requests(queue) => requests(names.queue(queue)),
        StallCause::Work(queue) => work(names.queue(queue)),
        StallCause::Pool(pool) => format!("an element of pool {}", names.pool(pool)),
        StallCause::Condition(id) => condition(names.condition(id)),
        StallCause::Exit(task) => format!("the exit of {}", names.task(task)),
    }
}

/// What stands for all of its sort.
fn class(node: &Node) -> String {
    match node.kind {
        NodeKind::Lock => format!("lock class {}", node.class),
        NodeKind::Requests => format!("requests of class {}", node.class),
        NodeKind::Work => format!("work of class {}", node.class),
        NodeKind::Reclaim(_) | NodeKind::Pool | NodeKind::Condition | NodeKind::Exit => name(node),
    }
}

fn mode(shared: bool) -> &'static str {
    if shared { "shared" } else { "exclusive" }
}

fn held(edge: &judged::Edge) -> String {
    let node = name(&edge.from);
    match edge.from.kind {
        NodeKind::Lock => {
            let at = edge
                .from_site
                .map_or_else(String::new, |site| format!(" at {}", words::site(site)));
            format!("holds {node} ({}{at})", mode(edge.from_shared))
        }
        NodeKind::Reclaim(_) => format!("reclaims, which is {node},"),
        NodeKind::Requests => format!("serves {node}"),
        NodeKind::Work => format!("executes {node}"),
        NodeKind::Pool => format!("has {node}"),
        NodeKind::Condition => format!("promised {node}"),
        NodeKind::Exit => format!("has yet to come to {node}"),
    }
}

fn taken(edge: &judged::Edge) -> String {
    let node = name(&edge.to);
    match (edge.to.kind, edge.mask) {
        (NodeKind::Lock, _) => format!("takes {node} ({})", mode(edge.to_shared)),
        (NodeKind::Reclaim(_), Some(mask)) => format!("may need {node}: mask {mask}"),
        _ => format!("waits for {node}"),
    }
}

fn ago(edge: &judged::Edge) -> String {
    match edge.runs_ago {
        0 => String::new(),
        1 => " (the run before)".to_owned(),
        n => format!(" ({n} runs ago)"),
    }
}

fn task(edge: &judged::Edge) -> String {
    let name = if edge.task_name == "?" {
        format!("task#{}", edge.task.0)
    } else {
        edge.task_name.clone()
    };
    format!("{name}{}", ago(edge))
}

/// One edge of the cycle: what was held, and what was taken.
pub(super) fn phrase(finding: &judged::Finding, place: u32) -> Phrase {
    let edge = finding.order.as_ref().and_then(|cycle| cycle.edges.get(place as usize));
    edge.map_or_else(
        || Phrase { kind: "ordered", text: String::new(), short: String::new() },
        edge_phrase,
    )
}

fn edge_phrase(edge: &judged::Edge) -> Phrase {
    let primed = if edge.primed { " -- primed: claimed, not seen to happen" } else { "" };
    let text = match &edge.declared {
        Some(declaration) => {
            format!("{} -- declared, not seen to happen", declared(edge, declaration))
        }
        None => format!("{} and {}{primed}", held(edge), taken(edge)),
    };
    Phrase { kind: "ordered", text, short: format!("{} -> {}", short(&edge.from), short(&edge.to)) }
}

/// What an edge that was not seen would be, and what it follows from.
fn declared(edge: &judged::Edge, declaration: &Declaration) -> String {
    match declaration {
        Declaration::Waits { target, when, mask } => {
            let permission =
                when.permission().map_or_else(|| "any mask".to_owned(), |bit| bit.to_string());
            let waits = taken(edge);
            format!(
                "its reclaim may work on {target} with mask {mask}; that {waits} where it has {permission}"
            )
        }
        Declaration::Rests { part, on } => {
            format!("{} and {}: {part} rests on {on}", held(edge), taken(edge))
        }
    }
}

fn step(edge: &judged::Edge) -> Step {
    let Phrase { kind, text, short } = edge_phrase(edge);
    Step {
        task: task(edge),
        kind: kind.to_owned(),
        text,
        short,
        site: edge.site.map(words::site),
        forbidden_by: None,
        to: None,
        seq: edge.seq,
        time: edge.time,
    }
}

fn ordered(edge: &judged::Edge) -> Ordered {
    let beside = |node: &&Node| node.kind != NodeKind::Exit && **node != edge.from;
    Ordered {
        task: task(edge),
        runs_ago: edge.runs_ago,
        seq: edge.seq,
        holds: name(&edge.from),
        holds_site: edge.from_site.map(words::site),
        takes: name(&edge.to),
        takes_site: edge.site.map(words::site),
        beside: edge.held.iter().filter(beside).map(name).collect(),
        primed: edge.primed,
        declared: edge.declared.is_some(),
    }
}

/// Puts a finding about `cycle` into words.
pub(super) fn describe(finding: &judged::Finding, cycle: &Cycle) -> Finding {
    let mut tasks: Vec<String> = Vec::new();
    let mut has: Vec<Held> = Vec::new();
    for edge in &cycle.edges {
        let task = task(edge);
        if edge.declared.is_some() {
            continue;
        }
        let locks = edge.held.iter().filter(|node| node.kind != NodeKind::Exit).map(name);
        has.push(Held { task: task.clone(), locks: locks.collect(), scopes: Vec::new() });
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    Finding {
        code: finding.code,
        title: finding.code.title().to_owned(),
        headline: headline(cycle),
        seq: finding.seq,
        time: finding.time,
        tasks,
        chain: cycle.edges.iter().map(step).collect(),
        edge: edge(cycle),
        summary: summary(cycle),
        waits: Vec::new(),
        cycle: Vec::new(),
        breakable: Vec::new(),
        held: has,
        nodes: cycle
            .edges
            .iter()
            .filter(|edge| is_thing(&edge.from))
            .map(|edge| name(&edge.from))
            .collect(),
        order: Some(Order {
            views: views(cycle),
            class_only: cycle.class_only,
            primed: cycle.edges.iter().filter(|edge| edge.primed).count(),
            edges: cycle.edges.iter().map(ordered).collect(),
            declared: declared_edges(cycle),
        }),
    }
}

fn declared_edges(cycle: &Cycle) -> usize {
    cycle.edges.iter().filter(|edge| edge.declared.is_some()).count()
}

fn is_thing(node: &Node) -> bool {
    !matches!(node.kind, NodeKind::Reclaim(_))
}

fn headline(cycle: &Cycle) -> String {
    let Some(last) = cycle.edges.last() else {
        return String::new();
    };
    let primed = cycle.edges.iter().filter(|edge| edge.primed).count();
    let claimed = match (primed, declared_edges(cycle)) {
        (0, 0) => String::new(),
        (0, n) => format!(", as the stack was declared in {n} of {} steps", cycle.edges.len()),
        (n, _) => format!(", of which {n} of {} is primed: a claim", cycle.edges.len()),
    };
    let way = if cycle.edges.len() == 1 { "once more" } else { "against the order" };
    format!("{} {} and {}, {way}{claimed}", task(last), held(last), taken(last))
}

fn summary(cycle: &Cycle) -> String {
    let called = if cycle.class_only { class } else { name };
    let mut line: Vec<String> = cycle.edges.iter().map(|edge| called(&edge.from)).collect();
    line.extend(cycle.edges.first().map(|edge| called(&edge.from)));
    line.join(" -> ")
}

/// Which views have the cycle, and why the exact one has it not.
fn views(cycle: &Cycle) -> String {
    if declared_edges(cycle) > 0 {
        return "neither: the oracle followed what was declared of the stack".to_owned();
    }
    if !cycle.class_only {
        return "instances and classes alike".to_owned();
    }
    let why: Vec<String> = cycle.collisions.iter().map(collision).collect();
    match why.is_empty() {
        true => "classes only: nobody waits exclusively for these instances, but for others of their class"
            .to_owned(),
        false => format!("classes only: {}", why.join("; ")),
    }
}

fn collision(Collision { taken, held, depths }: &Collision) -> String {
    let (one, other, sort) = (name(taken), name(held), class(taken));
    let nth = |node: &Node| {
        if node.nth == 0 { String::new() } else { format!(" (number {})", node.nth + 1) }
    };
    let subclass =
        |node: &Node, depth: u32| format!("{}/{depth} for {}{}", node.class, name(node), nth(node));
    let below = depths.iter().filter(|(_, depth)| *depth > 0);
    let needed: Vec<String> = below.map(|(node, depth)| subclass(node, *depth)).collect();
    let needed = if needed.is_empty() { subclass(taken, 1) } else { needed.join(" and ") };
    format!(
        "{one}{} is taken, {other}{} is held, and {sort} stands for both; subclass {needed} would tell them apart",
        nth(taken),
        nth(held),
    )
}

/// A cycle that only the class view has, in one line.
#[must_use]
pub fn note(cycle: &Cycle) -> String {
    format!("possible recursion, {}: {}", views(cycle), summary(cycle))
}

/// E1 where a server, or a task on its own, leads to reclaim; E2 where reclaim waits for another
/// task that does not.
fn edge(cycle: &Cycle) -> Option<Edge> {
    let reclaim = |node: &Node| matches!(node.kind, NodeKind::Reclaim(_));
    let acts =
        |node: &Node| matches!(node.kind, NodeKind::Requests | NodeKind::Work | NodeKind::Exit);
    let any = |test: &dyn Fn(&judged::Edge) -> bool| cycle.edges.iter().any(test);
    let waits = any(&|edge| acts(&edge.to)) && !any(&|edge| acts(&edge.from) && reclaim(&edge.to));
    any(&|edge| reclaim(&edge.from)).then_some(if waits { Edge::E2 } else { Edge::E1 })
}

/// What the tasks of a deadlock or of a recursion hold and wait for, as an order would call it.
pub(super) fn things(words: &words::Words<'_>) -> Vec<String> {
    let finding = words.finding;
    let queue_of =
        |id| finding.requests.iter().find(|(known, _)| *known == id).map(|(_, facts)| facts.queue);
    let thing = |resource| match resource {
        Resource::Request(id) => queue_of(id).map(|queue| requests(words.names.queue(queue))),
        Resource::Work(id) => {
            let found = finding.works.iter().find(|(known, _)| *known == id);
            found.map(|(_, item)| work(words.names.queue(item.queue)))
        }
        Resource::Condition(id) => Some(condition(words.names.condition(id))),
        other => Some(words.resource(other)),
    };
    let step = |step: &judged::Step| match step.what {
        judged::StepKind::Holds { lock, .. } => thing(Resource::Lock(lock)),
        judged::StepKind::Wait { resource, .. } => thing(resource),
        judged::StepKind::Frame(FrameKind::Serving { request }) => {
            thing(Resource::Request(request))
        }
        judged::StepKind::Frame(FrameKind::Working { work }) => thing(Resource::Work(work)),
        _ => None,
    };
    match finding.code {
        Code::RD01 | Code::RD02 | Code::RD04 => finding.chain.iter().filter_map(step).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
