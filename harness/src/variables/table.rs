//! The environment variables of the project: one table, and the parser of its list of tiers.
//!
//! Key items: [`VARIABLES`], [`required_tiers`]. `ci/xtask` is built before everything else and
//! depends on nothing, so it includes this file by its path: this file may use `std` alone.

/// Every variable of the project begins so.
pub const PREFIX: &str = "RECLAIMDEP_";

/// Tiers that must run.
pub const REQUIRE: &str = "RECLAIMDEP_REQUIRE";
/// The schedule that a test replays.
pub const REPLAY: &str = "RECLAIMDEP_REPLAY";
/// The folder for reports.
pub const REPORT_DIR: &str = "RECLAIMDEP_REPORT_DIR";
/// How long a run may go without a scheduling point.
pub const DEADLINE: &str = "RECLAIMDEP_DEADLINE";
/// The supervisor of a child process.
pub const CHILD: &str = "RECLAIMDEP_CHILD";
/// The run that a child process is for.
pub const CHILD_RUN: &str = "RECLAIMDEP_CHILD_RUN";

/// An environment variable: a row of [`VARIABLES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Which values it takes.
    pub values: &'static str,
    /// What it does, and in which programs.
    pub meaning: &'static str,
}

/// Every environment variable of the project. `docs/variables.md` shows the same table.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: REQUIRE,
        values: "tiers (`model`, `native`, `loop`), separated by commas; may be empty",
        meaning: "a test or case that cannot run on one of these tiers fails and is not skipped",
    },
    Variable {
        name: REPLAY,
        values: "a trace, as a report prints it",
        meaning: "a test of the attribute runs this schedule alone, on the model tier",
    },
    Variable {
        name: REPORT_DIR,
        values: "a folder; made if need be",
        meaning: "tests and `run` write each report with findings there, in every form",
    },
    Variable {
        name: DEADLINE,
        values: "a time (`200ms`, `10s`); `0` for none",
        meaning: "a run without a scheduling point for so long ends (RD05), whatever it says itself",
    },
    Variable {
        name: CHILD,
        values: "`PROTOCOL:PID`, two numbers",
        meaning: "set by the loop tier for the process in which a run takes place: its supervisor",
    },
    Variable {
        name: CHILD_RUN,
        values: "a number, from 0",
        meaning: "set by the loop tier with the former: which run of the test the process is for",
    },
    Variable {
        name: "RECLAIMDEP_BUFIO_SCHEDULES",
        values: "a number",
        meaning: "for tests only: schedules of dm-bufio's programs in `tests/it/bufio`",
    },
    Variable {
        name: "RECLAIMDEP_BUFIO_STEPS",
        values: "a number",
        meaning: "for tests only: steps of the random programs in `tests/it/bufio`",
    },
];

/// The tiers that [`REQUIRE`] may name, least demanding first.
pub const TIERS: &[&str] = &["model", "native", "loop"];

/// The tiers of `list`, a value of [`REQUIRE`].
///
/// # Errors
/// A sentence that names the variable, the word that is no tier, and the tiers.
pub(crate) fn required_tiers(list: &str) -> Result<Vec<&'static str>, String> {
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
    let tier = |word| {
        TIERS.iter().copied().find(|tier| *tier == word).ok_or_else(|| {
            let known = TIERS.join(", ");
            format!("{REQUIRE}={list}: unknown tier `{word}`; use one of {known}")
        })
    };
    words.map(tier).collect()
}

/// Finds a name that begins as the project's variables do and is not in the table.
///
/// # Errors
/// A sentence that names it and the variable whose name is nearest.
pub(crate) fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let known = |name: &str| VARIABLES.iter().any(|variable| variable.name == name);
    let unknown = names.into_iter().find(|name| name.starts_with(PREFIX) && !known(name));
    let Some(name) = unknown else {
        return Ok(());
    };
    let near = |variable: &&Variable| distance(variable.name, name) <= MAX_DISTANCE;
    let nearest = VARIABLES.iter().filter(near).min_by_key(|known| distance(known.name, name));
    let known = match nearest {
        Some(nearest) => format!("did you mean {}?", nearest.name),
        None => {
            let names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
            format!("there are {}", names.join(", "))
        }
    };
    Err(format!("unknown environment variable {name}; {known}"))
}

/// Names that differ in more letters are not taken for a misspelling.
const MAX_DISTANCE: usize = 3;

/// How many letters must be added, removed or replaced to make one word of the other.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (up, letter) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], up + 1);
        for (left, beside) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != beside);
            diagonal = row[left + 1];
            row[left + 1] = replaced.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[other.len()]
}
