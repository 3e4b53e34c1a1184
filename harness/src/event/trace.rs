//! `Trace`: every nondeterministic choice of a run, in order.
//!
//! Key types: [`Choice`], [`Trace`]. Only real choices are kept: a step with one runnable task, or
//! a number below one, is not a choice. Reading the list back gives the same run. The text form is
//! one line: `t3` is "task 3 ran", `n2` is "the number 2 came up", `*5` repeats the choice before
//! it.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::TaskId;
use crate::error::Error;

/// One choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// This task ran next.
    Task(TaskId),
    /// This number came up.
    Number(u32),
}

/// The choices of one run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Trace(pub Vec<Choice>);

/// A longer trace is refused: a few characters of text could otherwise ask for all memory.
const MAX_REPEAT: usize = 10_000_000;

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "t{}", task.0),
            Self::Number(number) => write!(f, "n{number}"),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sep = "";
        for run in self.0.chunk_by(|a, b| a == b) {
            write!(f, "{sep}{}", run[0])?;
            if run.len() > 1 {
                write!(f, "*{}", run.len())?;
            }
            sep = ".";
        }
        Ok(())
    }
}

impl FromStr for Trace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut choices = Vec::new();
        for (position, word) in text.split('.').filter(|word| !word.is_empty()).enumerate() {
            let bad = || {
                Error::input(format!(
                    "`{word}` at position {position} of the trace is not a choice"
                ))
                .advice(
                    "a trace is words like t3, n2 or t3*5 joined by dots, as a report prints it",
                )
            };
            let (choice, repeat) = word.split_once('*').unwrap_or((word, "1"));
            let repeat: usize = repeat.parse().map_err(|_| bad())?;
            let (kind, number) = choice.split_at_checked(1).ok_or_else(bad)?;
            let number: u32 = number.parse().map_err(|_| bad())?;
            let choice = match kind {
                "t" => Choice::Task(TaskId(number)),
                "n" => Choice::Number(number),
                _ => return Err(bad()),
            };
            if choices.len() + repeat > MAX_REPEAT {
                return Err(bad());
            }
            choices.extend(std::iter::repeat_n(choice, repeat));
        }
        Ok(Self(choices))
    }
}

impl TryFrom<String> for Trace {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Trace> for String {
    fn from(trace: Trace) -> Self {
        trace.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_reads_back_what_it_prints() {
        let t = |n| Choice::Task(TaskId(n));
        let trace = Trace(vec![t(0), t(0), t(2), Choice::Number(7), t(2)]);
        assert_eq!(trace.to_string(), "t0*2.t2.n7.t2");
        assert_eq!(trace.to_string().parse::<Trace>().unwrap(), trace);
    }

    #[test]
    fn other_text_is_refused_by_position() {
        for (text, position) in [("t1.x2", 1), ("t", 0), ("t1*99999999999", 0), ("t0.t1.7", 2)] {
            let message = text.parse::<Trace>().unwrap_err().to_string();
            assert!(message.contains(&format!("position {position}")), "{text}: {message}");
        }
    }
}
