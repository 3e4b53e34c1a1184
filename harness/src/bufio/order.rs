//! The order of dm-bufio's locks in each generation, as data (docs/kernel/dm-bufio.md, "Lock
//! order").
//!
//! Key type: [`LockPair`]. The classes that the locks are made with are named here and nowhere
//! else; a test compares the orders that runs show with [`declared`].

use crate::era::BufioGeneration;

/// The list of clients (`dm_bufio_clients_lock`).
pub const CLIENTS: &str = "dm_bufio_clients_lock";
/// A client (`dm_bufio_client.lock`).
pub const CLIENT: &str = "dm_bufio_client";
/// A tree of the modern index.
pub const TREE: &str = "buffer_tree";
/// The order of all clients' buffers (`global_spinlock`).
pub const GLOBAL: &str = "global_spinlock";

/// Every class of lock that dm-bufio has.
pub const CLASSES: &[&str] = &[CLIENTS, CLIENT, TREE, GLOBAL];

/// A lock that may be held while another is waited for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LockPair {
    /// The class that is held.
    pub outer: &'static str,
    /// The class that the task waits for.
    pub inner: &'static str,
}

const fn held(outer: &'static str, inner: &'static str) -> LockPair {
    LockPair { outer, inner }
}

/// Every pair of locks of which one may be held while the other is waited for. Try-locks are not
/// among them, because they wait for nobody. In 2014 that is a client's lock below the list's
/// (age-out), and from 5.4 to 6.3 a client's below the global order's (replacement).
#[must_use]
pub const fn declared(generation: BufioGeneration) -> &'static [LockPair] {
    match generation {
        BufioGeneration::V2014 => V2014,
        BufioGeneration::V2018 => V2018,
        BufioGeneration::V5_4 => V5_4,
        BufioGeneration::V6_4 => V6_4,
    }
}

const V2014: &[LockPair] = &[held(CLIENT, CLIENTS)];
const V2018: &[LockPair] = &[held(CLIENTS, CLIENT)];
const V5_4: &[LockPair] = &[held(CLIENTS, CLIENT), held(CLIENTS, GLOBAL), held(CLIENT, GLOBAL)];
const V6_4: &[LockPair] = &[held(CLIENTS, CLIENT), held(CLIENT, TREE)];
