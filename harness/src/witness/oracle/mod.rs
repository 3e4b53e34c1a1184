//! RD03 (oracle): what an allocation could lead to, as the stack was declared.
//!
//! For each allocation, the oracle takes what reclaim may work on under the effective mask, and
//! follows "its progress depends on". The result must contain nothing that the allocating task
//! holds, nor anything that a task that waits for it holds. Reclaim does not have to run, and
//! memory does not have to be short: one allocation inside a transaction is enough. The oracle
//! relies on what was declared ([`crate::event::Fact`]), and knows nothing else.
//!
//! | module | holds |
//! |---|---|
//! | `rd03_oracle` | [`Oracle`]: the judge, allocation by allocation |
//! | `stack` | the declared stack; what work on a part may wait for |
//! | `holdings` | what the allocating task and the tasks that wait for it hold |
//! | `cycle` | the cycle that a finding describes |
//! | `pairs` | [`Pairs`]: what the policy permits and what is safe, counted |
//!
//! Neighbours: `judges` registers the judge; its cycles are those of `order`, with edges that are
//! declared. Written from docs/kernel/filesystem.md, "Blocking points", docs/kernel/lockdep.md,
//! "What the annotation cannot see", and docs/kernel/rules.md, "Invariants" (invariant 20). No
//! locks.

mod cycle;
mod holdings;
mod pairs;
mod rd03_oracle;
mod stack;

pub use pairs::Pairs;
pub(super) use rd03_oracle::Oracle;

#[cfg(test)]
mod tests;
