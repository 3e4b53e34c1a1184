//! One request, carried out on an open block device with `O_DIRECT`.
//!
//! Key types: [`transfer`], [`Bounce`]. A device thread has one bounce buffer for its life: nothing
//! is allocated while a request is served, because that allocation could come back here.

use std::os::fd::BorrowedFd;

use rustix::fs::fdatasync;

use crate::block::Bio;
use crate::error::Errno;
use crate::event::Op;

/// Bytes that one system call moves at most.
const BOUNCE: usize = 1 << 18;
/// What `O_DIRECT` asks of a buffer's address, on any device.
const ALIGN: usize = 4096;

/// Carries the request out, through a buffer that is aligned as `O_DIRECT` wants it.
pub(super) fn transfer(device: BorrowedFd<'_>, bio: &mut Bio, bounce: &mut [u8]) -> Result<(), Errno> {
    let mut offset = bio.sector().bytes();
    match bio.op() {
        Op::Flush => fdatasync(device).map_err(errno)?,
        Op::Discard => return Err(Errno::EOPNOTSUPP),
        Op::Read => {
            for chunk in bio.data_mut().chunks_mut(BOUNCE) {
                let bounce = &mut bounce[..chunk.len()];
                whole(rustix::io::pread(device, &mut *bounce, offset), chunk.len())?;
                chunk.copy_from_slice(bounce);
                offset += chunk.len() as u64;
            }
        }
        Op::Write => {
            for chunk in bio.data().chunks(BOUNCE) {
                let bounce = &mut bounce[..chunk.len()];
                bounce.copy_from_slice(chunk);
                whole(rustix::io::pwrite(device, bounce, offset), chunk.len())?;
                offset += chunk.len() as u64;
            }
        }
    }
    Ok(())
}

/// A block device moves all or fails; one that moves less has become shorter.
fn whole(moved: rustix::io::Result<usize>, wanted: usize) -> Result<(), Errno> {
    if moved.map_err(errno)? == wanted { Ok(()) } else { Err(Errno::EIO) }
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

/// Memory with an aligned part of [`BOUNCE`] bytes.
pub(super) struct Bounce(Vec<u8>);

impl Bounce {
    pub(super) fn new() -> Self {
        Self(vec![0; BOUNCE + ALIGN])
    }

    pub(super) fn buffer(&mut self) -> &mut [u8] {
        let start = self.0.as_ptr().align_offset(ALIGN);
        &mut self.0[start..start + BOUNCE]
    }
}
