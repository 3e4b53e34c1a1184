//! What a finding about order (RD03) says beyond its chain.
//!
//! Key types: [`Order`], [`OrderEdge`].

use serde::{Deserialize, Serialize};

/// A cycle in the order in which things are taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
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
    pub edges: Vec<OrderEdge>,
}

/// One edge of the cycle: `takes` was asked for while `holds` was held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OrderEdge {
    /// The task, under the name that [`Step::task`](super::Step::task) has for it.
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
    /// Where it was taken, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_site: Option<String>,
    /// What else the task held, in the order taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// Whether the edge was claimed beforehand and not seen to happen.
    pub primed: bool,
    /// Whether the edge follows from what was declared of the stack and was not seen to happen.
    #[serde(default, skip_serializing_if = "is_false")]
    pub declared: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
