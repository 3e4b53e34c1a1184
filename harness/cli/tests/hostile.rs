//! Whatever an argument, a path, a file or a variable holds: what the program prints is printable
//! ASCII, and no line of it is a command of GitHub Actions.
#![cfg(unix)]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output};

/// Control characters, ESC and CSI, a line that starts a command, marks that hide or reorder.
const NAMES: [&[u8]; 7] = [
    b"\x1b[31mred\x1b[0m\x07",
    b"a\n::error::planted",
    b"::error::planted",
    b"x ##[error]planted",
    "\u{9b}31m\u{202e}evil\u{2066}\u{200b}\u{feff}\u{2028}\u{7f}".as_bytes(),
    b"a\r\tb\x08\x0c",
    b"no\xff\xc3(utf8",
];

fn run(args: &[&OsStr], variables: &[(&str, &OsStr)]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cargo-reclaimdep"));
    program.args(args).env_remove("RECLAIMDEP_REQUIRE").env_remove("RECLAIMDEP_REPORT_DIR");
    program.envs(variables.iter().copied()).output().expect("the program starts")
}

#[track_caller]
fn check_clean(output: &Output, what: &str) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes);
        let plain = |byte: &u8| *byte == b'\n' || *byte == b' ' || byte.is_ascii_graphic();
        assert!(bytes.iter().all(plain), "{what}: {text:?}");
        let starts = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
        assert!(!text.lines().any(starts), "{what}: {text}");
    }
    assert!(output.status.code().is_some_and(|code| code <= 6), "{what}: {output:?}");
}

#[test]
fn arguments_of_every_verb_are_escaped() {
    let lines: [&[&str]; 22] = [
        &["@"],
        &["--@"],
        &["list", "@"],
        &["doctor", "--@"],
        &["explain", "@"],
        &["explain", "RD04", "@"],
        &["run", "@"],
        &["run", "--tier", "@"],
        &["run", "--era", "@"],
        &["run", "--seed", "@"],
        &["run", "c01", "--tier", "model", "--era", "v3.10", "--replay", "@"],
        &["run", "c01", "--tier", "model", "--era", "v3.10", "--html", "no/such/@"],
        &["run", "no/such/@"],
        &["run", "--variant", "@"],
        &["run", "--policy", "@"],
        &["matrix", "@"],
        &["matrix", "c33", "--html", "/dev/null/@"],
        &["show", "@"],
        &["words", "@"],
        &["new", "@"],
        &["judge", "no/such/@"],
        &["judge", "--json", "--@"],
    ];
    for line in lines {
        for name in NAMES {
            let word = |word: &&str| match word.strip_suffix('@') {
                Some(before) => OsStr::from_bytes(&[before.as_bytes(), name].concat()).to_owned(),
                None => OsString::from(word),
            };
            let args: Vec<OsString> = line.iter().map(word).collect();
            let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
            let output = run(&args, &[]);
            check_clean(&output, &format!("{line:?}"));
            assert_eq!(output.status.code(), Some(2), "{line:?}");
            assert!(!output.stderr.is_empty(), "{line:?}");
        }
    }
}

#[test]
fn variables_are_escaped() {
    for name in NAMES {
        let value = OsStr::from_bytes(name);
        for variable in ["REQUIRE", "REPLAY", "CHILD", "CHILD_RUN"] {
            let variable = format!("RECLAIMDEP_{variable}");
            let output = run(&[OsStr::new("list")], &[(&variable, value)]);
            check_clean(&output, &variable);
            assert_eq!(output.status.code(), Some(2), "{variable}");
        }
        // Two cases, so that what cuts the finding is not tried.
        let args = ["run", "c33", "c40", "--tier", "model", "--era", "v3.10"].map(OsStr::new);
        let folder = OsStr::from_bytes(b"/dev/null/").to_owned();
        let folder = OsStr::from_bytes(&[folder.as_bytes(), name].concat()).to_owned();
        let output = run(&args, &[("RECLAIMDEP_REPORT_DIR", &folder)]);
        check_clean(&output, "the folder for reports");
        assert_eq!(output.status.code(), Some(2));
    }
    let unknown = OsStr::from_bytes(b"RECLAIMDEP_\x1b[31m\xff\n::error::x").to_owned();
    let mut program = Command::new(env!("CARGO_BIN_EXE_cargo-reclaimdep"));
    let output = program.arg("list").env(unknown, "1").output().expect("the program starts");
    check_clean(&output, "an unknown variable");
}

/// A text of a kernel in which `comm` waits.
fn hung(comm: &[u8]) -> Vec<u8> {
    let lines: [&[u8]; 6] = [
        b"INFO: task @:7 blocked for more than 120 seconds.",
        b"task:@ state:D stack:0 pid:7 ppid:1 flags:0x00000000",
        b"Call Trace:",
        b" __schedule+0x1/0x2",
        b" io_schedule+0x1/0x2",
        b" folio_wait_bit_common+0x1/0x2",
    ];
    let mut text = Vec::new();
    for line in lines {
        for part in line.split_inclusive(|byte| *byte == b'@') {
            text.extend_from_slice(part.strip_suffix(b"@").unwrap_or(part));
            if part.ends_with(b"@") {
                text.extend_from_slice(comm);
            }
        }
        text.push(b'\n');
    }
    text
}

#[test]
fn files_and_what_they_hold_are_escaped() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, name) in NAMES.into_iter().enumerate() {
        let path = folder.path().join(OsStr::from_bytes(name));
        let events = [b"{\"reclaimdep-events\":2,\"".as_slice(), name, b"\":1}\n"].concat();
        for text in [hung(name), name.to_vec(), events] {
            fs::write(&path, text).expect("the folder is writable");
            for json in [&[][..], &["--json"]] {
                let mut args = vec![OsStr::new("judge"), path.as_os_str()];
                args.extend(json.iter().map(OsStr::new));
                check_clean(&run(&args, &[]), &format!("name {number}"));
            }
        }
    }
}
