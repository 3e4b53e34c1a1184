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
//! # A client in a world
//! ```
//! use std::sync::Arc;
//!
//! use reclaimdep::World;
//! use reclaimdep::kernel::block::MemoryDevice;
//! use reclaimdep::kernel::bufio::{Bufio, ClientOptions};
//!
//! let report = World::builder().schedules(10).run(|world| {
//!     let device = Arc::new(MemoryDevice::new(world.sched(), "vda", 16 << 20));
//!     let bufio = Bufio::new(world.sched(), world.mm(), world.plan(), world.knobs(), None);
//!     let client = bufio.create(device, None, ClientOptions::default());
//!     let client = client.expect("the device has blocks of 4 KiB");
//!     let buffer = client.new_block(7).expect("it is on the device");
//!     buffer.with_data_mut(|data| data.fill(1));
//!     buffer.mark_dirty();
//!     drop(buffer);
//!     client.write_dirty_buffers().expect("the device is healthy");
//!     assert_eq!(client.read(7).expect("it is cached").with_data(|data| data[0]), 1);
//!     client.destroy().expect("nobody holds a buffer");
//! });
//! assert!(report.expect("the harness has no trouble").is_quiet());
//! ```
//!
//! Its device is any [`BlockDevice`](crate::block::BlockDevice); those on a real file and on a loop
//! device are `host::HostFile` and `host::HostLoop` (Linux, feature `loop`).
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
pub use lifecycle::Parts;
pub use memory::{Accounts, Mode};
pub use options::{Callback, ClientOptions, Contents};

#[cfg(test)]
mod tests;
