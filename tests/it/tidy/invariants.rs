//! The table of invariants names only tests and rules that exist.

use reclaimdep::Code;
use reclaimdep::kernel::witness::Breach;
use reclaimdep::scope::Misuse;

use super::source::{root, words};
use super::{assert_complaints, assert_tidy};

const TABLE: &str = "harness/docs/invariants.md";
/// Rows that the table must have, by number.
const INVARIANTS: usize = 20;

/// The complaints about `table`; `read` returns the text of a file.
fn check(table: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    let rows: Vec<Vec<&str>> = table.lines().filter_map(cells).collect();
    for number in 1..=INVARIANTS {
        let of = |row: &&Vec<&str>| row[0] == number.to_string();
        let count = rows.iter().filter(of).count();
        if count != 1 {
            complaints.push(format!("{TABLE}: invariant {number} has {count} rows"));
        }
    }
    for row in &rows {
        let [found, planted, healthy] = row[row.len() - 3..] else { continue };
        complaints.extend(found.split("; ").filter_map(|rule| unknown_rule(row[0], rule)));
        for (cell, what) in [(planted, "planted"), (healthy, "healthy")] {
            let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
            let refers = what == "healthy"
                && ["the same", "the first", "the last"].iter().any(|w| cell.starts_with(w));
            if tests.is_empty() && !refers {
                complaints.push(format!("{TABLE}: {}: no {what} test", row[0]));
            }
            complaints.extend(tests.iter().filter_map(|test| missing(row[0], test, &read)));
        }
    }
    complaints
}

/// The cells of a row of either table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let cells: Vec<&str> = inside.split(" | ").collect();
    let heads = ["no", "lint"].contains(&cells[0]);
    (cells.len() >= 4 && !heads).then_some(cells)
}

/// The complaint about a rule that no judge has.
fn unknown_rule(row: &str, rule: &str) -> Option<String> {
    let (code, name) = rule.split_once(' ').unwrap_or((rule, ""));
    if code == "no" {
        return None;
    }
    let of_code = |breach: &Breach| breach.code().name() == code && breach.name() == name;
    let known = match code.parse::<Code>() {
        Err(_) => false,
        Ok(_) if name.is_empty() => true,
        Ok(Code::RD06) => Misuse::ALL.iter().any(|misuse| misuse.name() == name),
        Ok(_) => Breach::ALL.iter().any(of_code),
    };
    (!known).then(|| format!("{TABLE}: {row}: no judge has the rule `{rule}`"))
}

/// The complaint about a test that does not exist.
fn missing(row: &str, test: &str, read: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let exists = test.split_once("::").is_some_and(|(path, name)| {
        let text = read(path).unwrap_or_default();
        let is_test = |at: usize| {
            let mut before = text[..at].lines().rev().map(str::trim);
            let marks = |line: &&str| line.starts_with('#') || line.starts_with("///");
            before.next() == Some("fn") && before.take_while(marks).any(|line| line == "#[test]")
        };
        words(&text, name).any(is_test)
    });
    (!exists).then(|| format!("{TABLE}: {row}: there is no test `{test}`"))
}

#[test]
fn every_invariant_names_rules_and_tests_that_exist() {
    let table = std::fs::read_to_string(root().join(TABLE)).expect("the table is there");
    assert_tidy(check(&table, |path| std::fs::read_to_string(root().join(path)).ok()));
}

/// Checks a whole table whose first row is replaced by `row`.
#[track_caller]
fn planted(row: &str, expected: &[&str]) {
    let sound = |number| format!("| {number} | it holds | RD04 | `a.rs::breaks` | the same |\n");
    let table: String =
        std::iter::once(format!("{row}\n")).chain((2..=INVARIANTS).map(sound)).collect();
    let file = "#[test]\nfn breaks() {}\n\n#[track_caller]\nfn helper() {}\n";
    let read = |path: &str| (path == "a.rs").then(|| file.to_owned());
    assert_complaints(&check(&table, read), expected);
}

#[test]
fn a_row_that_names_what_does_not_exist_is_found() {
    planted("| 1 | it holds | RD08 pool fails | `a.rs::breaks` | the same |", &[]);
    planted(
        "| 1 | it holds | RD08 pool flies | `a.rs::breaks` | the same |",
        &["`RD08 pool flies`"],
    );
    planted(
        "| 1 | it holds | RD07 pool fails | `a.rs::breaks` | the same |",
        &["`RD07 pool fails`"],
    );
    planted("| 1 | it holds | RD99 | `a.rs::breaks` | the same |", &["`RD99`"]);
    planted(
        "| 1 | it holds | RD04 | `a.rs::broke` | `b.rs::breaks` |",
        &["a.rs::broke", "b.rs::breaks"],
    );
    planted("| 1 | it holds | RD04 | `a.rs::helper` | the same |", &["a.rs::helper"]);
    planted("| 1 | it holds | RD04 | none | none |", &["no planted test", "no healthy test"]);
}

#[test]
fn a_row_that_is_not_there_is_found() {
    planted(
        "| 2 | it holds | RD04 | `a.rs::breaks` | the same |",
        &["invariant 1 has 0", "invariant 2 has 2"],
    );
}
