//! Parts: first every name, so that programs can use parts that follow; then what each is.

use toml::de::DeTable;

use super::steps::Reader;
use super::table::{Entry, short};
use super::tables;
use crate::case::script::{LockKind, Nested, Part, PartRef, What};
use crate::case::words::{DEVICES, PARTS, Word};
use crate::error::Result;
use crate::stack::{Disk, LoopSpec, StackSpec};
use crate::units::Ticks;

const MAX_PARTS: usize = 1_000;

/// A part whose fields have been checked.
pub(super) struct Found<'a> {
    word: &'static Word,
    entry: Entry<'a>,
}

/// Finds every part, in the order of the file, and names it to the reader.
pub(super) fn names<'a>(reader: &mut Reader<'a>, file: &'a DeTable<'a>) -> Result<Vec<Found<'a>>> {
    let source = reader.source;
    let mut all = Vec::new();
    for word in PARTS {
        for table in tables(source, file, word.name)? {
            all.push((word, table));
        }
    }
    all.sort_by_key(|(_, (_, at))| *at);
    if let Some((_, (_, at))) = all.get(MAX_PARTS) {
        let error = source.error(*at, format!("a case has at most {MAX_PARTS} parts"));
        return Err(error.advice("use fewer parts"));
    }
    let stack = reader.stack;
    let ports: Vec<&str> = (stack.fs.iter().map(|fs| fs.name.as_str()))
        .chain(stack.loops.iter().map(|device| device.name.as_str()))
        .chain(stack.bufio.iter().map(|client| client.name.as_str()))
        .collect();
    let mut found = Vec::new();
    for (index, (word, table)) in all.into_iter().enumerate() {
        let entry = Entry::new(source, table, (&format!("a {}", word.name), word.fields), None)?;
        let name = entry.word("name");
        let taken = ports.contains(&name.as_str());
        if taken || reader.names.insert(name.clone(), (word.name, PartRef(index))).is_some() {
            let error =
                entry.error("name", format!("the name `{}` is defined twice", short(&name)));
            return Err(error.advice("give each part a name of its own"));
        }
        found.push(Found { word, entry });
    }
    for (index, device) in free_loops(stack).enumerate() {
        let part = PartRef(found.len() + index);
        let _new = reader.names.insert(device.name.clone(), ("loop", part));
    }
    Ok(found)
}

/// The loop devices on which parts may be: no filesystem, whose blocks they would overwrite.
fn free_loops(stack: &StackSpec) -> impl Iterator<Item = &LoopSpec> {
    let has_fs = |device: &LoopSpec| {
        stack.fs.iter().any(|fs| matches!(&fs.disk, Disk::Loop(name) if *name == device.name))
    };
    stack.loops.iter().filter(move |device| !has_fs(device))
}

/// What each part is.
pub(super) fn parts<'a>(reader: &Reader<'a>, found: &[Found<'a>]) -> Result<Vec<Part>> {
    let part = |found: &Found<'a>| {
        Ok(Part {
            name: found.entry.word("name"),
            line: reader.source.line(found.entry.at),
            what: what(reader, found)?,
        })
    };
    let ports = free_loops(reader.stack).map(|device| {
        Ok(Part { name: device.name.clone(), line: reader.stack_line, what: What::Loop })
    });
    found.iter().map(part).chain(ports).collect()
}

fn what<'a>(reader: &Reader<'a>, Found { word, entry }: &Found<'a>) -> Result<What> {
    let program = |field: &str| reader.program(entry.node(field), 0);
    let number = |field: &str| entry.number(field).unwrap_or(0);
    let on = |kinds: &[&str]| {
        entry.node("on").map(|node| reader.part(kinds, node).map(|(_, part)| part)).transpose()
    };
    Ok(match word.name {
        "lock" => lock(entry),
        "flag" => What::Flag { set: entry.bool("set") },
        "count" => What::Count { from: entry.count("from") },
        "space" => space(reader, entry)?,
        "pool" => What::Pool { min: entry.count("min"), order: entry.count("order") },
        "queue" => What::Queue {
            mem_reclaim: entry.bool("mem-reclaim"),
            workers: entry.count("workers"),
            new_worker_allocates: entry.node("new-worker").is_some(),
        },
        "work" => match on(&["queue"])? {
            Some(on) => What::Work { on, steps: program("step")? },
            None => return Err(entry.error("on", "the work item is on no queue")),
        },
        "device" => What::Device {
            served_by: entry.text("served-by"),
            user: entry.bool("user"),
            threads: entry.count("threads"),
            serve: program("serve")?,
            head: program("head")?,
            done: program("done")?,
            on: on(DEVICES)?,
            takes: Ticks(number("takes")),
            suspended: entry.bool("suspended"),
        },
        "cache" => What::Cache {
            objects: number("objects"),
            count: program("count")?,
            scan: program("scan")?,
            memcg_aware: entry.bool("memcg-aware"),
        },
        "inode" => match on(&["superblock"])? {
            Some(of) => What::Inode { of, refs: entry.count("refs") },
            None => return Err(entry.error("on", "the inode is of no superblock")),
        },
        _ => What::Superblock {
            on: on(DEVICES)?,
            inodes: number("inodes"),
            evict: program("evict")?,
        },
    })
}

fn lock(entry: &Entry<'_>) -> What {
    What::Lock {
        kind: match entry.word("kind").as_str() {
            "rwsem" => LockKind::Rwsem,
            "page" => LockKind::Page,
            _ => LockKind::Mutex,
        },
        class: entry.text("class").unwrap_or_else(|| entry.word("name")),
        subclass: u8::try_from(entry.count("subclass")).unwrap_or(0),
    }
}

fn space<'a>(reader: &Reader<'a>, entry: &Entry<'a>) -> Result<What> {
    let (size, used) = (entry.count("size"), entry.count("used"));
    if used > size {
        let error = entry.error("used", format!("more is used than the {size} units of `size`"));
        return Err(error.advice(format!("use 0 to {size}")));
    }
    let push = entry.node("push");
    Ok(What::Space {
        size,
        used,
        push: push.map(|_| reader.program(push, 0)).transpose()?,
        by: entry.text("by"),
        nested: if entry.word("nested") == "joins" { Nested::Joins } else { Nested::Waits },
    })
}
