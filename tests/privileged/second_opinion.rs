//! Another loop library beside ours: each attaches and detaches, and each must see of the other's
//! device what the kernel says of it.

use std::os::fd::AsFd as _;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use loopdev::{LoopControl, LoopDevice};
use reclaimdep::host::{LoopHandle, LoopOptions, Snapshot};
use serial_test::file_serial;
use tempfile::NamedTempFile;

/// How often two libraries may want the same free device before that is a failure.
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

/// Finding a free device and attaching to it are two calls there: somebody may come between.
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

/// What our listing says of the device on `file`.
fn ours_says(file: &Path) -> Vec<String> {
    let all = Snapshot::default().diff(&Snapshot::take());
    let file = file.to_string_lossy();
    all.iter().map(ToString::to_string).filter(|line| line.contains(&*file)).collect()
}

// The machine's list of free devices is one; the other library fails where two ask at once.
#[file_serial(loop_control)]
fn we_see_what_it_attached() -> Result<(), Failed> {
    let file = backing()?;
    let device = attach_theirs(file.path())?;
    let seen = ours_says(file.path());
    device.detach()?;
    drop(device);
    let after = ours_says(file.path());
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
    let seen = ours_says(file.path());
    drop(theirs);
    if minor != ours.number() || seen.len() != 1 {
        return Err(format!(
            "it sees minor {minor} of our device {}; listed: {seen:?}",
            ours.number()
        )
        .into());
    }
    ours.detach()?;
    match ours_says(file.path()) {
        after if after.is_empty() => Ok(()),
        after => Err(format!("detached, and still there: {after:?}").into()),
    }
}
