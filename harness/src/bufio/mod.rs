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
//! | `lanes` | holds of hits where nobody observes |
//! | `cache` over `ring`; `index` over `table` and `trees` | lists and index, classic and modern |
//! | `flat` | the modern index where nobody observes |
//! | `evict` | which buffer goes |
//! | `alloc`, [`memory`] | memory for a new buffer, step by step; its modes |
//! | `io` over `copies` | starting writes and reads, completion, waiting for a bit; memory for what is written |
//! | [`sweep`] over `queue` | age-out, and the cleanup of all clients |
//! | [`shrinker`] | the shrinker's forms, one policy each |
//! | [`order`] | the order of the locks, as data |
//!
//! # As a cache of its own
//! What is written for a deadlock's sake is a buffer cache like another. In a world that nobody
//! observes its hits take no lock:
//!
//! ```
//! use std::sync::Arc;
//!
//! use reclaimdep::block::MemoryDevice;
//! use reclaimdep::bufio::{Client, ClientOptions, Parts};
//! use reclaimdep::era::Era;
//! use reclaimdep::inject::{Plan, PlanSpec};
//! use reclaimdep::mm::{Mm, MmOptions};
//! use reclaimdep::sched::Sched;
//! use reclaimdep::units::Pages;
//!
//! let sched = Sched::unobserved(1);
//! let ran = sched.run_main(|| {
//!     let plan = Plan::arm(&sched, PlanSpec::default()).expect("an empty plan");
//!     let mm = Mm::new(&sched, &MmOptions::new(Pages(1 << 14)), plan.clone()).expect("some memory");
//!     let device = Arc::new(MemoryDevice::new(&sched, "vda", 16 << 20));
//!     let knobs = Era::V6_12.knobs();
//!     let parts = Parts { sched: sched.clone(), mm, plan, knobs, device, node: None, cleaner: None };
//!     let client = Client::create(parts, ClientOptions::default()).expect("the device has blocks of 4 KiB");
//!     let buffer = client.new_block(7).expect("it is on the device");
//!     buffer.with_data_mut(|data| data.fill(1));
//!     buffer.mark_dirty();
//!     drop(buffer);
//!     client.write_dirty_buffers().expect("the device is healthy");
//!     assert_eq!(client.read(7).expect("it is cached").with_data(|data| data[0]), 1);
//!     client.destroy().expect("nobody holds a buffer");
//! });
//! assert!(ran.is_some(), "{:?}", sched.panic_message());
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
mod copies;
pub mod destroy;
mod evict;
mod flat;
pub mod global;
mod index;
mod io;
mod lanes;
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
