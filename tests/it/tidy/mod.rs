//! The tree keeps its own rules.
//!
//! Each rule is a function from a path and a text to complaints, and has a test that plants a
//! violation: a rule that cannot fail is no rule.
//!
//! | module | rules |
//! |---|---|
//! | [`imports`] | which module of the harness may know which other |
//! | [`invariants`] | the table of invariants names what exists |
//! | [`text`] | headers, ASCII, lengths, paths of this machine |
//! | [`words`] | `unsafe`, threads, clocks and hash maps only where they belong |
//! | [`tree`] | what may stand at the top |
//! | [`variables`] | environment variables are in their table, and on their page |
//! | [`source`] | reading the tree; what of a file is code |

mod imports;
mod invariants;
mod source;
mod text;
mod tree;
mod variables;
mod words;

/// Fails with every complaint, one a line.
#[track_caller]
fn assert_tidy(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Fails unless `complaints` are exactly one for each of `expected`, which it contains.
#[track_caller]
fn assert_complaints(complaints: &[String], expected: &[&str]) {
    assert_eq!(complaints.len(), expected.len(), "{complaints:?}");
    for (complaint, part) in complaints.iter().zip(expected) {
        assert!(complaint.contains(part), "`{part}` is not in: {complaint}");
    }
}
