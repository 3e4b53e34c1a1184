//! Scopes on a thread of no world, and on a task of one.

mod across;
mod bracket;
mod legacy;
mod locks;
mod property;
mod scopes;
