//! The registry and the pages of the codes.

use super::*;
use crate::event::Misuse;
use crate::witness::Breach;

/// What every page has, in this order.
const HEADINGS: [&str; 5] = [
    "## What it means",
    "## Smallest example",
    "## How the kernel fixed ones like it",
    "## What cuts it",
    "## What to do",
];

#[test]
fn every_page_has_its_title_and_the_headings_with_something_below() {
    for code in Code::ALL {
        let page = code.page();
        assert_eq!(page.lines().next(), Some(format!("# {code} {}", code.title()).as_str()));
        let headings: Vec<_> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, HEADINGS, "{code}");
        let parts = page.split("\n## ").skip(1);
        assert!(
            parts.clone().all(|part| part.lines().count() > 2),
            "{code}: a heading without a text"
        );
        assert!(parts.last().is_some_and(|part| part.ends_with('\n')), "{code}");
        let wide = page.lines().find(|line| line.len() > 110 || !line.is_ascii());
        assert_eq!(wide, None, "{code}");
    }
}

#[test]
fn every_rule_that_a_code_stands_for_is_on_its_page() {
    for breach in Breach::ALL {
        let row = format!("| {} |", breach.name());
        assert!(breach.code().page().contains(&row), "{}: {row}", breach.code());
    }
    for misuse in Misuse::ALL {
        assert!(Code::RD06.page().contains(&format!("| {misuse} |")), "{misuse}");
    }
}

#[test]
fn every_code_reads_back_and_no_other_text_does() {
    for code in Code::ALL {
        assert_eq!(code.name().parse::<Code>().unwrap(), *code);
    }
    let error = "RD14".parse::<Code>().unwrap_err().to_string();
    assert!(error.contains("`RD14`"), "{error}");
    assert!(Code::ALL.iter().all(|code| error.contains(code.name())), "{error}");
}

#[test]
fn a_code_is_printed_by_name_with_the_requested_width() {
    assert_eq!(format!("{:<6}|", Code::RD04), "RD04  |");
}

#[test]
fn a_code_is_read_as_people_write_it() {
    for text in ["RD04", "rd04", "Rd4", "RD4", "4", "04", "004"] {
        assert_eq!(text.parse::<Code>().unwrap(), Code::RD04, "{text}");
    }
    assert_eq!("13".parse::<Code>().unwrap(), Code::RD13);
    for text in ["", "RD", "0", "RD00", "14", "-4", "RDRD04", "RD 4", "4294967300"] {
        assert!(text.parse::<Code>().is_err(), "{text}");
    }
}

#[track_caller]
fn check_meant(text: &str, says: &str) {
    let error = text.parse::<Code>().unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

#[test]
fn a_misspelt_code_is_answered_with_the_one_that_is_near() {
    check_meant("RDO4", "did you mean RD04 (deadlock)? There are RD01");
    check_meant("R04", "did you mean RD04");
    check_meant("deadlok", "did you mean RD04");
    check_meant("14", "`14`; use one of RD01");
    check_meant("tomato", "use one of RD01");
}
