//! Reading the tree, and what of a file is code.
//!
//! Key functions: [`root`], [`rust_files`], [`code`]. This is no parser: comments and literals
//! become blanks, and items under `#[cfg(test)]` too, by counting braces. What is left keeps its
//! lines.

use std::path::{Path, PathBuf};

/// A file of the tree: its path from the root, and its text.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

/// The workspace's folder.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests' package is in the workspace")
        .to_owned()
}

/// Every Rust file of the workspace, in path order.
pub(super) fn rust_files() -> Vec<File> {
    let files = files("rs");
    assert!(files.len() > 40, "the walk found only {} Rust files", files.len());
    files
}

/// Every Markdown file of the workspace, in path order.
pub(super) fn markdown_files() -> Vec<File> {
    let mut files = files("md");
    let text = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    files.push(File { path: "README.md".to_owned(), text });
    assert!(files.len() > 10, "the walk found only {} Markdown files", files.len());
    files
}

fn files(extension: &str) -> Vec<File> {
    let mut files = Vec::new();
    for member in ["harness", "fixtures", "tests", "ci"] {
        collect(&root().join(member), extension, &mut files);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(folder: &Path, extension: &str, files: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the workspace can be read") {
        let path = entry.expect("a folder of the workspace can be read").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, extension, files);
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = std::fs::read_to_string(&path).expect("a source file is text");
            let path = path.strip_prefix(root()).expect("it is below the root");
            files.push(File { path: path.to_str().expect("paths are text").to_owned(), text });
        }
    }
}

/// The line, from 1, of byte `offset`.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Where `word` stands in `text` as a word of its own.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back().is_some_and(part_of_word);
        let after = text[at + word.len()..].chars().next().is_some_and(part_of_word);
        !before && !after
    })
}

/// The file without comments, literals and test items.
pub(super) fn code(text: &str) -> String {
    without_tests(&without_comments(text))
}

fn blank(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let opaque = opaque_len(rest);
        if opaque > 0 {
            let (gone, after) = rest.split_at(opaque);
            blank(&mut out, gone);
            rest = after;
        } else {
            // A word is copied whole, so that the `r` of a name does not open a raw string.
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let len = if word > 0 { word } else { rest.chars().next().map_or(1, char::len_utf8) };
            let (kept, after) = rest.split_at(len);
            out.push_str(kept);
            rest = after;
        }
    }
    out
}

/// Bytes of the comment or literal that `rest` begins with; 0 for none.
fn opaque_len(rest: &str) -> usize {
    let to = |end: Option<usize>| end.unwrap_or(rest.len());
    if rest.starts_with("//") {
        return to(rest.find('\n'));
    }
    if rest.starts_with("/*") {
        return to(rest.find("*/").map(|end| end + 2));
    }
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'));
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let open = rest.len() - raw.len() + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            return to(rest[open..].find(&close).map(|end| open + end + close.len()));
        }
    }
    if rest.starts_with('"') {
        return quoted_len(rest, b'"');
    }
    let character = rest.starts_with('\'')
        && (rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\''));
    if character { quoted_len(rest, b'\'') } else { 0 }
}

fn quoted_len(rest: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

const TEST_ITEM: &str = "#[cfg(test)]";

fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(TEST_ITEM) {
        out.push_str(&rest[..start]);
        let item = &rest[start..];
        let end = item_end(item);
        blank(&mut out, &item[..end]);
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

/// Where the first item of `code` ends: at a `;` outside braces, or after its braces.
fn item_end(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[track_caller]
fn check(text: &str, left: &str) {
    assert_eq!(code(text), left);
}

#[test]
fn comments_and_literals_are_not_code() {
    check("a /* b */ c // d\ne", "a         c     \ne");
    check("f(\"x\\\"y\", r#\"z\"w\"#, 'q', '\\'')", "f(      ,         ,    ,     )");
    check("fn for_ever<'a>(number: &'a str)", "fn for_ever<'a>(number: &'a str)");
}

#[test]
fn items_under_cfg_test_are_not_code() {
    check("a\n#[cfg(test)]\nmod t { fn f() {} }\nb", "a\n            \n                   \nb");
    check("#[cfg(test)] use x; b", "                    b");
}
