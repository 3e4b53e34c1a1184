//! The parts of a stack by name, and the errors where a name is wrong.

use std::collections::BTreeMap;

use super::spec::{Disk, FsSpec, LoopSpec};
use crate::error::{Error, Result};

/// The part of this name.
///
/// # Errors
/// No such part; the error lists the parts that exist.
pub(super) fn find<'a, T>(map: &'a BTreeMap<String, T>, what: &str, name: &str) -> Result<&'a T> {
    map.get(name).ok_or_else(|| missing("", map, what, name))
}

/// The part of this name, on which the part `user` rests: `bufio client meta`.
///
/// # Errors
/// No such part; the error names `user` and lists the parts that exist.
pub(super) fn below<'a, T>(
    user: &str,
    map: &'a BTreeMap<String, T>,
    what: &str,
    name: &str,
) -> Result<&'a T> {
    map.get(name).ok_or_else(|| unknown(user, map, what, name))
}

/// The error where no `what` has the name that `user` asks for.
fn unknown<T>(user: &str, map: &BTreeMap<String, T>, what: &str, name: &str) -> Error {
    missing(&format!("{user}: "), map, what, name)
}

fn missing<T>(user: &str, map: &BTreeMap<String, T>, what: &str, name: &str) -> Error {
    let known = map.keys().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
    let advice = if known.is_empty() {
        format!("the stack has no {what}")
    } else {
        format!("use one of {known}")
    };
    Error::input(format!("{user}no {what} is called `{name}`")).advice(advice)
}

/// Checks that the name is free, before anything is made under it.
///
/// # Errors
/// If there is a `what` of this name.
pub(super) fn free<T>(map: &BTreeMap<String, T>, what: &str, name: &str) -> Result<()> {
    match map.get(name) {
        None => Ok(()),
        Some(_) => Err(Error::input(format!("the {what} `{name}` is defined twice"))
            .advice("give each a name of its own")),
    }
}

/// Adds a part.
///
/// # Errors
/// If there is one of this name.
pub(super) fn define<T>(
    map: &mut BTreeMap<String, T>,
    what: &str,
    name: &str,
    value: T,
) -> Result<()> {
    free(map, what, name)?;
    map.insert(name.to_owned(), value);
    Ok(())
}

/// The error where none of the remaining parts can be built.
pub(super) fn stands_on_nothing<F, D>(
    (built, attached): (&BTreeMap<String, F>, &BTreeMap<String, D>),
    fs: &[&FsSpec],
    loops: &[&LoopSpec],
) -> Error {
    let missing_fs = |device: &&&LoopSpec| !fs.iter().any(|fs| fs.name == device.fs);
    if let Some(device) = loops.iter().find(missing_fs) {
        return unknown(&format!("loop device `{}`", device.name), built, "filesystem", &device.fs);
    }
    let on = fs.iter().filter_map(|fs| match &fs.disk {
        Disk::Loop(device) => Some((&fs.name, device)),
        Disk::Memory | Disk::TempFile => None,
    });
    let (mut names, mut missing) = (Vec::new(), None);
    for (fs, device) in on {
        names.push(format!("fs `{fs}` on loop device `{device}`"));
        if !loops.iter().any(|spec| spec.name == *device) {
            missing.get_or_insert((fs, device));
        }
    }
    if let Some((fs, device)) = missing {
        return unknown(&format!("fs `{fs}`"), attached, "loop device", device);
    }
    names.extend(
        loops.iter().map(|device| format!("loop device `{}` on fs `{}`", device.name, device.fs)),
    );
    Error::input(format!(
        "these parts of the stack are built on each other in a cycle: {}",
        names.join(", ")
    ))
    .advice("put the lowest filesystem on a disk: `memory` or `temp-file`")
}
