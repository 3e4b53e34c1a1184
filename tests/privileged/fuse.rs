//! The filesystem behind FUSE: every operation works, or says that it is not there.
//!
//! The tools of the machine work on a detached mount. Each gets the root of the mount as its
//! standard input, and its own file table has nothing of the server, so it can be killed.

use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use reclaimdep::kernel::block::{CrashDevice, DiskStep};
use reclaimdep::kernel::event::Op;
use reclaimdep::kernel::fs::{Fs, FuseFs, Ino, ServeHook, mkfs};
use reclaimdep::kernel::host::FuseMount;
use reclaimdep::{Tier, World};

/// Bytes of the device.
const BYTES: u64 = 4 << 20;

/// Every test of this module.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        crate::trial("fuse::what_is_not_there_says_so", what_is_not_there_says_so),
        crate::trial("fuse::what_is_there_works", what_is_there_works),
        crate::trial("fuse::a_sync_reaches_the_device", a_sync_reaches_the_device),
    ]
}

struct NoHook;

impl ServeHook for NoHook {
    fn serve(&self, _: Op, _: Ino, _: u64, _: u64) -> Box<dyn Send> {
        Box::new(())
    }
}

/// A served filesystem.
struct Served {
    fs: Fs,
    device: Arc<CrashDevice>,
    mount: FuseMount,
}

impl Served {
    /// Runs a shell command in the root of the mount; returns its output, or its error output.
    fn sh(&self, command: &str) -> Result<String, String> {
        let root = self.mount.as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
        let output = Command::new("sh")
            .args(["-c", &format!("cd /proc/self/fd/0/. && {command}")])
            .env("LC_ALL", "C")
            .stdin(Stdio::from(root))
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The command must succeed, with this output.
    #[track_caller]
    fn check(&self, command: &str, expect: &str) {
        assert_eq!(self.sh(command).as_deref(), Ok(expect), "{command}");
    }

    /// The command must fail, with these words in its message.
    #[track_caller]
    fn check_refused(&self, command: &str, words: &str) {
        match self.sh(command) {
            Err(message) if message.contains(words) => {}
            other => panic!("{command}: {other:?} has not `{words}`"),
        }
    }
}

/// Serves a new filesystem while `body` runs; afterwards the mount must come down.
fn served(body: impl Fn(&Served) + Send + Sync + 'static) -> Result<(), Failed> {
    let builder = World::builder().tier(Tier::Native);
    let report = builder.run(move |world| {
        let (sched, mm, plan) = (world.sched(), world.mm(), world.plan());
        let device = Arc::new(CrashDevice::new(sched, "vda", BYTES));
        mkfs(&*device).expect("the device is fine");
        let fs = Fs::mount(sched, mm, plan, "lower", Arc::clone(&device) as _).expect("it mounts");
        let filesystem = FuseFs::new(fs.clone(), Arc::new(NoHook));
        let mount = FuseMount::serve("lower", filesystem).expect("the mount is served");
        let all = Served { fs, device, mount };
        body(&all);
        all.mount.shutdown().expect("nothing is open on the mount");
        all.fs.unmount().expect("it unmounts");
    })?;
    if report.is_quiet() { Ok(()) } else { Err(report.to_text().into()) }
}

fn what_is_not_there_says_so() -> Result<(), Failed> {
    served(|on| {
        on.check("printf 12345 > a && cat a", "12345");
        for (command, words) in [
            ("chmod 644 a", "Operation not supported"),
            ("chmod u+s a", "Operation not supported"),
            ("chown 1:1 a", "Operation not supported"),
            ("chgrp 1 a", "Operation not supported"),
            ("touch a", "Operation not supported"),
            ("touch -m -d 2001-01-01 a", "Operation not supported"),
            ("touch -a a", "Operation not supported"),
            ("cp -p a c", "Operation not supported"),
            ("mv a x", "Function not implemented"),
            ("ln a x", "Operation not permitted"),
            ("ln -s a x", "Operation not permitted"),
            ("mkdir d", "Function not implemented"),
            ("mkfifo p", "Function not implemented"),
            ("rmdir a", "Not a directory"),
            ("fallocate -l 100000 a", "not supported"),
            ("rm missing", "No such file"),
        ] {
            on.check_refused(command, words);
        }
        on.check("stat -c '%s %a %u %g' a && cat a", "5 600 0 0\n12345");
    })
}

fn what_is_there_works() -> Result<(), Failed> {
    served(|on| {
        // What is so already needs no change.
        on.check("printf 12345 > a && chmod 600 a && chown 0:0 a && cat a", "12345");
        on.check("truncate -s 3 a && cat a", "123");
        on.check("truncate -s 5000 a && stat -c %s a", "5000");
        on.check("printf 678 >> a && tail -c 3 a", "678");
        on.check("printf new > a && cat a", "new");
        on.check("cp a b && cmp a b && ls", "a\nb");
        on.check("rm a && ls", "b");
        on.check("test -r b && test -w b && ! test -x b && echo yes", "yes");
        on.check("stat -f -c '%s %l' .", "4096 60");
    })
}

fn a_sync_reaches_the_device() -> Result<(), Failed> {
    served(|on| {
        for command in [
            "printf 1 > a && sync a",
            "printf 2 > b && sync .",
            "printf 3 | dd of=c oflag=dsync status=none",
            "printf 4 | dd of=d oflag=sync status=none",
            "printf 5 | dd of=e conv=fsync status=none",
        ] {
            let before = on.device.steps();
            on.check(command, "");
            let history = on.device.history();
            assert!(history.len() > before, "{command} writes to the device");
            let last = history.last();
            assert!(matches!(last, Some(DiskStep::Flush)), "{command} ends with a flush");
        }
        assert_eq!(on.fs.readdir().map(|entries| entries.len()), Ok(5));
    })
}
