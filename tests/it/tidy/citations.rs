//! Citations of the description of kernel behaviour, and links between pages, lead somewhere.
//!
//! A citation is the page's path from `harness/`, a comma, and a heading in quotation marks; more
//! headings of the same page may follow with a comma or "and". It may wrap over lines of a comment.
//! A page without a heading stands for all of it.

use super::source::{File, line_of, markdown_files, root, rust_files};
use super::{assert_complaints, assert_tidy};

/// The pages' folder, as citations write it. Joined, so that this file cites nothing by itself.
const FOLDER: &str = concat!("docs/", "kernel/");

/// How descriptions outside of the repository were cited. Joined, as above.
const OUTSIDE: &str = concat!("project's ", "description");

/// A file's text on one line: comment marks are gone, white space is one blank.
struct Flat {
    text: String,
    /// Where each line of the file begins in `text`.
    lines: Vec<usize>,
}

impl Flat {
    fn of(file: &File) -> Self {
        let rust = is_rust(file);
        let (mut text, mut lines) = (String::new(), Vec::new());
        for line in file.text.lines() {
            lines.push(text.len());
            let mut line = line.trim();
            if rust {
                line = line.trim_start_matches('/').trim_start_matches('!').trim_start();
            }
            text.push_str(line);
            text.push(' ');
        }
        Self { text, lines }
    }

    /// The line, from 1, of byte `at`.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at)
    }
}

fn is_rust(file: &File) -> bool {
    std::path::Path::new(&file.path).extension().is_some_and(|extension| extension == "rs")
}

/// What is wrong with the citations of `file`; `read` gives a page's text by its path.
fn check(file: &File, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let flat = Flat::of(file);
    let mut complaints = Vec::new();
    for (at, _) in flat.text.match_indices(FOLDER) {
        let place = format!("{}:{}", file.path, flat.line(at));
        let cited = &flat.text[at + FOLDER.len()..];
        let name = &cited[..name_len(cited)];
        if name.is_empty() {
            continue; // The folder itself.
        }
        let Some(page) = read(&format!("harness/{FOLDER}{name}")) else {
            complaints.push(format!("{place}: there is no page `{FOLDER}{name}`"));
            continue;
        };
        let known = headings(&page);
        for heading in cited_headings(&cited[name.len()..]) {
            if !known.contains(&heading) {
                complaints.push(format!("{place}: `{FOLDER}{name}` has no heading `{heading}`"));
            }
        }
    }
    complaints
}

/// How long the page's name is that `cited` begins with; a dot that ends a sentence is not part.
fn name_len(cited: &str) -> usize {
    let end = cited.find(|c: char| !c.is_alphanumeric() && !"-_.".contains(c));
    cited[..end.unwrap_or(cited.len())].trim_end_matches('.').len()
}

/// The headings that follow a page's name.
fn cited_headings(after: &str) -> Vec<&str> {
    let mut rest = after.trim_start_matches('`');
    let mut found = Vec::new();
    loop {
        // A remark in parentheses may stand between two headings.
        let skipped = rest.trim_start();
        if !found.is_empty() && skipped.starts_with('(') {
            rest = skipped.split_once(')').map_or("", |(_, after)| after);
        }
        let link = if found.is_empty() { &[", "][..] } else { &[", and ", ", ", " and "][..] };
        let Some(next) = link.iter().find_map(|link| rest.strip_prefix(link)?.strip_prefix('"'))
        else {
            return found;
        };
        let Some((heading, after)) = next.split_once('"') else { return found };
        found.push(heading);
        rest = after;
    }
}

/// The headings of a page of Markdown, outside of code.
fn headings(page: &str) -> Vec<&str> {
    let mut code = false;
    page.lines()
        .filter(|line| {
            code ^= line.starts_with("```");
            !code && line.starts_with('#')
        })
        .map(|line| line.trim_start_matches('#').trim())
        .collect()
}

/// What is wrong with the links of a page of Markdown; `read` gives a file's text by its path.
fn check_links(file: &File, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, _) in file.text.match_indices("](") {
        let Some((target, _)) = file.text[at + 2..].split_once(')') else { continue };
        let place = format!("{}:{}", file.path, line_of(&file.text, at));
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        if target.contains("://") || target.contains(char::is_whitespace) {
            continue;
        }
        let path = if path.is_empty() { file.path.clone() } else { beside(&file.path, path) };
        match read(&path) {
            None => complaints.push(format!("{place}: there is no `{path}`")),
            Some(page) if !anchor.is_empty() && !has_anchor(&page, anchor) => {
                complaints.push(format!("{place}: `{path}` has no anchor `{anchor}`"));
            }
            Some(_) => {}
        }
    }
    complaints
}

/// The path of `target` as a link of `page` means it.
fn beside(page: &str, target: &str) -> String {
    let mut folders: Vec<&str> = page.split('/').collect();
    folders.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(folders.pop()),
            "." => {}
            part => folders.push(part),
        }
    }
    folders.join("/")
}

fn has_anchor(page: &str, anchor: &str) -> bool {
    page.contains(&format!("<a id=\"{anchor}\">"))
        || headings(page).iter().any(|heading| slug(heading) == anchor)
}

/// The anchor that a heading gets when the page is shown.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Citations of a description that a reader of the repository does not have.
fn check_outside(file: &File) -> Vec<String> {
    let flat = Flat::of(file);
    let found = flat.text.match_indices(OUTSIDE);
    found
        .map(|(at, _)| {
            let place = format!("{}:{}", file.path, flat.line(at));
            format!("{place}: cites no page; write the page in `{FOLDER}` and its heading")
        })
        .collect()
}

/// Names that stand twice on a page: a citation could mean either.
fn check_page(file: &File) -> Vec<String> {
    let known = headings(&file.text);
    let twice = known.iter().enumerate().filter(|(at, heading)| known[..*at].contains(heading));
    twice.map(|(_, heading)| format!("{}: `{heading}` stands twice", file.path)).collect()
}

/// A file of the tree; a folder counts as empty.
fn read(path: &str) -> Option<String> {
    let path = root().join(path);
    if path.is_dir() { Some(String::new()) } else { std::fs::read_to_string(path).ok() }
}

#[test]
fn every_citation_names_a_page_and_a_heading_that_exist() {
    let mut files = rust_files();
    files.extend(markdown_files());
    assert_tidy(files.iter().flat_map(|file| check(file, read)).collect());
}

#[test]
fn no_text_cites_a_description_outside_of_the_repository() {
    let mut files = rust_files();
    files.extend(markdown_files());
    assert_tidy(files.iter().flat_map(check_outside).collect());
}

#[test]
fn every_link_of_markdown_leads_to_a_file_and_an_anchor() {
    assert_tidy(markdown_files().iter().flat_map(|file| check_links(file, read)).collect());
}

#[test]
fn no_heading_of_the_description_stands_twice_on_its_page() {
    let pages = markdown_files();
    let pages: Vec<&File> = pages.iter().filter(|file| file.path.contains(FOLDER)).collect();
    assert!(pages.len() > 10, "the description has only {} pages", pages.len());
    assert_tidy(pages.into_iter().flat_map(check_page).collect());
}

const PAGE: &str =
    "# Masks\n\n## Bits\n\n```\n# not one\n```\n\n## It's I/O\n| <a id=\"f1\"></a>F1 |\n";

fn one_page(path: &str) -> Option<String> {
    (path == format!("harness/{FOLDER}masks.md")).then(|| PAGE.to_owned())
}

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.replace("KERNEL/", FOLDER) }
}

#[track_caller]
fn planted(path: &str, text: &str, expected: &[&str]) {
    assert_complaints(&check(&file(path, text), one_page), expected);
}

#[test]
fn citations_that_lead_somewhere_are_accepted() {
    planted("x.rs", "//! Written from KERNEL/masks.md, \"Bits\".\n", &[]);
    planted("x.rs", "/// See KERNEL/masks.md,\n    /// \"It's\n    /// I/O\" and \"Bits\".\n", &[]);
    planted(
        "x.rs",
        "// KERNEL/masks.md, \"Bits\" (step 1) and \"It's I/O\", \"other\"\n",
        &["no heading `other`"],
    );
    planted("x.md", "From `KERNEL/masks.md`, \"Bits\". The folder is `KERNEL/`.\n", &[]);
    planted("x.md", "All of KERNEL/masks.md. \"Quoted\" is no heading.\n", &[]);
}

#[test]
fn a_citation_of_a_page_that_does_not_exist_is_found() {
    planted("x.rs", "//! a\n//! KERNEL/scopes.md, \"Bits\"\n", &["x.rs:2: there is no page"]);
    planted("x.rs", "//! KERNEL/masks, \"Bits\"\n", &["there is no page"]);
}

#[test]
fn a_citation_of_a_heading_that_does_not_exist_is_found() {
    planted("x.rs", "//! KERNEL/masks.md, \"Byte\"\n", &["has no heading `Byte`"]);
    planted("x.rs", "//! KERNEL/masks.md, \"not one\"\n", &["has no heading `not one`"]);
    planted("x.rs", "//! KERNEL/masks.md, \"Bits\", \"A\" and\n//! \"B\"\n", &["`A`", "`B`"]);
}

#[test]
fn a_citation_of_a_description_outside_is_found_across_a_line_break() {
    let (first, second) = OUTSIDE.split_once(' ').expect("it has two words");
    let text = format!("//! a\n//! from the {first}\n//! {second} of x, 1.6\n");
    assert_complaints(&check_outside(&file("x.rs", &text)), &["x.rs:2: cites no page"]);
    let text = "//! a description of the project\n";
    assert_complaints(&check_outside(&file("x.rs", text)), &[]);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let links = |text: &str, expected: &[&str]| {
        let page = file(&format!("harness/{FOLDER}masks.md"), text);
        assert_complaints(&check_links(&page, one_page), expected);
    };
    links("[a](masks.md) [b](masks.md#bits) [c](masks.md#its-io) [d](#bits)", &[]);
    links("[a](https://example.org/x) [b](masks.md#f1) [c](../kernel/masks.md)", &[]);
    links("[a](scopes.md)", &["masks.md:1: there is no"]);
    links("\n[a](masks.md#byte)", &["has no anchor `byte`"]);
}

#[test]
fn a_heading_that_stands_twice_is_found() {
    let page = file("x.md", "# A\n\n## B\n\n## B\n");
    assert_complaints(&check_page(&page), &["x.md: `B` stands twice"]);
}
