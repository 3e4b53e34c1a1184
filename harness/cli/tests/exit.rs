//! The exit status of every verb, as `docs/exit-codes.md` says it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program, without variables that the caller of the tests may have set.
fn program(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cargo-reclaimdep"));
    program.args(args).env_remove("RECLAIMDEP_REQUIRE").env_remove("RECLAIMDEP_REPORT_DIR");
    program
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("errors are text")
}

#[track_caller]
fn check(args: &[&str], status: i32, says: &[&str]) -> Output {
    let output = program(args).output().expect("the program starts");
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
    assert_eq!(output.status.code(), Some(status), "{all}");
    assert!(says.iter().all(|part| all.contains(part)), "{all}");
    output
}

const ONE: [&str; 6] = ["run", "c01", "--tier", "model", "--era", "v3.10"];

#[test]
fn verbs_that_only_show_end_with_0() {
    check(&["list"], 0, &["c01"]);
    check(&["reclaimdep", "list"], 0, &["c01"]);
    check(&["explain", "rd4"], 0, &["# RD04 deadlock"]);
    check(&["explain", "4"], 0, &["# RD04 deadlock"]);
    check(&["list", "--shape", "P0"], 2, &["no case is left"]);
    check(&["list", "--layer", "moon"], 2, &["no case has the layer `moon`", "superblock"]);
    check(&["show", "c28"], 0, &["task iget", "alloc GFP_NOFS", "superblock xfs: evict"]);
    check(&["show", "c28", "--variant", "fixed"], 2, &["no variant `fixed`", "before, after"]);
    check(&["words"], 0, &["try-lock", "superblock", "mask-has", "citation"]);
    check(&["words", "try-lock"], 0, &["else", "{ try-lock = "]);
    check(&["words", "try-lok"], 2, &["did you mean `try-lock`?"]);
    check(&["--version"], 0, &["cargo-reclaimdep"]);
    for help in [&["--help"][..], &["run", "--help"], &["judge", "-h"], &["doctor", "--help"]] {
        check(help, 0, &["Exit status:", "\n  2  "]);
    }
}

#[test]
fn what_does_not_exist_ends_with_2() {
    check(&[], 2, &["Usage"]);
    check(&["jugde"], 2, &["jugde", "judge"]);
    check(&["explain", "RDO4"], 2, &["did you mean RD04"]);
    check(&["explain"], 2, &["Usage"]);
    check(&["run", "c99"], 2, &["unknown case `c99`", "one of c01"]);
    check(&["run", "--schedules", "0"], 2, &["0 is not in 1.."]);
}

#[test]
fn a_case_that_comes_out_as_expected_ends_with_0() {
    let output = check(&ONE, 0, &["RD04", "found"]);
    assert!(output.stderr.is_empty(), "{}", errors(&output));
    check(&["run", "c01", "--tier", "model", "--era", "v3.18", "--schedules", "20"], 0, &["quiet"]);
}

/// Runs the program with one file that it may open at a time: the loop tier cannot run.
#[cfg(target_os = "linux")]
#[track_caller]
fn check_poor(args: &[&str], required: &str, status: i32, says: &[&str]) {
    let script = "ulimit -n 4; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_cargo-reclaimdep")]).args(args);
    let output = shell.env("RECLAIMDEP_REQUIRE", required).output().expect("there is a shell");
    let all = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
    assert_eq!(output.status.code(), Some(status), "{all}");
    assert!(says.iter().all(|part| all.contains(part)), "{all}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_tier_that_cannot_run_is_inconclusive_and_1_where_it_is_required() {
    let on_loop = ["run", "c01", "--tier", "loop", "--era", "v3.10"];
    check_poor(&on_loop, "", 6, &["skipped [1]"]);
    check_poor(&on_loop, "loop", 1, &["WRONG: RECLAIMDEP_REQUIRE names the tier loop"]);
    check_poor(&["doctor"], "", 0, &["loop    no"]);
    check_poor(&["doctor"], "model,native", 0, &["loop    no"]);
    let says = ["loop    NO", "error: RECLAIMDEP_REQUIRE names the tier loop, which cannot run"];
    check_poor(&["doctor"], "loop", 1, &says);
}

#[test]
fn a_table_of_cases_says_what_is_not_as_expected() {
    check(&["run", "c28", "c33", "--tier", "model"], 0, &["c33   after    v3.10..v6.12"]);
    check(&["run", "c28", "--predicted"], 0, &["predicted  found RD03"]);
    let policy = ["run", "c33", "--tier", "model", "--policy", "join"];
    check(&policy, 0, &["RD04"]);
    check(&["run", "c28", "--html", "x.html"], 2, &["about one run", "--variant"]);
    check(&["matrix", "c28", "--era", "v5.9"], 0, &["case  variant  v5.9", "RD04", "quiet"]);
    check(&["matrix", "c28", "--policies"], 0, &["mainline", "reclaim-context"]);
    let folder = folder();
    let text = fs::read_to_string("../../fixtures/deadlocks/c33-xfs-nested-transaction.toml")
        .expect("the case is there");
    let wrong = text.replacen("[\"RD04\"]", "[\"RD05\"]", 1);
    file(folder.path(), "wrong.toml", wrong.as_bytes());
    let folder = folder.path().to_str().expect("a name of the tests");
    check(&["run", folder, "--tier", "model"], 1, &["WRONG", "RD05"]);
    check(&["matrix", folder, "--era", "v5.9"], 1, &["WRONG RD04"]);
}

#[test]
fn a_step_that_no_run_reaches_is_named() {
    let folder = folder();
    let text = fs::read_to_string("../../fixtures/deadlocks/c33-xfs-nested-transaction.toml")
        .expect("the case is there");
    let never = "step = [\n    { if = { kswapd = true }, then = [\n\"stop\"] },";
    let path = file(folder.path(), "never.toml", text.replacen("step = [", never, 1).as_bytes());
    check(&["run", &path], 1, &["this step never ran in any run"]);
}

#[test]
fn a_step_that_can_go_is_named() {
    check(&["run", "c40", "--minimal"], 0, &["each step is needed"]);
    check(&["run", "c28", "--minimal"], 1, &["before is found without `alloc GFP_KERNEL`"]);
    check(&["run", "n01", "--minimal"], 2, &["nothing must be found"]);
}

#[test]
fn the_page_of_the_catalogue_has_each_case() {
    check(&["matrix", "c40", "n01", "--markdown"], 0, &["| c40 | ", "| RD04 | yes | ", "| n01 |"]);
}

#[test]
fn a_matrix_as_a_page_links_a_report_for_each_cell() {
    let folder = folder();
    let path = folder.path().to_str().expect("a name of the tests");
    check(&["matrix", "c28", "--html", path], 0, &["RD04"]);
    let page = fs::read_to_string(folder.path().join("index.html")).expect("the page");
    for file in ["c28-before-v3.10-model.html", "c28-after-v6.12-model.html", "case-c28.html"] {
        assert!(page.contains(&format!("href=\"{file}\"")), "{file}");
        assert!(folder.path().join(file).is_file(), "{file}");
    }
}

#[test]
fn a_new_case_is_a_file_that_runs_and_is_not_overwritten() {
    let folder = folder();
    let here = |args: &[&str]| {
        let output = program(args).current_dir(folder.path()).output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(here(&["new", "mine"]).0, Some(0));
    let (status, table) = here(&["run", "mine.toml", "--tier", "model", "--schedules", "50"]);
    assert_eq!(status, Some(0), "{table}");
    assert!(table.contains("found RD04"), "{table}");
    assert_eq!(here(&["new", "mine"]).0, Some(2));
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn file(folder: &Path, name: &str, text: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("the folder is writable");
    path.to_str().expect("a name of the tests").to_owned()
}

/// A recording of this project, unpacked.
fn recording(folder: &Path, name: &str) -> String {
    let recordings = reclaimdep_fixtures::recordings().expect("the recordings are sound");
    let found = recordings.iter().find(|recording| recording.file == name).expect("it exists");
    file(folder, name, &found.text().expect("it can be unpacked"))
}

#[test]
fn judge_says_what_it_found() {
    let folder = folder();
    let deadlock = recording(folder.path(), "guest61-deadlock-stacks");
    let quiet = recording(folder.path(), "guest61-legacy1-gfpio-ext4-nodeadlock");
    check(&["judge", &quiet], 0, &["quiet"]);
    check(&["judge", &deadlock], 1, &["RD04"]);
    check(&["judge", &quiet, &deadlock], 1, &["quiet", "RD04"]);
    let output = check(&["judge", "no/such", &deadlock], 2, &["RD04", "cannot open no/such"]);
    assert!(!output.stdout.is_empty(), "the other file is judged all the same");
}

#[test]
fn judge_cannot_read_everything() {
    let folder = folder();
    let at = |name: &str, text: &[u8]| file(folder.path(), name, text);
    check(&["judge", &at("empty", b"")], 2, &["empty is empty"]);
    check(&["judge", folder.path().to_str().unwrap()], 2, &["cannot read", "directory"]);
    check(&["judge", &at("prose", b"hello\nworld\n")], 2, &["not a recording", "hung-task"]);
    check(&["judge", &at("binary", &[0, 159, 146, 150])], 2, &["this is not text"]);
    check(&["judge", &at("json", b"{\"a\":1}\n")], 2, &["not an event file"]);
    check(&["judge", &at("long", &vec![b'a'; 1 << 20])], 2, &["a line of more than"]);
    check(&["judge", &at("zeros", &vec![0; 1 << 20])], 2, &["zeros"]);
    check(&["judge"], 2, &["FILE"]);
}

/// A task that waits, in the form of the hung-task detector.
const HUNG: &[u8] = b"[ 1.0] INFO: task cp:7 blocked for more than 120 seconds.\n\
    [ 1.0] task:cp              state:D stack:    0 pid:    7 ppid:     1 flags:0x00000000\n\
    [ 1.0] Call Trace:\n\
    [ 1.0]  __schedule+0x1/0x2\n\
    [ 1.0]  schedule+0x1/0x2\n\
    [ 1.0]  io_schedule+0x1/0x2\n\
    [ 1.0]  folio_wait_bit_common+0x1/0x2\n";

#[test]
fn a_wait_that_nothing_explains_is_inconclusive() {
    let folder = folder();
    let hung = file(folder.path(), "hung", HUNG);
    check(&["judge", &hung], 6, &["inconclusive: tasks that wait"]);
    check(&["judge", &hung, "no/such"], 2, &["no/such"]);
}

#[test]
fn standard_input_is_judged() {
    let mut child = program(&["judge", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("it is piped").write_all(HUNG).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stdout).contains("standard-input"));
}

/// Every verb with much and with little to say.
const SPEAKING: [&[&str]; 6] =
    [&["list"], &["explain", "RD04"], &["doctor"], &["--help"], &["run", "--help"], &ONE];

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_message_and_2() {
    for args in SPEAKING {
        let full = File::options().write(true).open("/dev/full").expect("Linux has it");
        let output = program(args).stdout(full).output().expect("the program starts");
        let message = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert!(message.contains("cannot write to standard output: No space left"), "{message}");
    }
}

/// Runs the program with a standard output whose reader is gone.
fn into_closed_pipe(args: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    program(args).stdout(writer).output().expect("the program starts")
}

#[test]
fn a_closed_pipe_is_a_message_and_2() {
    for args in SPEAKING {
        let output = into_closed_pipe(args);
        let message = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert!(message.contains("cannot write to standard output: Broken pipe"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn a_closed_standard_error_changes_no_status() {
    for (args, status) in [(&["run", "c99"][..], 2), (&["nonsense"], 2), (&["judge", "no"], 2)] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = program(args).stderr(writer).status().expect("the program starts");
        assert_eq!(ended.code(), Some(status), "{args:?}");
    }
    // The table is on standard error here, and must not be lost without a word.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let json = [&ONE[..], &["--json"]].concat();
    let ended = program(&json).stdout(Stdio::null()).stderr(writer).status().expect("it starts");
    assert_eq!(ended.code(), Some(2));
}

fn html(path: &str) -> Vec<&str> {
    ONE.into_iter().chain(["--html", path]).collect()
}

#[test]
fn report_files_that_cannot_be_written_end_with_2() {
    let folder = folder();
    let link = folder.path().join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("victim"), &link).expect("a link");
    check(&html("/dev/full"), 2, &["RD04", "/dev/full cannot be written: No space left"]);
    check(&html("/no/such/folder/x"), 2, &["RD04", "cannot be written: No such file"]);
    check(&html(link.to_str().unwrap()), 2, &["RD04", "is a link, which is not followed"]);
    assert!(!folder.path().join("victim").exists());
    let page: PathBuf = folder.path().join("page.html");
    check(&html(page.to_str().unwrap()), 0, &["RD04"]);
    let mut text = String::new();
    File::open(page).and_then(|mut page| page.read_to_string(&mut text)).expect("it is written");
    assert!(text.ends_with("</html>\n"));
}

#[test]
fn a_report_folder_that_is_a_link_ends_with_2() {
    let folder = folder();
    let link = folder.path().join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), &link).expect("a link");
    let output = program(&ONE).env("RECLAIMDEP_REPORT_DIR", &link).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("is a link, which is not followed"), "{}", errors(&output));
    let output =
        program(&ONE).env("RECLAIMDEP_REPORT_DIR", folder.path()).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(folder.path().join("c01-reported-v3.10-model.json").is_file());
}
