//! Compares our loop code with another library: each attaches and detaches a device, and each must
//! report of the other's device what the kernel reports.

use std::os::fd::AsFd as _;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use loopdev::{LoopControl, LoopDevice};
use reclaimdep::kernel::host::{LoopHandle, LoopOptions, Snapshot};
use serial_test::file_serial;
use tempfile::NamedTempFile;

/// The number of attempts to attach when another process takes the same free device first.
const MAX_ATTEMPTS: u32 = 64;
/// Bytes of the file below the device.
const BYTES: u64 = 1 << 20;

/// Every test of this module.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        crate::trial("second_opinion::we_see_what_it_attached", we_see_what_it_attached),
        crate::trial("second_opinion::it_sees_what_we_attached", it_sees_what_we_attached),
    ]
}

fn backing() -> std::io::Result<NamedTempFile> {
    let file = NamedTempFile::new()?;
    file.as_file().set_len(BYTES)?;
    Ok(file)
}

/// In that library, finding a free device and attaching to it are two calls, so another process can
/// take the device in between.
fn attach_theirs(file: &Path) -> Result<LoopDevice, Failed> {
    let control = LoopControl::open()?;
    for _ in 0..MAX_ATTEMPTS {
        let device = control.next_free()?;
        if device.attach_file(file).is_ok() {
            return Ok(device);
        }
    }
    Err(format!("no device was free in {MAX_ATTEMPTS} attempts").into())
}

/// What our snapshot lists about the device on `file`.
fn our_listing(file: &Path) -> Vec<String> {
    let all = Snapshot::default().diff(&Snapshot::take());
    let file = file.to_string_lossy();
    all.iter().map(ToString::to_string).filter(|line| line.contains(&*file)).collect()
}

// All processes share the list of free devices, and the other library fails if two ask at once.
#[file_serial(loop_control)]
fn we_see_what_it_attached() -> Result<(), Failed> {
    let file = backing()?;
    let device = attach_theirs(file.path())?;
    let seen = our_listing(file.path());
    device.detach()?;
    drop(device);
    let after = our_listing(file.path());
    if seen.len() != 1 || !after.is_empty() {
        return Err(
            format!("we saw {seen:?} while it was attached, and {after:?} afterwards").into()
        );
    }
    Ok(())
}

#[file_serial(loop_control)]
fn it_sees_what_we_attached() -> Result<(), Failed> {
    let file = backing()?;
    let ours = LoopHandle::attach(file.as_file().as_fd(), LoopOptions::default())?;
    let theirs = LoopDevice::open(ours.path())?;
    let minor = theirs.minor()?;
    let seen = our_listing(file.path());
    drop(theirs);
    if minor != ours.number() || seen.len() != 1 {
        return Err(format!(
            "it sees minor {minor} of our device {}; listed: {seen:?}",
            ours.number()
        )
        .into());
    }
    ours.detach()?;
    match our_listing(file.path()) {
        after if after.is_empty() => Ok(()),
        after => Err(format!("detached, and still there: {after:?}").into()),
    }
}
