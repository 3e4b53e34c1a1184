//! The program refuses invalid environment variables, whatever it is asked to do.

use std::process::{Command, Output};

/// Runs the program with one variable set.
fn run(args: &[&str], name: &str, value: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cargo-reclaimdep"));
    program.args(args).env(name, value).output().expect("the program starts")
}

#[track_caller]
fn check_refused(args: &[&str], name: &str, value: &str, says: &[&str]) {
    let output = run(args, name, value);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty(), "it does nothing before that");
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
}

const REQUIRE: &str = "RECLAIMDEP_REQUIRE";

#[test]
fn an_unknown_tier_is_refused_by_every_verb() {
    let verbs: [&[&str]; 9] = [
        &["run", "c01", "--tier", "model"],
        &["judge", "Cargo.toml"],
        &["doctor"],
        &["explain", "RD04"],
        &["list"],
        &["matrix", "c33"],
        &["show", "c33"],
        &["words"],
        &["new", "not-written"],
    ];
    for args in verbs {
        for word in ["loops", "1"] {
            let says = [REQUIRE, word, "model, native, loop"];
            check_refused(args, REQUIRE, word, &says);
        }
    }
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_known_one() {
    let unknown = format!("{REQUIRE}D");
    check_refused(&["list"], &unknown, "loop", &[&unknown, "RECLAIMDEP_REQUIRE"]);
}

#[test]
fn what_the_table_accepts_is_not_refused() {
    for value in ["", "loop", "model, native"] {
        let output = run(&["list"], REQUIRE, value);
        assert_eq!(output.status.code(), Some(0), "{value}: {output:?}");
    }
}
