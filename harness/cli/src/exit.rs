//! `Exit`: how the program ends. One table that the help texts, `docs/exit-codes.md` and the tests
//! read.

use std::fmt::Write as _;

/// How a verb ended; the exit status is its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Nothing was found, or everything is as expected.
    AsExpected = 0,
    /// Something was found, or something is not as expected.
    Found = 1,
    /// The harness failed, or its input is invalid.
    Trouble = 2,
    /// Something is likely wrong.
    Likely = 3,
    /// What can go wrong was seen, and it did not go wrong.
    Hazard = 4,
    /// Something does not go on, and the reason is not known.
    Stall = 5,
    /// Nothing can be said.
    Inconclusive = 6,
}

impl Exit {
    /// Every end, in the order of its number.
    pub(crate) const ALL: [Self; 7] = [
        Self::AsExpected,
        Self::Found,
        Self::Trouble,
        Self::Likely,
        Self::Hazard,
        Self::Stall,
        Self::Inconclusive,
    ];

    /// Of several ends, the first in this order is that of the whole.
    const WORST_FIRST: [Self; 7] = [
        Self::Trouble,
        Self::Found,
        Self::Likely,
        Self::Hazard,
        Self::Stall,
        Self::Inconclusive,
        Self::AsExpected,
    ];

    /// The exit status.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// What the number means, whichever verb ends with it.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::AsExpected => "nothing found, or everything as expected",
            Self::Found => "something found, or not as expected",
            Self::Trouble => "the harness failed, or its input is invalid",
            Self::Likely => "likely wrong (no verb ends so yet)",
            Self::Hazard => "a hazard (no verb ends so yet)",
            Self::Stall => "a stall without a known reason (no verb ends so yet)",
            Self::Inconclusive => "nothing can be said",
        }
    }

    /// The end of two things together.
    pub(crate) fn and(self, other: Self) -> Self {
        let either = |end: &Self| *end == self || *end == other;
        Self::WORST_FIRST.into_iter().find(either).unwrap_or(self)
    }
}

/// The ends of a verb, in the order of their numbers.
type Ends = &'static [(Exit, &'static str)];

const TROUBLE: &str = "an argument or a variable is invalid, or the output cannot be written";

/// When each verb ends how.
pub(crate) const VERBS: &[(&str, Ends)] = &[
    (
        "run",
        &[
            (Exit::AsExpected, "every run that took place is what its case expects"),
            (
                Exit::Found,
                "a run is not what its case expects, a tier that must run cannot run here, or a step is \
                 not needed (`--minimal`)",
            ),
            (
                Exit::Trouble,
                "a run failed; invalid arguments or variables; the output cannot be written",
            ),
            (Exit::Inconclusive, "no run took place: every one was skipped"),
        ],
    ),
    (
        "judge",
        &[
            (Exit::AsExpected, "nothing found in any file"),
            (Exit::Found, "something found in a file"),
            (
                Exit::Trouble,
                "a file cannot be read to its end or is no recording; else as for the other verbs",
            ),
            (Exit::Inconclusive, "nothing found, and in a file a task waits for something unknown"),
        ],
    ),
    (
        "doctor",
        &[
            (Exit::AsExpected, "every tier that must run can run here"),
            (Exit::Found, "a tier that RECLAIMDEP_REQUIRE names cannot run here"),
            (Exit::Trouble, TROUBLE),
        ],
    ),
    (
        "matrix",
        &[
            (Exit::AsExpected, "every run is what its case expects"),
            (Exit::Found, "a run is not what its case expects"),
            (
                Exit::Trouble,
                "a run failed; invalid arguments or variables; the output cannot be written",
            ),
        ],
    ),
    ("show", &[(Exit::AsExpected, "always"), (Exit::Trouble, TROUBLE)]),
    ("words", &[(Exit::AsExpected, "always"), (Exit::Trouble, TROUBLE)]),
    (
        "new",
        &[
            (Exit::AsExpected, "the file is written"),
            (Exit::Trouble, "the name is no id; there is such a file, or it cannot be written"),
        ],
    ),
    ("explain", &[(Exit::AsExpected, "always"), (Exit::Trouble, TROUBLE)]),
    ("list", &[(Exit::AsExpected, "always"), (Exit::Trouble, TROUBLE)]),
];

/// The table of all verbs, for the help text.
pub(crate) fn help() -> String {
    rows("Exit status:", Exit::ALL.map(|end| (end, end.meaning())))
}

/// The table of one verb, for its help text.
pub(crate) fn help_of(verb: &str) -> String {
    let ends = VERBS.iter().find(|(name, _)| *name == verb).map_or(&[][..], |(_, ends)| ends);
    rows("Exit status:", ends.iter().copied())
}

fn rows(title: &str, ends: impl IntoIterator<Item = (Exit, &'static str)>) -> String {
    ends.into_iter().fold(title.to_owned(), |mut text, (end, when)| {
        let _ = write!(text, "\n  {}  {when}", end.code());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_same_tables() {
        let page = include_str!("../../docs/exit-codes.md");
        for end in Exit::ALL {
            let row = format!("| {} | {} |\n", end.code(), end.meaning());
            assert!(page.contains(&row), "{row}");
        }
        for (verb, ends) in VERBS {
            for (end, when) in *ends {
                let row = format!("| `{verb}` | {} | {when} |\n", end.code());
                assert!(page.contains(&row), "{row}");
            }
        }
        let rows = VERBS.iter().map(|(_, ends)| ends.len()).sum::<usize>() + Exit::ALL.len();
        let on_page = page.lines().filter(|line| {
            let mut cells = line.split('|').map(str::trim);
            cells.any(|cell| cell.len() == 1 && cell.parse::<u8>().is_ok())
        });
        assert_eq!(on_page.count(), rows, "no row more");
    }

    #[test]
    fn numbers_are_in_order_and_trouble_comes_first() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 6]);
        for end in Exit::ALL {
            assert!(Exit::WORST_FIRST.contains(&end));
            assert_eq!(end.and(Exit::AsExpected), end);
            assert_eq!(Exit::AsExpected.and(end), end);
            assert_eq!(end.and(Exit::Trouble), Exit::Trouble);
        }
        assert_eq!(Exit::Found.and(Exit::Inconclusive), Exit::Found);
    }
}
