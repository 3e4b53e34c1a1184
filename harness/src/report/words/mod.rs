//! From a judge's numbers to words.
//!
//! Key functions: [`describe`], [`describe_stalls`], [`order_note`].
//!
//! | module | holds |
//! |---|---|
//! | `describe` | a finding, from its chain |
//! | `order` | a finding about order (RD03), from its cycle |
//! | `closing` | the edge that closes a finding, and what a scope would change |
//! | `stalls` | how long tasks waited |
//! | `steps` over `names` and `sites` | one step; what things are called; source lines |
//!
//! Each thing is called the same everywhere: the text of a resource is also its identity when
//! findings are compared.

mod closing;
mod describe;
mod names;
mod order;
mod sites;
mod stalls;
mod steps;

pub use describe::describe;
pub use order::order_note;
pub(crate) use sites::file_line;
pub use stalls::describe_stalls;
