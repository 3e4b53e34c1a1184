//! What the tests stand on: a filesystem with one file, and a world with a real loop device on it.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    WriteFlags,
};

use crate::Tier;
use crate::event::{Event, Names, Observer, Reaction};
use crate::host::{Backing, FuseMount, HostLoop, IoEngine, IoOptions, LoopOptions, probe};
use crate::sched::{Sched, SpinLock};
use crate::units::Sectors;
use crate::variables::RequiredTiers;

/// Bytes of the file.
pub(super) const BYTES: u64 = 1 << 20;
const TTL: Duration = Duration::ZERO;
const FILE: INodeNo = INodeNo(2);

/// What a write meets before it is carried out: offset and length.
pub(super) type OnWrite = Box<dyn Fn(u64, u64) -> Result<(), Errno> + Send + Sync>;

/// A filesystem with one file of [`BYTES`] bytes.
pub(super) struct OneFile {
    name: String,
    pub(super) data: Arc<SpinLock<Vec<u8>>>,
    on_write: OnWrite,
}

impl OneFile {
    pub(super) fn new(name: &str, on_write: OnWrite) -> Self {
        let bytes = usize::try_from(BYTES).expect("a small file");
        Self { name: name.to_owned(), data: Arc::new(SpinLock::new(vec![0; bytes])), on_write }
    }
}

fn attr(ino: INodeNo) -> FileAttr {
    let time = SystemTime::UNIX_EPOCH;
    let (kind, size) =
        if ino == FILE { (FileType::RegularFile, BYTES) } else { (FileType::Directory, 0) };
    FileAttr {
        ino,
        size,
        blocks: size / 512,
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm: 0o700,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn extent(offset: u64, length: u64) -> std::ops::Range<usize> {
    let end = (offset + length).min(BYTES);
    usize::try_from(offset.min(end)).expect("a small file")
        ..usize::try_from(end).expect("a small file")
}

impl Filesystem for OneFile {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == OsStr::new(&self.name) {
            reply.entry(&TTL, &attr(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attr(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        reply.data(&self.data.lock()[extent(offset, size.into())]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match (self.on_write)(offset, data.len() as u64) {
            Ok(()) => {
                self.data.lock()[extent(offset, data.len() as u64)].copy_from_slice(data);
                reply.written(u32::try_from(data.len()).expect("a request is small"));
            }
            Err(error) => reply.error(error),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}

/// Keeps every event.
#[derive(Clone, Default)]
pub(super) struct Recorder(pub(super) Arc<SpinLock<Vec<Event>>>);

impl Observer for Recorder {
    fn observe(&mut self, event: &Event, _: &Names) -> Reaction {
        self.0.lock().push(*event);
        Reaction::Go
    }
}

/// Whether the machine has what the loop tier needs; says so where it has not.
pub(super) fn ready() -> bool {
    let Err(missing) = probe::loop_tier() else {
        return true;
    };
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let missing = missing.join("; ");
    let required = RequiredTiers::from_env().expect("it names tiers");
    assert!(
        !required.contains(Tier::Loop),
        "the loop tier is required and this machine lacks {missing}"
    );
    drop(writeln!(std::io::stderr(), "SKIPPED: the loop tier lacks {missing}"));
    false
}

/// A file name that no other test has, by which its loop device is known.
pub(super) fn unique(what: &str) -> String {
    format!("reclaimdep-{}-{what}", std::process::id())
}

/// The engines that this machine has, each with so many requests in flight.
pub(super) fn engines(in_flight: usize) -> Vec<IoOptions> {
    let uring = probe::probe(probe::Capability::IoUring);
    if let Err(missing) = &uring {
        drop(writeln!(std::io::stderr(), "SKIPPED: io_uring: {missing}"));
    }
    let engines = uring.is_ok().then_some(IoEngine::Uring).into_iter().chain([IoEngine::Threads]);
    engines.map(|engine| IoOptions { engine: Some(engine), in_flight }).collect()
}

/// A loop device on `file` of the mount, whole.
pub(super) fn attach(sched: &Sched, mount: &FuseMount, file: &str) -> HostLoop {
    attach_with(sched, mount, file, IoOptions::default())
}

/// The same, served as `io` says.
pub(super) fn attach_with(sched: &Sched, mount: &FuseMount, file: &str, io: IoOptions) -> HostLoop {
    let backing = Backing::On { mount: mount.as_fd(), file };
    let sectors = Sectors::from_bytes(BYTES);
    HostLoop::attach(sched, "loop0", backing, sectors, LoopOptions::default(), io)
        .expect("the device attaches")
}

/// Runs `body` as the main task of a native world.
pub(super) fn world<T>(observer: Recorder, body: impl FnOnce(&Sched) -> T) -> T {
    let sched = Sched::native(1, Box::new(observer));
    let outcome = sched.run_main(|| body(&sched));
    outcome.unwrap_or_else(|| panic!("the world ended early: {:?}", sched.panic_message()))
}
