//! RD03 (oracle): what an allocation could come to, as the stack was declared.
//!
//! For each allocation: what reclaim may work on under its effective mask, closed over "progress
//! depends on", must need nothing that the allocating task holds, nor a task that waits for it. No
//! reclaim has to run and no memory to be short: one allocation inside a transaction is enough. It
//! believes what was declared ([`crate::event::Fact`]), and knows nothing of what was not.
//!
//! | module | holds |
//! |---|---|
//! | [`judge`] | [`Oracle`]: the judge, allocation by allocation |
//! | `stack` | the declared stack; what work on a part may wait for |
//! | `holdings` | what the allocating task and those who wait for it hold |
//! | `cycle` | the cycle that a finding tells |
//! | [`pairs`] | [`Pairs`]: what the policy permits and what is safe, counted |
//!
//! Neighbours: [`super::panel`] shows it every event; its cycles are those of [`super::order`],
//! with edges that are declared. Written from the project's description of storage, 3.3, and of
//! reclaim, 5.8 and 9 (20). No locks.

mod cycle;
mod holdings;
mod pairs;
mod rd03_oracle;
mod stack;

pub use pairs::Pairs;
pub(super) use rd03_oracle::Oracle;

#[cfg(test)]
mod tests;
