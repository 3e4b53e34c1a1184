//! Another loop library beside ours: it attaches and detaches while the cases do, and each must leave
//! the other's devices alone.

use std::path::PathBuf;

use libtest_mimic::{Failed, Trial};
use loopdev::LoopControl;

/// How often two libraries may want the same free device before that is a failure.
const MAX_ATTEMPTS: u32 = 64;
/// Bytes of the file below the device.
const BYTES: u64 = 1 << 20;

/// Every test of this module.
pub(crate) fn trials() -> Vec<Trial> {
    vec![crate::trial("second_opinion::attaches_and_detaches_beside_us", attaches_and_detaches)]
}

/// The kernel names the file that the library attached, and forgets it when the library detaches.
fn attaches_and_detaches() -> Result<(), Failed> {
    let file = tempfile::NamedTempFile::new()?;
    file.as_file().set_len(BYTES)?;
    let control = LoopControl::open()?;
    let mut attempt = 0;
    let device = loop {
        let device = control.next_free()?;
        match device.attach_file(file.path()) {
            Ok(()) => break device,
            // Finding a free device and attaching to it are two calls: somebody came between.
            Err(error) if attempt == MAX_ATTEMPTS => return Err(error.into()),
            Err(_) => attempt += 1,
        }
    };
    let path = device.path().ok_or("an attached device has a path")?;
    let name = path.file_name().ok_or("the path of a device has a name")?;
    let sysfs = PathBuf::from("/sys/block").join(name).join("loop/backing_file");
    let backing = std::fs::read_to_string(&sysfs)?;
    device.detach()?;
    if backing.trim_end() != file.path().to_string_lossy() {
        return Err(format!("{} says {backing}", sysfs.display()).into());
    }
    Ok(())
}
