//! The loop driver's ioctls as safe functions. No locks.
//!
//! Each call can wait for the filesystem under the backing file, `LOOP_GET_STATUS64` too.
//!
//! Written from docs/kernel/loop.md, "The control interface".
#![expect(unsafe_code, reason = "loop ioctls have no safe wrapper")]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use linux_raw_sys::loop_device as raw;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, Setter, Updater, ioctl};

/// The device unbinds itself at its last close.
pub(super) const AUTOCLEAR: u32 = raw::LO_FLAGS_AUTOCLEAR as u32;
/// The device bypasses the page cache of its backing file.
pub(super) const DIRECT_IO: u32 = raw::LO_FLAGS_DIRECT_IO as u32;

/// The number of a free device. Another process may take it before the call returns.
pub(super) fn free_number(control: BorrowedFd<'_>) -> io::Result<u32> {
    struct GetFree;
    // SAFETY: LOOP_CTL_GET_FREE takes no argument and returns a number; no memory is touched.
    unsafe impl Ioctl for GetFree {
        type Output = u32;
        const IS_MUTATING: bool = false;

        fn opcode(&self) -> Opcode {
            raw::LOOP_CTL_GET_FREE as Opcode
        }

        fn as_ptr(&mut self) -> *mut c_void {
            core::ptr::null_mut()
        }

        unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<u32> {
            u32::try_from(out).map_err(|_| rustix::io::Errno::NODEV)
        }
    }
    // SAFETY: as above.
    Ok(unsafe { ioctl(control, GetFree) }?)
}

fn empty_info() -> raw::loop_info64 {
    raw::loop_info64 {
        lo_device: 0,
        lo_inode: 0,
        lo_rdevice: 0,
        lo_offset: 0,
        lo_sizelimit: 0,
        lo_number: 0,
        lo_encrypt_type: 0,
        lo_encrypt_key_size: 0,
        lo_flags: 0,
        lo_file_name: [0; 64],
        lo_crypt_name: [0; 64],
        lo_encrypt_key: [0; 32],
        lo_init: [0; 2],
    }
}

/// Binds `device` to `backing` in one step.
pub(super) fn configure(
    device: BorrowedFd<'_>,
    backing: BorrowedFd<'_>,
    flags: u32,
    block_size: u32,
) -> io::Result<()> {
    let mut info = empty_info();
    info.lo_flags = flags;
    let fd = u32::try_from(backing.as_raw_fd()).expect("an open descriptor is not negative");
    let config = raw::loop_config { fd, block_size, info, __reserved: [0; 8] };
    // SAFETY: LOOP_CONFIGURE takes a pointer to a `loop_config`, which it only reads.
    Ok(unsafe { ioctl(device, Setter::<{ raw::LOOP_CONFIGURE as Opcode }, _>::new(config)) }?)
}

/// The backing file and the flags of a bound device.
pub(super) fn status(device: BorrowedFd<'_>) -> io::Result<raw::loop_info64> {
    let mut info = empty_info();
    // SAFETY: LOOP_GET_STATUS64 takes a pointer to a `loop_info64`, which it fills.
    let update = unsafe { Updater::<{ raw::LOOP_GET_STATUS64 as Opcode }, _>::new(&mut info) };
    // SAFETY: as above.
    unsafe { ioctl(device, update) }?;
    Ok(info)
}

/// Whether the device behind `device` is bound at all.
pub(super) fn is_bound(device: BorrowedFd<'_>) -> bool {
    !status(device).is_err_and(|error| error.raw_os_error() == Some(libc::ENXIO))
}

/// Makes the device as long as its backing file is now.
#[cfg(test)]
pub(super) fn take_size(device: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: LOOP_SET_CAPACITY takes no argument and touches no memory.
    let call = unsafe { rustix::ioctl::NoArg::<{ raw::LOOP_SET_CAPACITY as Opcode }>::new() };
    // SAFETY: as above.
    Ok(unsafe { ioctl(device, call) }?)
}
