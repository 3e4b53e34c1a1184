//! The case language: a reported deadlock as one file, without Rust.
//!
//! Key types: [`Case`], [`Script`], [`Options`]. Parts are what a stack has; steps are what a task
//! does. Tasks, servers, work items, scans and evictions are programs of the same steps.
//!
//! | module | holds |
//! |---|---|
//! | `script` | [`Case`], [`Script`]: a case as data, by variant |
//! | `run` | the run of a variant in a world; what a run without pressure predicts |
//! | `stage` | the parts of a script in a world |
//! | `act`, `port` | the interpreter of steps |
//! | `ledger` over `reach` | who must act, derived from what is left of each program |
//!
//! Locking: leaf locks.

mod act;
mod ledger;
mod port;
mod reach;
mod run;
mod script;
mod stage;

pub use run::Options;
pub use script::*;

#[cfg(test)]
mod tests;
