//! The judges under mutation: cargo-mutants changes them in one place at a time, and a test must
//! fail.
//!
//! Key types: [`Outcomes`], [`Page`]. Two passes. The first runs in a small copy of the tree (see
//! [`tree`]) that builds in a second or two. A mutant that passes there, and has no reason on the
//! page, runs again in the whole workspace, whose worlds and cases test the judges too. A mutant
//! that passes both must be on the page, with its reason.

mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, run, succeeds};
use crate::jobs::{Outcome, Reason};

const PAGE: &str = "harness/docs/mutants.md";
const BEGIN: &str = "<!-- written by `ci/run mutants` -->\n";
const END: &str = "<!-- end -->\n";
const FOLDER: &str = "target/mutants";
const CONFIG: &str = ".cargo/mutants.toml";
/// The percentage of viable mutants that must be caught.
const BOUND: f64 = 90.0;
/// A mutant that eats memory dies of it before the machine does: KiB of address space for each
/// process.
const MEMORY_KIB: u32 = 6_000_000;
/// Copies of the tree in which mutants are built and tried at the same time, in each pass. The
/// first build of a copy of the whole workspace costs more than many mutants.
const JOBS: [&str; 2] = ["2", "1"];
/// Seconds for the tests in the small copy, and in the whole workspace.
const TIMEOUTS: [&str; 2] = ["30", "240"];
/// A test that takes longer than all others of the small copy together. The second pass runs it.
const LONG: &str = "any_events_in_any_order";

/// Runs both passes and writes the numbers into the page.
pub(crate) fn mutants() -> Outcome {
    if !succeeds(cargo(&["mutants", "--version"])) {
        let text =
            "cargo mutants is not installed; `cargo install cargo-mutants --locked` brings it"
                .to_owned();
        return Outcome::Skipped(Reason { text, for_loop_tier: false });
    }
    judge().into()
}

fn judge() -> Result<(), String> {
    let copy = Path::new(FOLDER).join("tree");
    tree::write(Path::new("."), &copy)?;
    let page = fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
    let small = Outcomes::of(&first_pass(&copy)?)?;
    let strange = Page(&page).lacks(&small.missed);
    let whole = if strange.is_empty() {
        Outcomes::default()
    } else {
        Outcomes::of(&second_pass(&strange)?)?
    };
    let numbers = numbers(&small, &whole);
    let page = Page(&page).with(&numbers).ok_or_else(|| {
        format!(
            "{PAGE}: it has no place for the numbers, between `{}` and `{}`",
            BEGIN.trim(),
            END.trim()
        )
    })?;
    fs::write(PAGE, &page).map_err(|error| format!("{PAGE}: {error}"))?;
    println!("{numbers}");
    let missed = missed(&small, &whole);
    for reason in Page(&page).idle(&small.missed) {
        println!("{PAGE} gives a reason for a mutant that is caught, or gone: {reason}");
    }
    let strange: Vec<String> =
        Page(&page).lacks(&missed).iter().map(|name| without_place(name)).collect();
    match percent(small.viable() - missed.len(), small.viable()) {
        caught if caught < BOUND => Err(format!("{caught:.1} % are caught, fewer than {BOUND} %")),
        _ if strange.is_empty() => Ok(()),
        _ => Err(format!("not caught, and {PAGE} gives no reason:\n{}", strange.join("\n"))),
    }
}

/// Runs every mutant in the copy.
fn first_pass(copy: &Path) -> Result<PathBuf, String> {
    let out = absolute(FOLDER)?.join("small");
    let config = absolute(CONFIG)?;
    let mut command = cargo_mutants(copy, &out, 0);
    // It stands below `target`, which git ignores.
    command.arg("--gitignore=false");
    command.arg("--config").arg(config).args(["--package", "reclaimdep"]);
    command.args(["--", "--lib", "--", "--skip", LONG]);
    finished(command, &out)
}

/// Runs in the workspace the mutants that the first pass missed.
fn second_pass(mutants: &[String]) -> Result<PathBuf, String> {
    const TESTS: [&str; 2] = ["--lib", "--test=it"];
    // cargo-mutants would try the unchanged tree with the mutated package alone, which has no such
    // test.
    run(cargo(&[&["test", "--quiet", "--workspace"][..], &TESTS].concat()))?;
    let out = absolute(FOLDER)?.join("whole");
    let mut command = cargo_mutants(Path::new("."), &out, 1);
    for name in mutants {
        command.arg("--re").arg(format!("^{}$", escaped(name)));
    }
    command.args(["--baseline=skip", "--test-workspace=true"]);
    command.args(TESTS.map(|test| format!("--cargo-test-arg={test}")));
    finished(command, &out)
}

/// The command, under a limit of memory and below everything else that runs.
fn cargo_mutants(tree: &Path, out: &Path, pass: usize) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -v {MEMORY_KIB}; exec nice cargo mutants \"$@\""))
        .arg("cargo-mutants");
    command.arg("--dir").arg(tree).arg("--output").arg(out);
    command.args([
        "--no-shuffle",
        "--colors=never",
        "--jobs",
        JOBS[pass],
        "--timeout",
        TIMEOUTS[pass],
    ]);
    command
}

/// Runs the command. Missed mutants and timeouts are results, not errors.
fn finished(mut command: Command, out: &Path) -> Result<PathBuf, String> {
    const ANSWERS: [i32; 3] = [0, 2, 3];
    let lists = out.join("mutants.out");
    // The list of an earlier run must not be taken for the list of this one.
    let _ = fs::remove_dir_all(&lists);
    let status = command.status().map_err(|error| format!("cargo mutants: {error}"))?;
    match status.code() {
        Some(code) if ANSWERS.contains(&code) => Ok(lists),
        _ => Err(format!("cargo mutants: {status}; its log is in {}", lists.display())),
    }
}

fn absolute(path: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{path}: {error}"))
}

/// `name` as a regular expression that matches `name`. Only special characters are escaped,
/// because `\<` would have a meaning.
fn escaped(name: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
    name.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// How the mutants of one pass ended, by name.
#[derive(Default)]
struct Outcomes {
    caught: Vec<String>,
    timeout: Vec<String>,
    unviable: Vec<String>,
    missed: Vec<String>,
}

impl Outcomes {
    fn of(lists: &Path) -> Result<Self, String> {
        let list = |name: &str| -> Result<Vec<String>, String> {
            let file = lists.join(format!("{name}.txt"));
            let text = fs::read_to_string(&file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            Ok(text.lines().map(str::to_owned).collect())
        };
        Ok(Self {
            caught: list("caught")?,
            timeout: list("timeout")?,
            unviable: list("unviable")?,
            missed: list("missed")?,
        })
    }

    /// The number of mutants that can be built.
    fn viable(&self) -> usize {
        self.caught.len() + self.timeout.len() + self.missed.len()
    }
}

/// The mutants that the first pass missed and the second did not catch, if it tried them.
fn missed(small: &Outcomes, whole: &Outcomes) -> Vec<String> {
    let caught = |name: &String| whole.caught.contains(name) || whole.timeout.contains(name);
    small.missed.iter().filter(|name| !caught(name)).cloned().collect()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
fn percent(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { 100.0 * part as f64 / of as f64 }
}

/// The file of a mutant, below the judges' folder: `order/dag.rs`.
fn file(name: &str) -> &str {
    let path = name.split(':').next().unwrap_or(name);
    path.strip_prefix("harness/src/witness/").unwrap_or(path)
}

/// A mutant without its place, which moves with every line above it.
fn without_place(name: &str) -> String {
    let what = name.splitn(4, ':').nth(3).unwrap_or(name);
    format!("{}:{what}", file(name))
}

/// The table: a row for each file and one for all.
fn numbers(small: &Outcomes, whole: &Outcomes) -> String {
    let mut text = String::from(
        "| file | viable | caught by its column | hangs | caught by worlds | not caught | caught |\n|---|---|---|---|---|---|---|\n",
    );
    let lists = [&small.caught, &small.timeout, &small.missed];
    let missed = missed(small, whole);
    let files: BTreeSet<&str> = lists.into_iter().flatten().map(|name| file(name)).collect();
    let mut row = |what: &str, of: &dyn Fn(&str) -> bool| {
        let count = |list: &[String]| list.iter().filter(|name| of(name)).count();
        let [caught, hangs, first] = lists.map(|list| count(list));
        let missed = count(&missed);
        let viable = caught + hangs + first;
        let share = percent(viable - missed, viable);
        text += &format!(
            "| {what} | {viable} | {caught} | {hangs} | {} | {missed} | {share:.1} % |\n",
            first - missed
        );
    };
    for name in files {
        row(&format!("`{name}`"), &|mutant| file(mutant) == name);
    }
    row("all", &|_| true);
    let unviable = small.unviable.len();
    format!("{text}\n{unviable} more cannot be built.\n")
}

/// The page of the numbers and of what is not caught.
struct Page<'a>(&'a str);

impl Page<'_> {
    /// The page with `numbers` between its marks.
    fn with(&self, numbers: &str) -> Option<String> {
        let (before, rest) = self.0.split_once(BEGIN)?;
        let (_, after) = rest.split_once(END)?;
        Some(format!("{before}{BEGIN}{numbers}{END}{after}"))
    }

    /// The mutants that it does not name.
    fn lacks(&self, missed: &[String]) -> Vec<String> {
        missed
            .iter()
            .filter(|name| !self.0.contains(&format!("`{}`", without_place(name))))
            .cloned()
            .collect()
    }

    /// Entries with a reason that name no current mutant.
    fn idle(&self, missed: &[String]) -> Vec<&str> {
        let missed: BTreeSet<String> = missed.iter().map(|name| without_place(name)).collect();
        let named = self.0.lines().filter_map(|line| line.strip_prefix("- `")?.split('`').next());
        named.filter(|name| name.contains(".rs: ") && !missed.contains(*name)).collect()
    }
}

#[cfg(test)]
mod tests;
