//! An order that cannot be kept (RD03), in words.
//!
//! Key functions: [`describe`], [`order_note`]. A cycle has names of its own, because an edge may
//! come from another run than the finding. Written from docs/kernel/lockdep.md, "What a report
//! contains" and "False positives".

use super::closing;
use super::names::{
    condition_name, element_of, lock_name, mode_name, requests_of, task_name, work_of,
};
use super::sites::place;
use crate::event::Site;
use crate::report::facts::Origin;
use crate::report::finding::{ClosingEdge, Finding, Held};
use crate::report::order::{Order, OrderEdge};
use crate::report::step::{Details, Step, StepKind, exit_of};
use crate::witness::{self as judged, Collision, Cycle, Declaration, Node, NodeKind};

/// The node, under the name that other findings have for it too.
fn name(node: &Node) -> String {
    let Node { kind, class, instance, .. } = node;
    match kind {
        NodeKind::Reclaim(level) => level.name().to_owned(),
        NodeKind::Lock => lock_name(class, instance),
        NodeKind::Requests => requests_of(instance),
        NodeKind::Work => work_of(instance),
        NodeKind::WorkItem => format!("work item {instance}"),
        NodeKind::Pool => element_of(instance),
        NodeKind::Condition => condition_name(instance),
        NodeKind::Exit => exit_of(instance),
    }
}

fn short(node: &Node) -> &str {
    if node.kind == NodeKind::Lock { &node.class } else { &node.instance }
}

/// The name that stands for the whole class of the node.
fn class(node: &Node) -> String {
    match node.kind {
        NodeKind::Lock => format!("lock class {}", node.class),
        NodeKind::Requests => format!("requests of class {}", node.class),
        NodeKind::Work => format!("work of class {}", node.class),
        NodeKind::WorkItem => format!("work items of class {}", node.class),
        NodeKind::Reclaim(_) | NodeKind::Pool | NodeKind::Condition | NodeKind::Exit => name(node),
    }
}

fn held(edge: &judged::Edge) -> String {
    let node = name(&edge.from);
    match edge.from.kind {
        NodeKind::Lock => {
            format!("holds {node} ({}{})", mode_name(edge.from_shared), at(edge))
        }
        NodeKind::Reclaim(_) => format!("reclaims, which is {node},"),
        NodeKind::Requests => format!("serves {node}"),
        NodeKind::Work | NodeKind::WorkItem => format!("executes {node}"),
        NodeKind::Pool => format!("has {node}{}", at(edge)),
        NodeKind::Condition => format!("promised {node}{}", at(edge)),
        NodeKind::Exit => format!("has not reached {node}"),
    }
}

/// Where the task took what it holds, if that is known.
fn at(edge: &judged::Edge) -> String {
    known(edge.from_site).map_or_else(String::new, |place| format!(" at {place}"))
}

/// `file:line` of a site of the edge.
fn known(site: Option<Site>) -> Option<String> {
    site.and_then(place)
}

fn taken(edge: &judged::Edge) -> String {
    let node = name(&edge.to);
    match (edge.to.kind, edge.mask) {
        (NodeKind::Lock, _) => format!("takes {node} ({})", mode_name(edge.to_shared)),
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
    format!("{}{}", task_name(&edge.task_name, edge.task), ago(edge))
}

/// One edge of the cycle: what was held, and what was taken.
fn sentence(edge: &judged::Edge) -> String {
    match &edge.declared {
        Some(declaration) => {
            format!("{} -- declared, not seen to happen", declared(edge, declaration))
        }
        None => {
            let primed = if edge.primed { " -- primed: claimed, not seen to happen" } else { "" };
            format!("{} and {}{primed}", held(edge), taken(edge))
        }
    }
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
    Step {
        task: task(edge),
        kind: StepKind::Ordered,
        text: sentence(edge),
        short: format!("{} -> {}", short(&edge.from), short(&edge.to)),
        site: known(edge.site),
        forbidden_by: None,
        to: None,
        seq: edge.seq,
        time: edge.time,
        details: Details::None,
    }
}

fn ordered(edge: &judged::Edge) -> OrderEdge {
    let beside = |node: &&Node| node.kind != NodeKind::Exit && **node != edge.from;
    OrderEdge {
        task: task(edge),
        runs_ago: edge.runs_ago,
        seq: edge.seq,
        holds: name(&edge.from),
        holds_site: known(edge.from_site),
        takes: name(&edge.to),
        takes_site: known(edge.site),
        beside: edge.held.iter().filter(beside).map(name).collect(),
        primed: edge.primed,
        declared: edge.declared.is_some(),
    }
}

/// Puts `finding`, which is about `cycle`, into words.
pub(super) fn describe(finding: &judged::Finding, cycle: &Cycle) -> Finding {
    let mut tasks: Vec<String> = Vec::new();
    let mut has: Vec<Held> = Vec::new();
    for edge in &cycle.edges {
        let task = task(edge);
        if edge.declared.is_some() {
            continue;
        }
        has.push(all_held(task.clone(), &edge.held));
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    let edge = closing_edge(cycle);
    Finding {
        code: finding.code,
        title: finding.code.title().to_owned(),
        headline: headline(cycle),
        seq: finding.seq,
        time: finding.time,
        tasks,
        chain: cycle.edges.iter().map(step).collect(),
        edge,
        closing: closing::of_cycle(
            &cycle.edges,
            edge,
            task,
            |edge| acts(&edge.from),
            |edge| known(edge.site).unwrap_or_default(),
        ),
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
        elsewhere: None,
        part_of: None,
        origin: Origin::default(),
    }
}

/// Everything that the task of an edge held.
fn all_held(task: String, nodes: &[Node]) -> Held {
    let mut held = Held::nothing(task);
    for node in nodes {
        match node.kind {
            NodeKind::Exit => {}
            NodeKind::Pool => held.elements.push(name(node)),
            NodeKind::Condition => held.promises.push(name(node)),
            _ => held.locks.push(name(node)),
        }
    }
    held
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
    let all = cycle.edges.len();
    let claimed = match (primed, declared_edges(cycle)) {
        (0, 0) => String::new(),
        (0, 1) => format!("; 1 of its {all} edges follows from the declared stack"),
        (0, n) => format!("; {n} of its {all} edges follow from the declared stack"),
        (1, _) => format!("; 1 of its {all} edges is a claim (primed)"),
        (n, _) => format!("; {n} of its {all} edges are claims (primed)"),
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

/// Which views have the cycle, and why the instance view has not.
fn views(cycle: &Cycle) -> String {
    if declared_edges(cycle) > 0 {
        return "neither: the oracle followed what was declared of the stack".to_owned();
    }
    if !cycle.class_only {
        return "instances and classes alike".to_owned();
    }
    let why: Vec<String> = cycle.collisions.iter().map(collision).collect();
    match why.is_empty() {
        true => "classes only: tasks wait exclusively for other instances of these classes, \
                 not for these"
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
        "{one}{} is taken while {other}{} is held; the class view treats both as {sort}; \
         subclass {needed} would distinguish them",
        nth(taken),
        nth(held),
    )
}

/// Puts a cycle that only the class view has into one line.
#[must_use]
pub fn order_note(cycle: &Cycle) -> String {
    format!("possible recursion, {}: {}", views(cycle), summary(cycle))
}

/// Whether a task that must act has the node: it serves, works, or must exit.
const fn acts(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Requests | NodeKind::Work | NodeKind::WorkItem | NodeKind::Exit)
}

/// E1, the allocation edge, where a server, or a task on its own, leads to reclaim; E2, the wait
/// edge, where reclaim waits for another task that does not.
fn closing_edge(cycle: &Cycle) -> Option<ClosingEdge> {
    let reclaim = |node: &Node| matches!(node.kind, NodeKind::Reclaim(_));
    let any = |test: &dyn Fn(&judged::Edge) -> bool| cycle.edges.iter().any(test);
    let waits = any(&|edge| acts(&edge.to)) && !any(&|edge| acts(&edge.from) && reclaim(&edge.to));
    any(&|edge| reclaim(&edge.from)).then_some(if waits {
        ClosingEdge::E2
    } else {
        ClosingEdge::E1
    })
}

#[cfg(test)]
mod tests;
