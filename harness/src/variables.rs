//! The environment variables of the project, read and checked in one place.
//!
//! Key items: [`VARIABLES`], the table; [`check`], which every program of the project calls first;
//! [`RequiredTiers`]; and a function for each variable that something reads. An invalid value is an
//! error that names the variable, the bad word, and what is accepted.

mod table;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use table::distance;
pub use table::{
    CHILD, CHILD_RUN, DEADLINE, PREFIX, REPLAY, REPORT_DIR, REQUIRE, TIERS, VARIABLES, Variable,
};

use crate::Tier;
use crate::error::{Error, Result, visible_os};
use crate::event::Trace;

/// The tiers that must run: where one cannot, that is a failure and no skip.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RequiredTiers(Vec<Tier>);

impl RequiredTiers {
    /// The tiers that [`REQUIRE`] names; none where it is not set.
    ///
    /// # Errors
    /// Input, where it names a tier that does not exist.
    pub fn from_env() -> Result<Self> {
        value(REQUIRE)?.map_or_else(|| Ok(Self::default()), |list| Self::parse(&list))
    }

    /// Reads a list of tiers, separated by commas.
    ///
    /// # Errors
    /// Input, where it names a tier that does not exist.
    pub fn parse(list: &str) -> Result<Self> {
        let words = table::required_tiers(list).map_err(Error::input)?;
        words.into_iter().map(str::parse).collect::<Result<_>>().map(Self)
    }

    /// Whether `tier` must run.
    #[must_use]
    pub fn contains(&self, tier: Tier) -> bool {
        self.0.contains(&tier)
    }
}

/// The process that supervises this one, as [`CHILD`] names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Supervisor {
    /// The version of the messages between the two.
    pub protocol: u32,
    /// Its process number.
    pub pid: u32,
}

impl Supervisor {
    /// Reads a value of [`CHILD`].
    ///
    /// # Errors
    /// Misuse, where it is not two numbers.
    pub fn parse(text: &str) -> Result<Self> {
        let numbers = text.split_once(':').and_then(|(protocol, pid)| {
            Some(Self { protocol: protocol.parse().ok()?, pid: pid.parse().ok()? })
        });
        numbers.ok_or_else(|| not(CHILD, text, "PROTOCOL:PID, two numbers"))
    }

    /// The value of [`CHILD`] that says so.
    #[must_use]
    pub fn value(self) -> String {
        format!("{}:{}", self.protocol, self.pid)
    }
}

/// Checks the project's variables in the environment of this process, names and values.
///
/// # Errors
/// A variable that begins with [`PREFIX`] and is not in the table; a value that cannot be read.
pub fn check() -> Result<()> {
    let names: Vec<String> = std::env::vars_os().map(|(name, _)| visible_os(name)).collect();
    table::check_names(names.iter().map(String::as_str)).map_err(Error::input)?;
    RequiredTiers::from_env()?;
    replay()?;
    deadline()?;
    supervisor()?;
    child_run()?;
    Ok(())
}

/// The schedule that [`REPLAY`] asks for.
///
/// # Errors
/// Input, where it is not a trace.
pub fn replay() -> Result<Option<Trace>> {
    value(REPLAY)?.map(|text| read_replay(&text)).transpose()
}

/// The time that [`DEADLINE`] asks for; zero for no deadline.
///
/// # Errors
/// Input, where it is no time.
pub fn deadline() -> Result<Option<Duration>> {
    value(DEADLINE)?.map(|text| read_deadline(&text)).transpose()
}

fn read_deadline(text: &str) -> Result<Duration> {
    time(text)
        .map_err(|accepted| Error::input(format!("{DEADLINE}={text}: the value is not {accepted}")))
}

/// The folder that [`REPORT_DIR`] asks for; none where it is empty.
#[must_use]
pub fn report_dir() -> Option<PathBuf> {
    std::env::var_os(REPORT_DIR).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The supervisor that [`CHILD`] names.
///
/// # Errors
/// Misuse, where the value is not one of this harness.
pub fn supervisor() -> Result<Option<Supervisor>> {
    value(CHILD)?.map(|text| Supervisor::parse(&text)).transpose()
}

/// The run of its test that this process is for, from 0, as [`CHILD_RUN`] says.
///
/// # Errors
/// Misuse, where the value is no number.
pub fn child_run() -> Result<Option<u32>> {
    value(CHILD_RUN)?.map(|text| read_child_run(&text)).transpose()
}

fn read_replay(text: &str) -> Result<Trace> {
    text.parse().map_err(|error: Error| Error::input(format!("{REPLAY}={text}")).because(error))
}

fn read_child_run(text: &str) -> Result<u32> {
    text.parse().map_err(|_| not(CHILD_RUN, text, "the number of a run, from 0"))
}

fn not(name: &str, text: &str, accepted: &str) -> Error {
    Error::misuse(format!("{name}={text}: the value is not {accepted}"))
}

/// The value of the variable of this name, if it is set.
fn value(name: &str) -> Result<Option<String>> {
    let Some(value) = std::env::var_os(name) else {
        return Ok(None);
    };
    let not_text = |value: std::ffi::OsString| {
        Error::input(format!("{name}={}: the value is not UTF-8", visible_os(value)))
    };
    value.into_string().map(Some).map_err(not_text)
}

/// The time that `text` says; zero where it is `0`.
///
/// # Errors
/// What is accepted.
pub(crate) fn time(text: &str) -> Result<Duration, &'static str> {
    const ACCEPTED: &str = "a whole number of `ms` or `s`, or `0`";
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1000),
    };
    let has_unit = digits.len() < text.len() || text == "0";
    let millis = digits.parse::<u64>().ok().filter(|_| has_unit && !digits.starts_with('+'));
    millis.and_then(|count| count.checked_mul(unit)).map(Duration::from_millis).ok_or(ACCEPTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_required(list: &str, tiers: &[Tier]) {
        assert_eq!(RequiredTiers::parse(list).unwrap(), RequiredTiers(tiers.to_vec()), "{list}");
    }

    #[test]
    fn required_tiers_are_separated_by_commas_and_may_be_none() {
        check_required("", &[]);
        check_required(" , ", &[]);
        check_required("loop", &[Tier::Loop]);
        check_required("native, loop ,model", &[Tier::Native, Tier::Loop, Tier::Model]);
    }

    #[track_caller]
    fn check_refused<T: std::fmt::Debug>(read: Result<T>, says: &[&str]) {
        let message = read.unwrap_err().to_string();
        assert!(says.iter().all(|part| message.contains(part)), "{message}");
    }

    #[test]
    fn an_error_names_the_variable_the_bad_word_and_what_is_accepted() {
        for (list, word) in
            [("loops", "`loops`"), ("1", "`1`"), ("loop,moon", "`moon`"), ("Loop", "`Loop`")]
        {
            let says = [REQUIRE, list, word, "model, native, loop"];
            check_refused(RequiredTiers::parse(list), &says);
        }
        for text in ["10", "-1s", "1.5s", "s", "ms", "", "+1s", "10 s", "99999999999999999999s"] {
            check_refused(read_deadline(text), &[DEADLINE, text, "`ms` or `s`"]);
        }
        check_refused(read_replay("hello"), &[REPLAY, "`hello`", "t3*5"]);
        check_refused(Supervisor::parse("1"), &[CHILD, "=1:", "PROTOCOL:PID"]);
        check_refused(read_child_run("-1"), &[CHILD_RUN, "=-1:", "the number of a run"]);
    }

    #[test]
    fn a_deadline_has_a_unit_and_zero_turns_it_off() {
        for (text, millis) in [("200ms", 200), ("10s", 10_000), ("0", 0), ("0s", 0)] {
            assert_eq!(read_deadline(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn a_supervisor_is_read_as_it_was_written() {
        let supervisor = Supervisor { protocol: 1, pid: 4711 };
        assert_eq!(Supervisor::parse(&supervisor.value()).unwrap(), supervisor);
    }

    #[test]
    fn the_tiers_of_the_table_are_those_of_the_library() {
        let tiers: Vec<_> = Tier::ALL.iter().map(|tier| tier.name()).collect();
        assert_eq!(TIERS, tiers);
    }

    #[track_caller]
    fn check_unknown(rest: &str, nearest: &str) {
        let name = format!("{PREFIX}{rest}");
        let message = table::check_names(["PATH", REQUIRE, &name]).unwrap_err();
        assert!(
            message.contains(&name) && message.ends_with(&format!("did you mean {nearest}?")),
            "{message}"
        );
    }

    #[test]
    fn an_unknown_variable_is_refused_with_the_nearest_known_one() {
        check_unknown("REQUIRES", REQUIRE);
        check_unknown("RQUIRE", REQUIRE);
        check_unknown("REPORTDIR", REPORT_DIR);
        check_unknown("REPLAI", REPLAY);
        let strange = format!("{PREFIX}FOO");
        let message = table::check_names([strange.as_str()]).unwrap_err();
        assert!(message.contains(&format!("{strange}; there are {REQUIRE}")), "{message}");
        let known = VARIABLES.iter().map(|variable| variable.name);
        assert_eq!(table::check_names(known.chain(["PATH", "RECLAIM"])), Ok(()));
    }
}
