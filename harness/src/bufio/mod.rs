//! dm-bufio: a cache of fixed-size blocks over one block device, with its own shrinker.
//!
//! Mirrors `drivers/md/dm-bufio.c` from 2014 to 6.12: index, lists, limits and the shrinker's form
//! come from the era's knobs. Written from the project's description of dm-bufio, sections
//! 1.1-1.11.
//!
//! | module | holds |
//! |---|---|
//! | [`options`] | [`ClientOptions`], [`Callback`]: how to make a client |
//! | [`global`] | [`Bufio`]: what the clients of a world share; knobs and accounts |
//! | [`client`], [`destroy`] | [`Client`]: its beginning and its end |
//! | [`buffer`] | [`Buffer`]: a held buffer |
//! | [`lookup`] | get, read, new, prefetch, forget |
//! | [`writeback`], [`relocate`] | writing, flushing, discarding; `release_move` |
//! | [`context`] | tasks that map a request, or may not sleep |
//! | `slot` in `slots` | one buffer's place: state bits, holds, contents |
//! | `cache` over `ring`; `index` over `table` and `trees` | lists and index, classic and modern |
//! | `evict` | which buffer goes |
//! | `alloc`, [`memory`] | memory for a new buffer, step by step; its modes |
//! | `io` | starting writes and reads, completion, waiting for a bit |
//! | [`sweep`] over `queue` | age-out, and the cleanup of all clients |
//! | [`shrinker`] | the shrinker's forms, one policy each |
//! | [`order`] | the order of the locks, as data |
//!
//! # A client in a world
//! ```
//! use std::sync::Arc;
//!
//! use reclaimdep::World;
//! use reclaimdep::block::MemoryDevice;
//! use reclaimdep::bufio::{Bufio, ClientOptions};
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
//! # Locking
//! [`order`] says which lock may be held while which is waited for. Below them: state bits (waits),
//! the device's queue, leaf locks (a slot's contents, lists of names). Waits with the client lock
//! held: a bit, in steal, eviction, `release_move`, the start of a write on top of one in flight,
//! the tail of write_dirty_buffers. Waits without it: a reader's own READING, a free buffer, an
//! allocation that may sleep (since 2016), the first pass of write_dirty_buffers.

mod alloc;
pub mod buffer;
mod cache;
pub mod client;
pub mod context;
pub mod destroy;
mod evict;
pub mod global;
mod index;
mod io;
pub mod lookup;
pub mod memory;
pub mod options;
pub mod order;
mod queue;
pub mod relocate;
mod ring;
pub mod shrinker;
mod slot;
mod slots;
pub mod sweep;
mod table;
mod trees;
pub mod writeback;

pub use buffer::Buffer;
pub use client::Client;
pub use context::{Atomic, InRequest};
pub use global::Bufio;
pub use memory::{Accounts, Mode};
pub use options::{Callback, ClientOptions, Contents, Parts};

#[cfg(test)]
mod tests;
