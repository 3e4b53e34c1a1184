//! The parts of a stack by name, and what is said where a name is wrong.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// The part of this name.
///
/// # Errors
/// As [`unknown`].
pub(super) fn find<'a, T>(map: &'a BTreeMap<String, T>, what: &str, name: &str) -> Result<&'a T> {
    map.get(name).ok_or_else(|| unknown(map, what, name))
}

/// That no `what` has this name, and which there are.
pub(super) fn unknown<T>(map: &BTreeMap<String, T>, what: &str, name: &str) -> Error {
    let known = map.keys().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
    let advice =
        if known.is_empty() { format!("the stack has no {what}") } else { format!("use one of {known}") };
    Error::input(format!("no {what} is called `{name}`")).advice(advice)
}

/// Adds a part.
///
/// # Errors
/// If there is one of this name.
pub(super) fn define<T>(map: &mut BTreeMap<String, T>, what: &str, name: &str, value: T) -> Result<()> {
    match map.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Error::input(format!("two of a kind: the {what} `{name}` is defined twice"))),
    }
}
