//! The tree keeps its own rules.
//!
//! Each rule is a function from a path and a text to complaints. Each rule has a test that plants a
//! violation, because a rule that can never fail checks nothing.
//!
//! | module | rules |
//! |---|---|
//! | [`citations`] | citations of `docs/kernel` and links of Markdown name what exists |
//! | [`floors`] | which file of dm-bufio may import which other |
//! | [`imports`] | which module of the harness may know which other |
//! | [`invariants`] | the table of invariants names what exists |
//! | [`prose`] | phrases that comments and Markdown do not use |
//! | [`text`] | headers, ASCII, lengths of files and lines, paths of one machine |
//! | [`words`] | `unsafe`, threads, clocks and hash maps only where they belong |
//! | [`tree`] | what may stand at the top |
//! | [`variables`] | environment variables are in their table, and on their page |
//! | [`source`] | reading the tree; what of a file is code |

mod citations;
mod floors;
mod imports;
mod invariants;
mod prose;
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

/// Fails unless there is exactly one complaint for each part in `expected`, which it contains.
#[track_caller]
fn assert_complaints(complaints: &[String], expected: &[&str]) {
    assert_eq!(complaints.len(), expected.len(), "{complaints:?}");
    for (complaint, part) in complaints.iter().zip(expected) {
        assert!(complaint.contains(part), "`{part}` is not in: {complaint}");
    }
}
