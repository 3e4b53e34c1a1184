//! `DurableFile`: a file for whose bytes a test accounts across a crash.
//!
//! Key type: [`DurableFile`]. The test tells it each operation and each sync; after a crash it
//! compares the file that is there with every state since the last sync, and tells the judge of
//! lost data (RD13) which version that is. Its rules are those of a journalled filesystem:
//!
//! - After a crash the file is in one of the states since the last sync: its size, and whether it
//!   exists, are of one moment.
//! - A write that was not synced may be there in part: each byte that it covers is old or new,
//!   whatever else survived. A byte of it behind the old end of the file may also be zero.
//! - No other operation changes a byte early: a byte that a truncation or a removal took away is
//!   there as long as the file has the size from before.

use super::Durable;
use crate::sched::{Sched, SpinLock};

/// An operation on a file.
#[derive(Clone)]
enum FileOp {
    Create,
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
    Remove,
}

/// The values that a byte may have: a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Values([u64; 4]);

impl Values {
    fn only(value: u8) -> Self {
        let mut this = Self::default();
        this.permit(value);
        this
    }

    fn permit(&mut self, value: u8) {
        self.0[usize::from(value) / 64] |= 1 << (value % 64);
    }

    fn has(self, value: u8) -> bool {
        self.0[usize::from(value) / 64] & 1 << (value % 64) != 0
    }
}

/// What the file may be; `None` while it does not exist.
type FileState = Option<Vec<Values>>;

struct Ledger {
    /// The exact contents now.
    live: Option<Vec<u8>>,
    /// The contents at the last sync, or at the beginning.
    synced: Option<Vec<u8>>,
    /// The number of the version that was synced, from 1.
    version: u64,
    /// What was done since.
    ops: Vec<FileOp>,
}

/// A file of the code under test, as a crash may leave it. It does not exist at first.
#[derive(Debug)]
pub struct DurableFile {
    item: Durable,
    ledger: SpinLock<Ledger>,
}

impl DurableFile {
    pub(super) fn new(sched: &Sched, name: &str) -> Self {
        let ledger = Ledger { live: None, synced: None, version: 1, ops: Vec::new() };
        Self { item: Durable::new(sched, name), ledger: SpinLock::new(ledger) }
    }

    fn done(&self, op: FileOp) {
        let mut ledger = self.ledger.lock();
        let live = ledger.live.take();
        ledger.live = match &op {
            FileOp::Create => Some(live.unwrap_or_default()),
            FileOp::Remove => None,
            FileOp::Truncate(size) => live.map(|mut bytes| {
                bytes.resize(*size, 0);
                bytes
            }),
            FileOp::Write { offset, data } => live.map(|mut bytes| {
                bytes.resize(bytes.len().max(offset + data.len()), 0);
                bytes[*offset..][..data.len()].copy_from_slice(data);
                bytes
            }),
        };
        ledger.ops.push(op);
    }

    /// The file was made, empty.
    pub fn created(&self) {
        self.done(FileOp::Create);
    }

    /// `data` was written at byte `offset`. Writes to a file that does not exist are ignored.
    pub fn wrote(&self, offset: usize, data: &[u8]) {
        self.done(FileOp::Write { offset, data: data.to_vec() });
    }

    /// The size was set; where the file grew, it has zeroes.
    pub fn truncated(&self, size: usize) {
        self.done(FileOp::Truncate(size));
    }

    /// The file was removed.
    pub fn removed(&self) {
        self.done(FileOp::Remove);
    }

    /// A sync of the file was acknowledged: everything up to here is durable.
    #[track_caller]
    pub fn synced(&self) {
        let version = {
            let mut ledger = self.ledger.lock();
            ledger.version += ledger.ops.len() as u64;
            ledger.ops.clear();
            ledger.synced = ledger.live.clone();
            ledger.version
        };
        self.item.acknowledged(version);
    }

    /// After a crash, the file has these contents; `None` if there is no such file. Returns whether
    /// that is a state since the last sync; if it is not, that is a finding (RD13).
    pub fn found(&self, contents: Option<&[u8]>) -> bool {
        let version = self.ledger.lock().version_of(contents);
        self.item.recovered(version.unwrap_or(0));
        version.is_some()
    }
}

impl Ledger {
    /// The newest version since the last sync that the contents can be.
    fn version_of(&self, contents: Option<&[u8]>) -> Option<u64> {
        let exact = |bytes: &Vec<u8>| bytes.iter().map(|byte| Values::only(*byte)).collect();
        let mut state: FileState = self.synced.as_ref().map(exact);
        let mut newest = None;
        for (done, version) in (0..=self.ops.len()).zip(self.version..) {
            if fits(state.as_deref(), contents, &self.ops[done..]) {
                newest = Some(version);
            }
            if let Some(op) = self.ops.get(done) {
                state = after(state, op);
            }
        }
        newest
    }
}

/// The state after `op`, none of whose writes has to be there yet.
fn after(state: FileState, op: &FileOp) -> FileState {
    let mut bytes = match (op, state) {
        (FileOp::Remove, _) => return None,
        (FileOp::Create, state) => return Some(state.unwrap_or_default()),
        (_, None) => return None,
        (_, Some(bytes)) => bytes,
    };
    match op {
        FileOp::Truncate(size) => bytes.resize(*size, Values::only(0)),
        FileOp::Write { offset, data } => {
            let end = offset + data.len();
            bytes.resize(bytes.len().max(end), Values::only(0));
            for (byte, value) in bytes[*offset..end].iter_mut().zip(data) {
                byte.permit(*value);
            }
        }
        FileOp::Create | FileOp::Remove => {}
    }
    Some(bytes)
}

/// Whether the file can have these contents in this state, where `later` came after it.
fn fits(state: Option<&[Values]>, contents: Option<&[u8]>, later: &[FileOp]) -> bool {
    let (Some(state), Some(contents)) = (state, contents) else {
        return state.is_none() && contents.is_none();
    };
    state.len() == contents.len()
        && state
            .iter()
            .zip(contents)
            .enumerate()
            .all(|(at, (values, byte))| values.has(*byte) || is_written(later, at, *byte))
}

/// Whether one of these operations writes `value` at byte `at` of the same file.
fn is_written(ops: &[FileOp], at: usize, value: u8) -> bool {
    ops.iter().take_while(|op| !matches!(op, FileOp::Remove)).any(|op| match op {
        FileOp::Write { offset, data } => {
            at.checked_sub(*offset).and_then(|within| data.get(within)) == Some(&value)
        }
        _ => false,
    })
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("version", &self.version).finish_non_exhaustive()
    }
}
