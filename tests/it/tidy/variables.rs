//! Every environment variable of the project is in its table, and the page of variables shows it.

use reclaimdep::kernel::variables::{PREFIX, VARIABLES, Variable};

use super::source::{File, root};
use super::{assert_complaints, assert_tidy};

/// The page, from the root.
const PAGE: &str = "harness/docs/variables.md";
/// The names of past releases stay in it.
const HISTORY: &str = "harness/CHANGELOG.md";

fn check(file: &File) -> Vec<String> {
    let File { path, text } = file;
    let in_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices(PREFIX) {
            let rest = &line[at..];
            let name = &rest[..rest.find(|c| !in_name(c)).unwrap_or(rest.len())];
            let known = VARIABLES.iter().any(|variable| variable.name == name);
            if name != PREFIX && !known {
                complaints.push(format!(
                    "{path}:{}: {name} is not in the table of harness/src/variables/table.rs",
                    number + 1
                ));
            }
        }
    }
    complaints
}

/// The table as the page must show it.
fn rendered(variables: &[Variable]) -> String {
    let row = |Variable { name, values, meaning }: &Variable| {
        format!("| `{name}` | {values} | {meaning} |\n")
    };
    let rows: String = variables.iter().map(row).collect();
    format!("| variable | values | meaning |\n|---|---|---|\n{rows}")
}

/// What is wrong with the page.
fn check_page(page: &str, variables: &[Variable]) -> Vec<String> {
    let table = rendered(variables);
    if page.contains(&table) {
        return Vec::new();
    }
    vec![format!("{PAGE}: put this table into it:\n{table}")]
}

/// Every file in which a variable may be named.
fn files() -> Vec<File> {
    let kinds = ["rs", "sh", "yml", "md", "toml"];
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the workspace can be read") {
            let path = entry.expect("a folder of the workspace can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let kind = path.extension().and_then(|kind| kind.to_str());
            if path.is_dir() && !["target", ".git"].contains(&name) {
                folders.push(path);
            } else if path.is_file()
                && (kind.is_some_and(|kind| kinds.contains(&kind))
                    || ["run", "setup"].contains(&name))
            {
                let text = std::fs::read_to_string(&path).expect("such a file is text");
                let path = path.strip_prefix(root()).expect("it is below the root");
                files.push(File { path: path.to_str().expect("paths are text").to_owned(), text });
            }
        }
    }
    assert!(files.len() > 100, "the walk lost its way: {} files", files.len());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

#[test]
fn every_variable_that_the_tree_names_is_in_the_table() {
    let named = files();
    assert_tidy(named.iter().filter(|file| file.path != HISTORY).flat_map(check).collect());
}

#[test]
fn the_page_of_variables_shows_the_table() {
    let page = std::fs::read_to_string(root().join(PAGE)).unwrap_or_default();
    assert_tidy(check_page(&page, VARIABLES));
}

#[test]
fn a_variable_that_is_not_in_the_table_is_found() {
    let planted = |path: &str| File {
        path: path.to_owned(),
        text: format!("first\nlet x = var(\"{PREFIX}MOON\");\n{PREFIX}* and {PREFIX}REQUIRE\n"),
    };
    for path in ["harness/src/x.rs", "README.md", ".github/workflows/ci.yml"] {
        let expected = format!("{path}:2: {PREFIX}MOON");
        assert_complaints(&check(&planted(path)), &[&expected]);
    }
}

#[test]
fn a_page_that_lacks_a_row_is_found() {
    let page = rendered(&VARIABLES[1..]);
    assert_complaints(&check_page(&page, VARIABLES), &[VARIABLES[0].name]);
    assert_complaints(&check_page(&rendered(VARIABLES), VARIABLES), &[]);
}
