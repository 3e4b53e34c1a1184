//! Text to [`Case`]: the header, then each variant as a file of its own, then the rows.
//!
//! | module | what it reads |
//! |---|---|
//! | `table` | a table, by the fields of the registry |
//! | `variants` | what `in` and values by variant leave |
//! | `links` | names inside `[stack]` |
//! | `parts` | the parts |
//! | `steps` | the programs |
//! | `rows` | what must be found |

mod links;
mod parts;
mod rows;
mod steps;
mod table;
mod variants;

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::nearest::advise;
use super::place::Source;
use super::script::{Case, Origin, Script, Task};
use super::words::{HEADER, PARTS, TASK, Value};
use crate::error::Result;
use crate::event::try_intern;
use steps::Reader;
use table::{Entry, Node, check_value, short};
use variants::Variant;

pub(super) const MAX_BYTES: usize = 1 << 20;
const MAX_TASKS: u32 = 1_000;

/// Reads a file; names and balance are checked later.
pub(super) fn case(source: &Source<'_>) -> Result<Case> {
    if source.text.len() > MAX_BYTES {
        let error = source.error(0, format!("a case has at most {MAX_BYTES} bytes"));
        return Err(error.advice("split the file into several cases"));
    }
    let Some(path) = try_intern(source.path) else {
        return Err(source.error(0, "there is no room for more names in this process"));
    };
    let root = DeTable::parse(source.text).map_err(|error| source.toml_error(&error))?;
    let root = root.get_ref();
    let head = header(source, root)?;
    let variants = variants::names(source, head.node("variants"))?;
    let scripts = variants
        .iter()
        .map(|name| {
            let file = Variant { source, name, all: &variants }.file(root)?;
            script(source, name, &file)
        })
        .collect::<Result<Vec<_>>>()?;
    let year = head.number("year").and_then(|year| u16::try_from(year).ok());
    Ok(Case {
        path,
        id: head.word("id"),
        title: head.word("title"),
        citation: head.texts("citation").into_iter().flatten().map(|(text, _)| text).collect(),
        shape: head.word("shape"),
        origin: match head.word("source").as_str() {
            "constructed" => Origin::Constructed,
            _ => Origin::Reported,
        },
        reported: head.text("reported"),
        evidence: head.text("evidence"),
        year,
        reclaims: head.bool("reclaims"),
        rows: rows::rows(source, head.node("expect"), &variants)?,
        scripts,
    })
}

/// The fields of the top of the file. Parts are tables of their own.
fn header<'a>(source: &'a Source<'a>, root: &'a DeTable<'a>) -> Result<Entry<'a>> {
    let known = || HEADER.iter().map(|f| f.name).chain(PARTS.iter().map(|part| part.name));
    for (key, node) in root {
        let name = key.get_ref().as_ref();
        if let Some(part) = super::words::part(name) {
            check_value(source, name, part.value, node)?;
        } else if !known().any(|known| known == name) {
            let text = format!("no part or field is called `{}`", short(name));
            return Err(advise(source.error(key.span().start, text), name, known()));
        }
    }
    Entry::of_file(source, root, HEADER)
}

/// Each table of an array of tables.
fn tables<'a>(
    source: &Source<'_>,
    file: &'a DeTable<'a>,
    name: &str,
) -> Result<Vec<(&'a DeTable<'a>, usize)>> {
    let list = file.get(name).and_then(|node| node.get_ref().as_array());
    let table = |node: &'a Node<'a>| match node.get_ref() {
        DeValue::Table(table) => Ok((table, node.span().start)),
        other => Err(source
            .error(node.span().start, format!("`{name}` is of type {}", other.type_str()))
            .advice(format!("write [[{name}]]"))),
    };
    list.into_iter().flatten().map(table).collect()
}

fn script<'i>(source: &Source<'_>, variant: &str, file: &DeTable<'i>) -> Result<Script> {
    let stack = spec(source, file.get("stack"))?;
    let plan = spec(source, file.get("plan"))?;
    links::check(source, file.get("stack"), &stack)?;
    let stack_line = file.get("stack").map_or(1, |node| source.line(node.span().start));
    let mut reader =
        Reader { source, stack: &stack, stack_line, names: BTreeMap::new(), steps: Cell::new(0) };
    let found = parts::names(&mut reader, file)?;
    let parts = parts::parts(&reader, &found)?;
    let mut tasks = Vec::new();
    let mut copies = 0_u32;
    for (table, at) in tables(source, file, "task")? {
        let entry = Entry::new(source, (table, at), ("a task", TASK.fields), None)?;
        copies = copies.saturating_add(entry.count("copies"));
        if tasks.len() >= MAX_TASKS as usize || copies > MAX_TASKS {
            let text = format!("a case has at most {MAX_TASKS} tasks, copies included");
            return Err(source.error(at, text).advice("use fewer copies"));
        }
        tasks.push(Task {
            name: entry.word("name"),
            copies: entry.count("copies"),
            steps: reader.program(entry.node("step"), 0)?,
            line: source.line(at),
        });
    }
    if let Some(node) = file.get("settle") {
        check_value(source, "settle", Value::Program, node)?;
    }
    let settle = reader.program(file.get("settle"), 0)?;
    Ok(Script { variant: variant.to_owned(), stack, plan, parts, tasks, settle })
}

/// The library's own data; the default where nothing is written.
fn spec<T: DeserializeOwned + Default>(source: &Source<'_>, node: Option<&Node<'_>>) -> Result<T> {
    let Some(node) = node else {
        return Ok(T::default());
    };
    T::deserialize(ValueDeserializer::from(node.clone())).map_err(|error| source.toml_error(&error))
}
