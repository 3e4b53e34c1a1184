//! Scopes on a thread outside any world and on a task of a world.

mod across;
mod bracket;
mod legacy;
mod locks;
mod property;
mod scopes;
