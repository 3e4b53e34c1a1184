//! One finding in words.
//!
//! Key types: [`Finding`], [`Step`], [`Edge`]. The chain stays structured: a tool can follow it
//! without parsing a sentence.

use serde::{Deserialize, Serialize};

use crate::units::Nanos;
use crate::witness::Code;

/// Which of the two edges that people argue about closes the finding (the project's description of
/// reclaim, section 7.0).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Edge {
    /// The allocation edge: the recursion is by an allocation of the task, or of the server,
    /// itself. A scope on that task cuts it.
    E1,
    /// The wait edge: a reclaimer waits for a task that must enter what the reclaimer keeps. No
    /// scope on that other task cuts it.
    E2,
}

impl Edge {
    /// What the edge is, in one sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::E1 => {
                "allocation edge: an allocation of the task itself comes back; a scope on that task cuts it"
            }
            Self::E2 => {
                "wait edge: a reclaimer waits for a task that needs the layer; no scope on that task cuts it"
            }
        }
    }
}

/// One step of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Whose.
    pub task: String,
    /// What kind: `scope`, `layer`, `alloc`, `reclaim`, `count`, `scan`, `serving`, `working`,
    /// `holds`, `submitted`, `wait`, `running`, `misuse`, `broke`, `ordered`,
    /// `needs`.
    pub kind: String,
    /// The step in words.
    pub text: String,
    /// The same in a few words.
    pub short: String,
    /// The source line, `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What forbids the step, if it should not have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbidden_by: Option<String>,
    /// Of a step `needs`: the task that must act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Position in the world's history.
    pub seq: u64,
    /// When.
    pub time: Nanos,
}

/// A task and what it waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// Who waits.
    pub task: String,
    /// For what.
    pub resource: String,
}

/// What a task holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// Who.
    pub task: String,
    /// Its locks, in the order taken.
    pub locks: Vec<String>,
    /// Its scopes, outermost first.
    pub scopes: Vec<String>,
}

/// What more there is to say about an order that cannot be kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Which views have the cycle; where only the class view has it, why.
    pub views: String,
    /// Whether only the class view has it.
    pub class_only: bool,
    /// How many of its edges are claims.
    pub primed: usize,
    /// How many of its edges follow from what was declared of the stack.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub declared: usize,
    /// Round the cycle: what was held, and what was taken; the last one closes it.
    #[serde(default)]
    pub edges: Vec<Ordered>,
}

/// One edge of an order that cannot be kept: `takes` was asked for while `holds` was held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ordered {
    /// On which task, as [`Step::task`] calls it.
    pub task: String,
    /// How many runs ago; 0 for the run of the finding.
    pub runs_ago: u32,
    /// Position in the history of its own run.
    pub seq: u64,
    /// What was held.
    pub holds: String,
    /// Where that was taken, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds_site: Option<String>,
    /// What was taken.
    pub takes: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_site: Option<String>,
    /// What else the task held, in the order taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// Claimed beforehand, not seen to happen.
    pub primed: bool,
    /// It follows from what was declared of the stack, and was not seen to happen.
    #[serde(default, skip_serializing_if = "is_false")]
    pub declared: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Its code.
    pub code: Code,
    /// The code in words.
    pub title: String,
    /// What happened, in one sentence.
    pub headline: String,
    /// Position in the world's history at which it was found.
    pub seq: u64,
    /// When that was.
    pub time: Nanos,
    /// The tasks in it, in the order of the chain.
    pub tasks: Vec<String>,
    /// Every step of the way.
    pub chain: Vec<Step>,
    /// Which edge closes it, where reclaim is part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<Edge>,
    /// The cycle, or the path, in one line.
    pub summary: String,
    /// What each task waits for.
    pub waits: Vec<Link>,
    /// Round the cycle, who waits for what; empty where there is none.
    pub cycle: Vec<Link>,
    /// Tasks whose wait the world may break.
    pub breakable: Vec<String>,
    /// What each task holds.
    pub held: Vec<Held>,
    /// What its tasks hold and wait for, as RD03 calls it: `requests of loop0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// What more there is to say about a possible recursion (RD03).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

impl Finding {
    /// Whether this finding is part of what `other` already says: a carried recursion whose wait
    /// and whose tasks are in the cycle of a deadlock; a possible recursion through nothing but
    /// what the tasks of a deadlock or of a recursion hold and wait for; one that follows in part
    /// from what was declared, where another shows the same happening.
    #[must_use]
    pub fn is_covered_by(&self, other: &Self) -> bool {
        match (self.code, other.code) {
            (Code::RD02, Code::RD04) => {
                self.waits.first().is_some_and(|first| other.cycle.contains(first))
                    && self.tasks.iter().all(|task| other.tasks.contains(task))
            }
            (Code::RD03, Code::RD01 | Code::RD02 | Code::RD04) => {
                self.goes_through_no_more_than(other)
            }
            (Code::RD03, Code::RD03) => {
                self.is_declared() && !other.is_declared() && self.goes_through_no_more_than(other)
            }
            _ => false,
        }
    }

    fn goes_through_no_more_than(&self, other: &Self) -> bool {
        !self.nodes.is_empty() && self.nodes.iter().all(|node| other.nodes.contains(node))
    }

    fn is_declared(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.declared > 0)
    }
}
