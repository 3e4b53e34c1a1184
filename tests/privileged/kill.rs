//! SIGKILL at any moment leaves nothing behind: no loop device, mount, cgroup or process.
//!
//! The killed process runs the deadlocking case, so that some kills happen while a writer is stuck
//! in the kernel.

use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reclaimdep::kernel::host::Snapshot;
use reclaimdep::kernel::sched::SplitMix64;

/// The number of processes that are killed.
const ROUNDS: u32 = 24;
/// About the duration of a run; kills happen at any moment of it and shortly after it.
const RUN_MS: u32 = 40;
/// The time in which everything that a killed process had must be gone.
const GONE_MS: u16 = 10_000;
/// The seed of the moments of the kills.
const SEED: u64 = 2014;

/// Every test of this module.
pub(crate) fn trials() -> Vec<Trial> {
    vec![crate::trial("kill::nothing_is_left_whenever_the_process_is_killed", killed_at_any_moment)]
}

fn killed_at_any_moment() -> Result<(), Failed> {
    // A case that does not run leaves nothing behind either, so one process lives and must succeed.
    let lived = deadlocking_case().output()?;
    let said = String::from_utf8_lossy(&lived.stdout);
    if !lived.status.success() || !said.contains("1 passed") {
        return Err(format!("the case to kill does not run: {}\n{said}", lived.status).into());
    }
    let before = Snapshot::take();
    let mut random = SplitMix64(SEED);
    for _ in 0..ROUNDS {
        let mut process = deadlocking_case().stdout(Stdio::null()).spawn()?;
        pause(u16::try_from(random.below(RUN_MS))?)?;
        match kill(Pid::from_raw(i32::try_from(process.id())?), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
        process.wait()?;
    }
    // Tests beside this one attach and detach devices too; only a real leftover stays in every
    // snapshot.
    let mut left = before.diff(&Snapshot::take());
    for _ in 0..GONE_MS / 20 {
        if left.is_empty() {
            return Ok(());
        }
        pause(20)?;
        let now = before.diff(&Snapshot::take());
        left.retain(|thing| now.contains(thing));
    }
    Err(format!(
        "left behind: {}",
        left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )
    .into())
}

/// This executable, running the case that deadlocks.
fn deadlocking_case() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["--exact", "cases::c01::reported::v3.10"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Waits for `milliseconds`: until the moment of a kill, or until the kernel has cleaned up.
fn pause(milliseconds: u16) -> Result<(), Failed> {
    let (reader, _writer) = nix::unistd::pipe()?;
    let mut never = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    poll(&mut never, PollTimeout::from(milliseconds))?;
    Ok(())
}
