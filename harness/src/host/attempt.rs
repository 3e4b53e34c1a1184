//! The attempt behind each capability of [`super::probe`]. Each removes what it made before it
//! returns.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::diagnose::{Facts, mount_refused, no_free_loop};
use super::fuse_mount::{mount_detached, open_device};
use super::leaks::controls_memory;
use super::loop_dev::{LoopHandle, LoopOptions, open_control};
use super::loop_ioctl::free_number;
use crate::error::{Error, Result};

pub(super) fn root() -> Result<()> {
    let user = rustix::process::geteuid();
    if user.is_root() {
        Ok(())
    } else {
        Err(Error::environment(format!("runs as user {}", user.as_raw())))
    }
}

pub(super) fn loop_control() -> Result<()> {
    let control = open_control()?;
    free_number(control.as_fd()).map(drop).map_err(no_free_loop)
}

pub(super) fn loop_configure() -> Result<()> {
    let memory = || -> rustix::io::Result<OwnedFd> {
        let file = memfd_create("reclaimdep-probe", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&file, 1 << 16)?;
        Ok(file)
    };
    let file = memory()
        .map_err(|error| Error::environment("no file in memory can be made").because(error))?;
    LoopHandle::attach(file.as_fd(), LoopOptions { direct_io: false, block_size: 0 })?.detach()
}

pub(super) fn fuse() -> Result<()> {
    open_device().map(drop)
}

pub(super) fn mount_api() -> Result<()> {
    let device = open_device()?;
    let mount = mount_detached(device.as_fd(), "reclaimdep-probe")?;
    // No server answers this mount. The connection is closed first, so that the unmount does not
    // wait for an answer.
    drop(device);
    drop(mount);
    Ok(())
}

pub(super) fn e2fsprogs() -> Result<()> {
    program("mkfs.ext4")
}

pub(super) fn veritysetup() -> Result<()> {
    program("veritysetup")
}

fn program(name: &str) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/sbin", "/usr/sbin"].map(Into::into);
    let found = std::env::split_paths(&path).chain(system).any(|dir| dir.join(name).is_file());
    if found { Ok(()) } else { Err(Error::environment(format!("{name} is not in PATH"))) }
}

fn cgroup_at(kind: &str, controls: impl Fn(&Path) -> bool) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let of_kind = mounts.lines().filter_map(|line| {
        let (place, what) = line.split_once(" - ")?;
        what.starts_with(&format!("{kind} ")).then(|| place.split(' ').nth(4))?
    });
    let places: Vec<_> = of_kind.collect();
    if places.iter().copied().map(Path::new).any(controls) {
        return Ok(());
    }
    Err(match places.first() {
        None => Error::environment(format!("no {kind} hierarchy is mounted")),
        Some(place) => {
            let what = format!("the {kind} hierarchy at {place} does not control memory");
            Error::environment(what)
                .advice("boot without cgroup_disable=memory; v1 or v2 is enough")
        }
    })
}

pub(super) fn memcg_v1() -> Result<()> {
    cgroup_at("cgroup", |at| at.join("memory.limit_in_bytes").exists())
}

pub(super) fn memcg_v2() -> Result<()> {
    cgroup_at("cgroup2", controls_memory)
}

pub(super) fn tracefs() -> Result<()> {
    let mount = || -> rustix::io::Result<OwnedFd> {
        let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    };
    let root = mount().map_err(|error| match error {
        rustix::io::Errno::NODEV => Error::environment("the kernel has no tracefs")
            .because(error)
            .advice("it needs CONFIG_TRACING"),
        error => mount_refused("tracefs", error.into(), Facts::here()),
    })?;
    let (exists, flags) = (rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty());
    rustix::fs::accessat(&root, "events/vmscan", exists, flags).map_err(|error| {
        Error::environment("tracefs has no events of vmscan")
            .because(error)
            .advice("it needs CONFIG_FTRACE and CONFIG_EVENT_TRACING")
    })
}
