//! Phrases that comments and Markdown do not use, and what to write instead.
//!
//! Key data: [`PHRASES`]. A phrase is found across a line break too. Fenced code is not prose.

use super::source::{File, comments, line_of, markdown_files, rust_files};
use super::{assert_complaints, assert_tidy};

/// Each phrase with what to write instead.
const PHRASES: &[(&str, &str)] = &[
    ("for who", "name the reader or the task: \"for a task that ...\""),
    ("of who", "name the task: \"of the task that ...\""),
    ("by who", "name the task: \"by the task that ...\""),
    ("from who", "name the task: \"from the task that ...\""),
    ("to who", "name the task: \"to the task that ...\""),
    ("with who", "name the task: \"with the task that ...\""),
    ("whoever waits", "name the task: \"the task that waits\""),
    ("whoever looks", "name the task: \"the task that reads\""),
    ("hears", "\"sees\""),
    ("heard of", "\"saw\""),
    ("comes to rest", "\"has nothing left to do\""),
    ("lead on to", "say what it gets: \"an edge to ...\""),
    ("that is none", "say what is wrong with it: \"an invalid ...\""),
    ("that are none", "say what is wrong with them: \"invalid ...\""),
    ("is none of", "\"is not one of\", \"does not belong to\""),
    ("are none of", "\"are not among\", \"do not belong to\""),
    ("what it is to", "\"what it does\", \"what it must do\""),
    ("memory domain", "\"memcg\""),
];

/// The text outside of fenced code; fenced lines become a dot each, which no phrase contains.
fn outside_fences(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        out.push_str(if fence || fenced { "." } else { line });
        out.push('\n');
    }
    out
}

/// Every word with its offset.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// The offsets at which `phrase` begins: its words in a row, with only white space between them.
fn find(text: &str, words: &[(usize, &str)], phrase: &str) -> Vec<usize> {
    let wanted: Vec<&str> = phrase.split(' ').collect();
    let same = |window: &&[(usize, &str)]| {
        let words = window.iter().map(|(_, word)| word);
        words.zip(&wanted).all(|(word, wanted)| word.eq_ignore_ascii_case(wanted))
    };
    let joined = |window: &&[(usize, &str)]| {
        window.windows(2).all(|pair| {
            let end = pair[0].0 + pair[0].1.len();
            text[end..pair[1].0].trim().is_empty()
        })
    };
    words.windows(wanted.len()).filter(same).filter(joined).map(|window| window[0].0).collect()
}

/// What is wrong with `prose`, which has the lines of the file at `path`.
fn complaints(path: &str, prose: &str) -> Vec<String> {
    let prose = outside_fences(prose);
    let words: Vec<(usize, &str)> = words(&prose).collect();
    let mut complaints = Vec::new();
    for (phrase, instead) in PHRASES {
        for at in find(&prose, &words, phrase) {
            let line = line_of(&prose, at);
            complaints.push(format!("{path}:{line}: do not write \"{phrase}\"; {instead}"));
        }
    }
    complaints
}

fn check(file: &File) -> Vec<String> {
    let File { path, text } = file;
    if path.ends_with(".md") { complaints(path, text) } else { complaints(path, &comments(text)) }
}

#[test]
fn comments_and_markdown_use_none_of_the_listed_phrases() {
    let files = [rust_files(), markdown_files()].concat();
    assert_tidy(files.iter().flat_map(check).collect());
}

#[track_caller]
fn planted(path: &str, text: &str, expected: &[&str]) {
    assert_complaints(&check(&File { path: path.to_owned(), text: text.to_owned() }), expected);
}

#[test]
fn every_listed_phrase_is_found_in_a_comment_and_in_markdown() {
    for (phrase, _) in PHRASES {
        planted("a.rs", &format!("//! It says\n//! {phrase} and more.\nuse x;\n"), &["a.rs:2: "]);
        planted("a.md", &format!("# Title\n\nIt says {phrase} and more.\n"), &["a.md:3: "]);
    }
}

#[test]
fn a_phrase_is_found_across_a_line_break() {
    planted(
        "a.rs",
        "/// It is for\n/// who asks.\nfn f() {}\n",
        &["a.rs:1: do not write \"for who\""],
    );
    planted("a.rs", "let a = 1; // For who asks.\n", &["a.rs:1"]);
    planted("a.md", "It is for\nwho asks.\n", &["a.md:1"]);
}

#[test]
fn code_literals_and_other_words_are_left_alone() {
    planted("a.rs", "let for_who = \"for who\"; // for\nlet x; // who\n", &[]);
    planted("a.rs", "// It is for. Who asks?\n// for whom, for whoever\n", &[]);
    planted("a.rs", "//! ```\n//! for who\n//! ```\n", &[]);
    planted("a.md", "```\nfor who\n```\n", &[]);
}
