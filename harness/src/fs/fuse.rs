//! The filesystem, served to the real kernel through FUSE.
//!
//! Key types: [`FuseFs`], [`ServeHook`]. Each operation is one call of [`Fs`]; errors go back by
//! number. A thread of the FUSE session becomes a task of the world with its first request. Before
//! a thread serves a data request, it calls the hook, so that the world can join the request with
//! the one above it.
//!
//! Owner, permissions and times cannot be set (`EOPNOTSUPP`). Directories, links, extended
//! attributes and preallocation are not there (`ENOSYS`, `EPERM`). A new file gets [`FILE_MODE`].
//!
//! Locking: the leaf lock of the open files; else as [`Fs`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::file::File;
use super::inode::{FileKind, Ino, Stat};
use super::mount::Fs;
use crate::error::Errno;
use crate::event::Op;
use crate::sched::{Adopted, Sched, SpinLock};

/// How long the kernel may cache names and attributes: 0, so that it always asks.
const TTL: Duration = Duration::ZERO;
/// Bytes of a filesystem block.
const BLOCK: u32 = 4096;

/// The permissions of every file: the disk format has no field for them.
const FILE_MODE: u16 = 0o600;

/// Is called with each data request before it is served.
pub trait ServeHook: Send + Sync {
    /// A thread is about to serve `op` on these bytes of a file. The returned value is dropped
    /// after the operation and before the reply.
    fn serve(&self, op: Op, ino: Ino, offset: u64, len: u64) -> Box<dyn Send>;
}

/// A filesystem behind the FUSE protocol.
pub struct FuseFs {
    fs: Fs,
    hook: Arc<dyn ServeHook>,
    open: SpinLock<BTreeMap<u64, File>>,
    next_handle: AtomicU64,
    threads: AtomicU32,
}

impl core::fmt::Debug for FuseFs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FuseFs").field("fs", &self.fs).finish_non_exhaustive()
    }
}

thread_local! {
    /// Set with the thread's first request; a session's threads serve one filesystem for life.
    static TASK: RefCell<Option<Adopted>> = const { RefCell::new(None) };
}

impl FuseFs {
    /// Serves `fs` and calls `hook` with each data request.
    #[must_use]
    pub fn new(fs: Fs, hook: Arc<dyn ServeHook>) -> Self {
        Self {
            fs,
            hook,
            open: SpinLock::default(),
            next_handle: AtomicU64::new(1),
            threads: AtomicU32::new(0),
        }
    }

    /// Makes this thread a task of the world, unless it is one.
    fn task(&self) {
        TASK.with_borrow_mut(|task| {
            if task.is_none() {
                let thread = self.threads.fetch_add(1, Ordering::Relaxed);
                *task = Some(self.sched().adopt(&format!("fuse/{thread}")));
            }
        });
    }

    /// Runs an operation as a task of the world. An unwind (the world is aborted, or the filesystem
    /// panicked) becomes EIO here: if the session lost a thread, the kernel would wait for ever.
    fn serve<T>(&self, operation: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        self.task();
        let _serving = self.sched().serving();
        catch_unwind(AssertUnwindSafe(operation)).unwrap_or_else(|_| {
            self.sched().abort();
            Err(Errno::EIO)
        })
    }

    fn sched(&self) -> &Sched {
        &self.fs.0.sched
    }

    fn keep_open(&self, file: File) -> FileHandle {
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(handle, file);
        FileHandle(handle)
    }

    fn find(&self, parent: INodeNo, name: &OsStr) -> Result<Ino, Errno> {
        self.fs.lookup(&in_root(parent, name)?)
    }

    fn attr(&self, ino: Ino) -> Result<FileAttr, Errno> {
        self.fs.stat(ino).map(|stat| attr_of(&stat))
    }
}

/// The name as text. There is one directory, so `parent` must be the root.
fn in_root(parent: INodeNo, name: &OsStr) -> Result<String, Errno> {
    if parent != INodeNo::ROOT {
        return Err(Errno::ENOTDIR);
    }
    name.to_str().map(str::to_owned).ok_or(Errno::EINVAL)
}

fn ino_of(ino: INodeNo) -> Result<Ino, Errno> {
    u32::try_from(ino.0).map(Ino).map_err(|_| Errno::ENOENT)
}

fn attr_of(stat: &Stat) -> FileAttr {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(stat.mtime.0);
    let (kind, perm) = match stat.kind {
        FileKind::File => (FileType::RegularFile, FILE_MODE),
        FileKind::Directory => (FileType::Directory, 0o700),
    };
    FileAttr {
        ino: INodeNo(u64::from(stat.ino.0)),
        size: stat.size,
        blocks: u64::from(stat.blocks) * u64::from(BLOCK) / 512,
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm,
        nlink: u32::from(stat.nlink),
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

fn fuse_error(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.raw())
}

macro_rules! reply {
    ($reply:expr, $result:expr, $ok:expr) => {
        match $result {
            Ok(value) => $ok($reply, value),
            Err(errno) => $reply.error(fuse_error(errno)),
        }
    };
}

impl Filesystem for FuseFs {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.serve(|| self.attr(self.find(parent, name)?));
        reply!(reply, found, |reply: ReplyEntry, attr| reply.entry(&TTL, &attr, Generation(0)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let attr = self.serve(|| self.attr(ino_of(ino)?));
        reply!(reply, attr, |reply: ReplyAttr, attr| reply.attr(&TTL, &attr));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        crtime: Option<SystemTime>,
        chgtime: Option<SystemTime>,
        bkuptime: Option<SystemTime>,
        flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let times = atime.is_some() || mtime.is_some();
        let others = [ctime, crtime, chgtime, bkuptime].iter().any(Option::is_some);
        let set = || {
            let ino = ino_of(ino)?;
            // Checked first, so that the request changes everything or nothing.
            let now = self.attr(ino)?;
            let kept = mode.is_none_or(|mode| mode & 0o7777 == u32::from(now.perm))
                && uid.is_none_or(|uid| uid == now.uid)
                && gid.is_none_or(|gid| gid == now.gid);
            if !kept || times || others || flags.is_some() {
                return Err(Errno::EOPNOTSUPP);
            }
            size.map_or(Ok(()), |size| self.fs.truncate(ino, size))?;
            self.attr(ino)
        };
        reply!(reply, self.serve(set), |reply: ReplyAttr, attr| reply.attr(&TTL, &attr));
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.serve(|| {
            let ino = ino_of(ino)?;
            self.fs.open_as(ino, &format!("inode {}", ino.0))
        });
        // No page cache above: writes of the loop driver reach the filesystem unchanged.
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES;
        reply!(reply, opened, |reply: ReplyOpen, file| reply.opened(self.keep_open(file), flags));
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = || {
            let ino = ino_of(ino)?;
            let _serving = self.hook.serve(Op::Read, ino, offset, u64::from(size));
            let mut data = vec![0; size as usize];
            let count = self.fs.read(ino, offset, &mut data)?;
            data.truncate(count);
            Ok(data)
        };
        reply!(reply, self.serve(read), |reply: ReplyData, data: Vec<u8>| reply.data(&data));
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let write = || {
            let ino = ino_of(ino)?;
            let _serving = self.hook.serve(Op::Write, ino, offset, data.len() as u64);
            self.fs.write(ino, offset, data)?;
            // O_SYNC contains the bit of O_DSYNC. The kernel leaves both to the server.
            if flags.0 & libc::O_DSYNC != 0 {
                self.fs.fsync(ino)?;
            }
            u32::try_from(data.len()).map_err(|_| Errno::EFBIG)
        };
        reply!(reply, self.serve(write), |reply: ReplyWrite, count| reply.written(count));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.task();
        let file = self.open.lock().remove(&handle.0);
        drop(file);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let sync = || {
            let ino = ino_of(ino)?;
            let _serving = self.hook.serve(Op::Flush, ino, 0, 0);
            self.fs.fsync(ino)
        };
        reply!(reply, self.serve(sync), |reply: ReplyEmpty, ()| reply.ok());
    }

    /// Without this the kernel would say that a sync of the directory succeeded.
    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply!(reply, self.serve(|| self.fs.fsync(Ino::ROOT)), |reply: ReplyEmpty, ()| reply.ok());
    }

    fn access(&self, _: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        match self.serve(|| Ok(self.fs.stat(ino_of(ino)?)?.kind)) {
            Ok(FileKind::File) if mask.contains(AccessFlags::X_OK) => {
                reply.error(fuser::Errno::EACCES);
            }
            Ok(_) => reply.ok(),
            Err(errno) => reply.error(fuse_error(errno)),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let create = || {
            let name = in_root(parent, name)?;
            let ino = self.fs.create(&name)?;
            Ok((self.attr(ino)?, self.fs.open_as(ino, &name)?))
        };
        reply!(reply, self.serve(create), |reply: ReplyCreate, (attr, file)| {
            reply.created(
                &TTL,
                &attr,
                Generation(0),
                self.keep_open(file),
                FopenFlags::FOPEN_DIRECT_IO,
            );
        });
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let unlinked = self.serve(|| self.fs.unlink(&in_root(parent, name)?));
        reply!(reply, unlinked, |reply: ReplyEmpty, ()| reply.ok());
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let root = ino == INodeNo::ROOT;
        let entries = self.serve(|| if root { self.fs.readdir() } else { Err(Errno::ENOTDIR) });
        match entries {
            Ok(entries) => {
                let dots =
                    [".", ".."].map(|name| (Ino::ROOT, FileType::Directory, name.to_owned()));
                let files =
                    entries.into_iter().map(|entry| (entry.ino, FileType::RegularFile, entry.name));
                let all = dots.into_iter().chain(files).zip(1..);
                for ((ino, kind, name), next) in all.filter(|(_, next)| *next > offset) {
                    if reply.add(INodeNo(u64::from(ino.0)), next, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(errno) => reply.error(fuse_error(errno)),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply!(
            reply,
            self.serve(|| self.fs.statfs()),
            |reply: ReplyStatfs, stat: super::Statfs| {
                let free = u64::from(stat.free_blocks);
                let files = (u64::from(stat.inodes), u64::from(stat.free_inodes));
                let name_max = u32::try_from(super::MAX_NAME).unwrap_or(u32::MAX);
                reply.statfs(
                    u64::from(stat.blocks),
                    free,
                    free,
                    files.0,
                    files.1,
                    BLOCK,
                    name_max,
                    BLOCK,
                );
            }
        );
    }
}
