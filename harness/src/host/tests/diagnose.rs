//! Each requirement that is not met has a sentence of its own. The nodes are files of the tests.

use std::fs;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::host::diagnose::{Facts, Node, mount_refused, no_free_loop, not_configured};

const FREE: Facts = Facts { is_root: true, sys_admin: true, seccomp: false, user_namespace: false };

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

#[track_caller]
fn check(message: impl ToString, says: &[&str]) {
    let message = message.to_string();
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
    assert!(!message.contains("SYS_ADMIN") || says.iter().any(|part| part.contains("SYS_ADMIN")));
}

#[track_caller]
fn check_node(path: &Path, says: &[&str]) {
    check(Node::fuse().at(path).open().unwrap_err(), says);
}

#[test]
fn what_is_in_the_place_of_a_node_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "").unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let should = "not the character device 10:229; something is in its place: umount ";
    check_node(&at("file"), &["is a regular file, ", should, "mknod", "c 10 229"]);
    check_node(&at("socket"), &["is a socket, ", should]);
    check_node(folder.path(), &["is a folder, ", should]);
    check_node(Path::new("/dev/null"), &["is the character device 1:3, ", should]);
    check_node(&at("none"), &["there is no ", "modprobe fuse, or mknod", "--device"]);
    let disk = Node::loop_device(3).at(&at("file")).check().unwrap_err();
    check(disk, &["not the block device 7:3", "b 7 3"]);
    let null = Node::loop_control().at(Path::new("/dev/null")).check().unwrap_err();
    check(null, &["not the character device 10:237"]);
}

#[test]
fn a_node_that_does_not_open_says_why() {
    let refused = |number, facts| Node::fuse().refused(errno(number), facts);
    let user = Facts { is_root: false, sys_admin: false, ..FREE };
    check(refused(libc::EACCES, user), &["this user may not open /dev/fuse", "sudo"]);
    check(refused(libc::EACCES, FREE), &["root may not open", "nodev"]);
    check(refused(libc::EPERM, FREE), &["device list of this control group", "--device"]);
    let inner = Facts { user_namespace: true, ..FREE };
    check(refused(libc::EPERM, inner), &["root of a user namespace"]);
    check(refused(libc::ENODEV, FREE), &["no driver is behind /dev/fuse", "modprobe fuse"]);
    check(refused(libc::ENXIO, FREE), &["no driver is behind"]);
    check(refused(libc::EMFILE, FREE), &["cannot open", "ulimit -n"]);
    check(refused(libc::EIO, FREE), &["cannot open /dev/fuse: "]);
}

#[test]
fn a_mount_that_is_refused_says_why() {
    let refused = |number, facts| mount_refused("fuse", errno(number), facts);
    let bare = Facts { sys_admin: false, ..FREE };
    check(refused(libc::EPERM, bare), &["has no CAP_SYS_ADMIN", "--cap-add SYS_ADMIN"]);
    let filtered = Facts { seccomp: true, ..FREE };
    check(refused(libc::EPERM, filtered), &["seccomp filter", "fsopen"]);
    check(refused(libc::ENOSYS, filtered), &["no fsopen", "seccomp filter"]);
    check(refused(libc::ENOSYS, FREE), &["no fsopen", "Linux 5.2"]);
    check(refused(libc::EPERM, Facts { user_namespace: true, ..FREE }), &["user namespace"]);
    check(refused(libc::EPERM, FREE), &["security module"]);
    check(refused(libc::ENODEV, FREE), &["no filesystem fuse", "modprobe fuse"]);
    check(refused(libc::EMFILE, FREE), &["ulimit -n"]);
    check(refused(libc::ENOSPC, FREE), &["too many mounts", "mount-max"]);
    check(refused(libc::EIO, FREE), &["cannot mount fuse detached", "CAP_SYS_ADMIN"]);
}

#[test]
fn a_loop_device_that_cannot_be_had_says_why() {
    check(no_free_loop(errno(libc::ENOSPC)), &["every loop device is in use", "losetup -l"]);
    check(no_free_loop(errno(libc::ENODEV)), &["not there", "modprobe loop"]);
    check(no_free_loop(errno(libc::EPERM)), &["may not ask", "CAP_SYS_ADMIN"]);
    let device = Path::new("/dev/loop0");
    let refused = |number, facts| not_configured(device, errno(number), facts);
    check(refused(libc::EINVAL, FREE), &["cannot configure /dev/loop0", "Linux 5.8"]);
    check(refused(libc::EPERM, Facts { sys_admin: false, ..FREE }), &["CAP_SYS_ADMIN"]);
    check(refused(libc::EPERM, FREE), &["security module"]);
}
