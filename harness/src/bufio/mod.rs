//! dm-bufio: a cache of fixed-size blocks over one block device, with its own shrinker.
//!
//! Mirrors `drivers/md/dm-bufio.c` in its classic form: one index and two LRU lists under the client
//! lock. What differs between kernels (who may wait in the shrinker, whether an allocation sleeps
//! under the lock) comes from the era's knobs. Written from the project's description of dm-bufio,
//! sections 1.1-1.8.
//!
//! | module | holds |
//! |---|---|
//! | [`client`] | [`Client`]: creation, knobs, destruction |
//! | [`buffer`] | [`Buffer`], the state bits and their invariants |
//! | [`lookup`] | get, read, new, and the holder's mark dirty |
//! | [`alloc`] | memory for a new buffer, step by step; the watermark |
//! | [`io`] | starting writes and reads, completion, waiting for a bit |
//! | [`writeback`] | writing dirty buffers, eviction |
//! | [`shrinker`] | the shrinker's forms, one policy each |
//!
//! # Locking
//! client lock > state bits (waits), the device's queue. Waits with the client lock held: a bit, in
//! steal, eviction and the tail of write_dirty_buffers. Waits without it: a reader's own READING, a
//! free buffer, the first pass of write_dirty_buffers.

pub mod alloc;
pub mod buffer;
pub mod client;
pub mod io;
pub mod lookup;
pub mod shrinker;
pub mod writeback;

pub use buffer::Buffer;
pub use client::{Client, ClientOptions};

#[cfg(test)]
mod tests;
