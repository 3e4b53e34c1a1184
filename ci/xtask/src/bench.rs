//! The performance table: runs the benches, reads what criterion estimated, writes
//! `harness/docs/performance.md`.
//!
//! Key types: [`Row`], [`Table`]. A comparison's estimate is a ratio, one millisecond for 1; the
//! table stands between two marks of the page, and what is written around it stays.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{cargo, run};

const PAGE: &str = "harness/docs/performance.md";
const BEGIN: &str = "<!-- written by `ci/run bench` -->\n";
const END: &str = "<!-- end -->\n";

/// One comparison: what is measured, against what, and the bound, if there is one.
struct Row {
    what: &'static str,
    against: &'static str,
    /// The bench's group and its two competitors.
    bench: [&'static str; 3],
    bound: Option<f64>,
}

const fn row(
    what: &'static str,
    against: &'static str,
    bench: [&'static str; 3],
    bound: Option<f64>,
) -> Row {
    Row { what, against, bench, bound }
}

const GET_SET: &str = "get and set of a const thread-local `Cell<u32>`";
const LOAD: &str = "load of that cell";
const LOAD_AND: &str = "load of that cell, and an and";
const BOX: &str = "`System`, box of 64 bytes";
const GROWTH: &str = "`System`, growth from 1 to 64 MiB";
const TENTH: &str = "a tenth as many";
const MODEL: &str = "the same schedules, unjudged";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("scope: enter and leave", GET_SET, ["scope", "enter-exit", "thread-local-get-set"], Some(2.0)),
    row("layer: enter and leave", LOAD, ["scope", "layer", "thread-local-load"], Some(2.0)),
    row("effective mask", LOAD_AND, ["scope", "effective", "thread-local-load-and"], Some(1.5)),
    row("effective mask, in a scope", LOAD_AND, ["scope", "effective-in-scope", "thread-local-load-and"], Some(2.5)),
    row("failpoint that no rule arms", "relaxed load and branch", ["failpoint", "pass", "relaxed-load"], Some(1.2)),
    row("heap hook", BOX, ["heap-box", "reclaimdep", "system"], Some(1.05)),
    row("`assert_no_alloc`", BOX, ["heap-box", "assert_no_alloc", "system"], None),
    row("`tracking-allocator`", BOX, ["heap-box", "tracking-allocator", "system"], None),
    row("`stats_alloc`", BOX, ["heap-box", "stats_alloc", "system"], None),
    row("heap hook", GROWTH, ["heap-growth", "reclaimdep", "system"], Some(1.05)),
    row("`stats_alloc`", GROWTH, ["heap-growth", "stats_alloc", "system"], None),
    row("`assert_no_alloc`", GROWTH, ["heap-growth", "assert_no_alloc", "system"], None),
    row("`tracking-allocator`", GROWTH, ["heap-growth", "tracking-allocator", "system"], None),
    row("2014's stack on the model tier, all judges", MODEL, ["judging", "storage", "unjudged"], Some(2.0)),
    row("locks and scopes on the model tier, all judges", MODEL, ["judging", "locks", "unjudged"], Some(2.0)),
    row("order graph of 10,000 classes and 100,000 edges: a new edge, median", "1 us", ["order", "median", "microsecond"], Some(2.0)),
    row("the same, the slowest of all edges", "1 ms", ["order", "slowest", "millisecond"], None),
    row("the same after a cycle was found, median", "1 us", ["order", "median-after-cycle", "microsecond"], Some(2.0)),
    row("1,000,000 recorded events, judged from a file", "1 s", ["recorded", "million", "second"], Some(2.0)),
    row("1,000,000 block events of 10,000 tasks, judged from a file", TENTH, ["linear", "block", "tenth"], Some(12.0)),
    row("6,760 blocked tasks of a hung-task text, judged", TENTH, ["linear", "blocked", "tenth"], Some(12.0)),
    row("bufio: 32 MiB written back in order, to a loop device on disk", "plain 128 KiB, one at a time", ["writeback", "sequential", "one-by-one"], None),
];

/// The harness's benches.
const BENCHES: [&str; 5] = ["scope", "heap", "inject", "judges", "writeback"];

/// The group that takes root and loop devices; where there are none its rows stay empty.
const PRIVILEGED: &str = "writeback";

/// What is reported in nanoseconds beside the table: scopes on a task of a world, whose observer
/// ignores them.
const IN_WORLD: [(&str, &str); 2] = [("a scope", "enter-exit"), ("a layer", "layer")];
/// Calls in one turn of the benches.
const CALLS: f64 = 10_000.0;

/// Runs the benches and writes the table.
///
/// # Errors
/// What could not be run, read or written; and, with the table written, which bound is not met.
pub(crate) fn bench() -> Result<(), String> {
    let benches: Vec<&str> = BENCHES.iter().flat_map(|name| ["--bench", name]).collect();
    let estimates =
        Path::new(&std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into()))
            .join("criterion");
    // What cannot be measured here must not be read from an earlier run.
    drop(fs::remove_dir_all(estimates.join(PRIVILEGED)));
    run(cargo(
        &[
            &["bench", "--package", "reclaimdep", "--features", "loop"][..],
            &benches,
            &["--", "--quiet"],
        ]
        .concat(),
    ))?;
    let table = Table::read(&estimates)?;
    let page = fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
    let page =
        with_table(&page, &format!("{}\n{}\n{}", machine(), table.text(), in_world(&estimates)?))
            .ok_or_else(|| {
            format!(
                "{PAGE}: it has no place for the table, between `{}` and `{}`",
                BEGIN.trim(),
                END.trim()
            )
        })?;
    fs::write(PAGE, page).map_err(|error| format!("{PAGE}: {error}"))?;
    println!("{}", table.text());
    match table.over() {
        over if over.is_empty() => Ok(()),
        over => Err(format!("over the bound: {}", over.join(", "))),
    }
}

fn in_world(estimates: &Path) -> Result<String, String> {
    let told = |(what, name): &(&str, &str)| {
        let nanos = estimate(&estimates.join("scope-in-world").join(name))? / CALLS;
        Ok(format!("{what} {nanos:.0} ns"))
    };
    let told: Vec<_> = IN_WORLD.iter().map(told).collect::<Result<_, String>>()?;
    Ok(format!(
        "On a task of a world whose observer ignores it, to enter and leave: {}.\n",
        told.join(", ")
    ))
}

/// The estimate of the bench whose folder this is, in nanoseconds.
fn estimate(bench: &Path) -> Result<f64, String> {
    let file = bench.join("new/estimates.json");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    median(&text).ok_or_else(|| format!("{}: it has no median", file.display()))
}

/// The measured ratios, one for each row; none for one that could not be measured here.
struct Table(Vec<Option<f64>>);

impl Table {
    fn read(estimates: &Path) -> Result<Self, String> {
        let ratio = |row: &Row| {
            let bench = row.bench.iter().fold(estimates.to_owned(), |path, part| path.join(part));
            match estimate(&bench) {
                Err(_) if row.bench[0] == PRIVILEGED && !bench.exists() => Ok(None),
                measured => measured.map(|nanos| Some(nanos / 1e6)),
            }
        };
        ROWS.iter().map(ratio).collect::<Result<_, _>>().map(Self)
    }

    fn rows(&self) -> impl Iterator<Item = (&'static Row, Option<f64>)> {
        ROWS.iter().zip(self.0.iter().copied())
    }

    fn text(&self) -> String {
        let mut text =
            String::from("| what | against | ratio | bound | |\n|---|---|---|---|---|\n");
        for (Row { what, against, bound, .. }, ratio) in self.rows() {
            let verdict = match (bound, ratio) {
                (_, None) => "takes root",
                (Some(bound), Some(ratio)) => {
                    if ratio <= *bound {
                        "ok"
                    } else {
                        "over"
                    }
                }
                (None, Some(_)) => "",
            };
            let bound = bound.map_or_else(String::new, |bound| format!("<= {bound}"));
            let ratio = ratio.map_or_else(String::new, |ratio| {
                let digits = if ratio < 10.0 { 2 } else { 0 };
                format!("{ratio:.digits$}")
            });
            text += &format!("| {what} | {against} | {ratio} | {bound} | {verdict} |\n");
        }
        text
    }

    fn over(&self) -> Vec<String> {
        let measured = self.rows().filter_map(|(row, ratio)| Some((row, ratio?)));
        let over = measured.filter(|(row, ratio)| row.bound.is_some_and(|bound| *ratio > bound));
        over.map(|(row, ratio)| format!("{} ({ratio:.2} against {})", row.what, row.against))
            .collect()
    }
}

/// The point estimate of the median in an `estimates.json`. The format is flat enough to need no
/// reader.
fn median(json: &str) -> Option<f64> {
    let (_, rest) = json.split_once("\"median\":")?;
    let (_, rest) = rest.split_once("\"point_estimate\":")?;
    rest.split([',', '}']).next()?.trim().parse().ok()
}

/// The page with `table` between its marks.
fn with_table(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

/// What the numbers were measured on: they are compared with those of the same machine.
fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc
        .map_or_else(|_| String::new(), |out| String::from_utf8_lossy(&out.stdout).into_owned());
    format!("{model}, {}.\n", rustc.split(" (").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTIMATES: &str = r#"{"mean":{"confidence_interval":{"upper_bound":9.0},"point_estimate":8.0},
        "median":{"confidence_interval":{"lower_bound":1.0},"point_estimate":1050000.5,"standard_error":0.1}}"#;

    #[test]
    fn the_median_is_read_and_no_other_estimate() {
        assert_eq!(median(ESTIMATES), Some(1_050_000.5));
        assert_eq!(median("{}"), None);
    }

    #[test]
    fn the_table_replaces_what_stands_between_its_marks() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(with_table(&page, "new\n"), Some(format!("before\n{BEGIN}new\n{END}after\n")));
        assert_eq!(with_table("no marks", "new\n"), None);
    }

    #[test]
    fn a_ratio_beyond_its_bound_is_over() {
        let mut table = Table(vec![Some(0.5); ROWS.len()]);
        assert!(table.over().is_empty() && !table.text().contains("over"));
        let hook = ROWS.iter().position(|row| row.what == "heap hook").unwrap();
        table.0[hook] = Some(1.06);
        assert_eq!(table.over(), ["heap hook (1.06 against `System`, box of 64 bytes)"]);
        assert!(table.text().contains("| 1.06 | <= 1.05 | over |"));
    }

    #[test]
    fn what_was_not_measured_is_neither_kept_nor_over() {
        let table = Table(vec![None; ROWS.len()]);
        assert!(table.over().is_empty() && table.text().contains("|  | <= 1.05 | takes root |"));
    }

    #[test]
    fn every_comparison_of_the_table_is_one_that_a_bench_makes() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../harness/benches");
        let read = |name: &&str| fs::read_to_string(root.join(format!("{name}.rs"))).unwrap();
        let benches: String = BENCHES.iter().map(read).collect();
        for name in ROWS.iter().flat_map(|row| row.bench) {
            assert!(benches.contains(&format!("\"{name}\"")), "{name}");
        }
        let rounds = fs::read_to_string(root.join("rounds/mod.rs")).unwrap();
        assert!(rounds.contains("CALLS: u32 = 10_000;"), "as many calls as are divided by here");
    }
}
