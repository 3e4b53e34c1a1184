//! `doctor` says what is wrong with a machine: other files are bound over its device nodes, in a
//! mount namespace of the test's own.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a skip is for a person to read")]

use std::process::{Command, Output};

/// Runs `script` as root of a mount namespace; nothing where this machine does not allow that.
fn namespaced(script: &str) -> Option<Output> {
    let run = |options: &[&str], script: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(options).args(["sh", "-c", script, env!("CARGO_BIN_EXE_cargo-reclaimdep")]);
        unshare.env_remove("RECLAIMDEP_REQUIRE").output().ok()
    };
    let bind = "mount --bind /dev/null /dev/null";
    let ways: [&[&str]; 2] = [&["-m"], &["-r", "-m"]];
    let allowed = |way: &&&[&str]| run(way, bind).is_some_and(|output| output.status.success());
    ways.iter().find(allowed).and_then(|way| run(way, script))
}

/// The lines of `doctor` where `what` is bound over `node`.
#[track_caller]
fn check(what: &str, node: &str, says: &[&str], never: &str) {
    if !std::path::Path::new(node).exists() {
        return skip(&format!("{node} is not there"));
    }
    let script = format!("mount --bind {what} {node} && exec \"$0\" doctor");
    let Some(output) = namespaced(&script) else {
        return skip("no mount namespace can be made");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(says.iter().all(|part| text.contains(part)), "{text}");
    let of_node = text.lines().filter(|line| line.contains(node)).collect::<String>();
    assert!(!of_node.contains(never), "{text}");
}

fn skip(reason: &str) {
    let required = std::env::var("RECLAIMDEP_REQUIRE").unwrap_or_default();
    assert!(!required.contains("loop"), "{reason}, and the loop tier is required");
    eprintln!("SKIPPED: {reason}");
}

#[test]
fn a_file_over_the_fuse_node_is_no_missing_privilege() {
    let says = [
        "/dev/fuse is a regular file, not the character device 10:229",
        "umount /dev/fuse, or remove it, and mknod /dev/fuse c 10 229",
        "loop    no",
    ];
    check("/etc/passwd", "/dev/fuse", &says, "CAP_SYS_ADMIN");
}

#[test]
fn another_device_over_a_node_is_named() {
    let null = "is the character device 1:3, not the character device";
    check("/dev/null", "/dev/fuse", &[&format!("/dev/fuse {null} 10:229")], "CAP_SYS_ADMIN");
    let node = "/dev/loop-control";
    check("/dev/null", node, &[&format!("{node} {null} 10:237")], "modprobe");
}
