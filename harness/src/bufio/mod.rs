//! dm-bufio: a cache of fixed-size blocks over one block device, with its own shrinker.
//!
//! Mirrors `drivers/md/dm-bufio.c` from 2014 to 6.12: index, lists, limits and the shrinker's form
//! come from the era's knobs. Written from docs/kernel/dm-bufio.md.
//!
//! Key types: [`Client`], [`Buffer`], [`Bufio`], [`ClientOptions`].
//!
//! Locking: clients' list > client lock > a tree of the index or the common queue; [`order`] has
//! the order of each generation as data.
//!
//! The files form floors; a file imports from its own floor and from lower ones, and a tidy test
//! (`tests/it/tidy/floors.rs`) holds the table.
//!
//! | floor | module | holds |
//! |---|---|---|
//! | data | `slot` in `slots` | one buffer's place: state bits, holds, contents |
//! | | `table`; `ring`, `lists` | from a block to a slot; the clean and the dirty list |
//! | | `memory` | the kinds of memory of a buffer, and their accounts |
//! | | `options`, [`order`] | [`ClientOptions`]; the order of the locks |
//! | parts | `queue`, `context`, `shared` | common queue; marks on tasks; state of all clients |
//! | | `allocator`, `waiters`, `pool` | the buffers of a client, their memory, the reserve |
//! | | `index`, `cache`, `choose` | index and lists under the client lock; which buffer goes |
//! | | `io` | requests, completion, waiting for a state bit |
//! | operations | `client`, `global`, `buffer` | [`Client`], [`Bufio`], [`Buffer`] |
//! | | `lookup`, `allocate`, `evict` | get, read, new, prefetch; a new buffer; letting one go |
//! | | `writeback`, `relocate` | writing, flushing, discarding; `release_move` |
//! | policies | [`shrinker`] | the historic forms of the shrinker |
//! | | `sweep` | age-out, and the cleanup of all clients |
//! | | `lifecycle` | making and ending a client |
//!
//! # Waiting with the client lock
//! Waits with the client lock held: for a bit, in steal, eviction, `release_move`, the start of a
//! write on top of one in flight, the tail of `write_dirty_buffers`. Waits without it: a reader's
//! own READING, a free buffer, an allocation that may sleep (since 2016), the first pass of
//! `write_dirty_buffers`.

mod allocate;
mod allocator;
mod buffer;
mod cache;
mod choose;
mod client;
mod context;
mod evict;
mod global;
mod index;
mod io;
mod lifecycle;
mod lists;
mod lookup;
mod memory;
mod options;
pub mod order;
mod pool;
mod queue;
mod relocate;
mod ring;
mod shared;
pub mod shrinker;
mod slot;
mod slots;
mod sweep;
mod table;
mod waiters;
mod writeback;

pub use buffer::Buffer;
pub use client::Client;
pub use context::{Atomic, InRequest};
pub use global::Bufio;
pub use lifecycle::ClientParts;
pub use memory::{Accounts, Mode};
pub use options::{Callback, ClientOptions, Contents};

#[cfg(test)]
mod tests;
