//! Steps: a string, or a table with one verb and its fields.

use std::cell::Cell;
use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::table::{Entry, Node, check_value, number, short};
use crate::case::nearest::advise;
use crate::case::place::Source;
use crate::case::script::{Act, PartRef, PortStep, Program, Step, Test};
use crate::case::words::{STEPS, TESTS, Value, Word};
use crate::error::Result;
use crate::event::{Gfp, Op, ScopeKind};
use crate::stack::StackSpec;

const MAX_STEPS: usize = 10_000;
const MAX_NESTING: usize = 16;

/// Reads the programs of one variant.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) stack: &'a StackSpec,
    /// The line of `[stack]`.
    pub(super) stack_line: u32,
    /// The kind and the number of each part.
    pub(super) names: BTreeMap<String, (&'static str, PartRef)>,
    pub(super) steps: Cell<usize>,
}

impl<'a> Reader<'a> {
    /// The steps of a list; none where nothing is written.
    pub(super) fn program(&self, node: Option<&'a Node<'a>>, depth: usize) -> Result<Program> {
        let Some(list) = node.and_then(|node| node.get_ref().as_array()) else {
            return Ok(Program::new());
        };
        list.iter().map(|node| self.step(node, depth)).collect()
    }

    fn step(&self, node: &'a Node<'a>, depth: usize) -> Result<Step> {
        let at = node.span().start;
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MAX_STEPS {
            let text = format!("a variant has at most {MAX_STEPS} steps");
            return Err(self.source.error(at, text).advice("use `repeat`, or fewer steps"));
        }
        if depth >= MAX_NESTING {
            let text = format!("steps are nested at most {MAX_NESTING} deep");
            return Err(self.source.error(at, text).advice("put steps into a work item"));
        }
        let act = match node.get_ref() {
            DeValue::String(word) => self.bare(word, at)?,
            DeValue::Table(table) => self.table(table, at, depth)?,
            other => {
                let text =
                    format!("a step is a table or a string, not of type {}", other.type_str());
                return Err(self
                    .source
                    .error(at, text)
                    .advice("write `{ alloc = \"GFP_KERNEL\" }`"));
            }
        };
        Ok(Step { line: self.source.line(at), act })
    }

    fn bare(&self, word: &str, at: usize) -> Result<Act> {
        Ok(match word {
            "free" => Act::Free,
            "end-scope" => Act::EndScope,
            "stop" => Act::Stop,
            "commit" => Act::Port(PortStep::Commit),
            _ => {
                if let Some(known) = STEPS.iter().find(|known| known.name == word) {
                    let error = self.source.error(at, format!("`{word}` needs a value"));
                    return Err(error.advice(format!("write `{}`", known.example)));
                }
                let error = self.source.error(at, format!("no step is called `{}`", short(word)));
                return Err(advise(error, word, STEPS.iter().map(|known| known.name)));
            }
        })
    }

    /// The one word of the table that is in `words`.
    fn verb(
        &self,
        (table, at): (&'a DeTable<'a>, usize),
        (what, words): (&str, &'static [Word]),
    ) -> Result<(&'static Word, &'a Node<'a>)> {
        let find = |name: &str| words.iter().find(|word| word.name == name);
        let mut keys: Vec<_> = table.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        let mut found =
            keys.iter().filter_map(|(key, node)| Some((key, find(key.get_ref())?, node)));
        match (found.next(), found.next()) {
            (Some((_, word, node)), None) => Ok((word, node)),
            (Some((_, first, _)), Some((key, second, _))) => Err(self
                .source
                .error(
                    key.span().start,
                    format!(
                        "a {what} has one word, and this has `{}` and `{}`",
                        first.name, second.name
                    ),
                )
                .advice(format!("write two {what}s"))),
            (None, _) => {
                let key = keys.first().map_or("", |(key, _)| key.get_ref().as_ref());
                let place = keys.first().map_or(at, |(key, _)| key.span().start);
                let error =
                    self.source.error(place, format!("no {what} is called `{}`", short(key)));
                Err(advise(error, key, words.iter().map(|word| word.name)))
            }
        }
    }

    fn table(&self, table: &'a DeTable<'a>, at: usize, depth: usize) -> Result<Act> {
        let (word, node) = self.verb((table, at), ("step", STEPS))?;
        let title = format!("the step `{}`", word.name);
        let entry = Entry::new(self.source, (table, at), (&title, word.fields), Some(word.name))?;
        check_value(self.source, word.name, word.value, node)?;
        match word.value {
            Value::Table(fields) => self.port(word.name, fields, node),
            Value::PartOr(_, fields) if node.get_ref().is_table() => {
                self.port(word.name, fields, node)
            }
            Value::Nothing => self.bare(word.name, at),
            Value::PartOr(kinds, _) | Value::Part(kinds) => {
                self.on_part(word.name, self.part(kinds, node)?, &entry, depth)
            }
            _ => self.plain(word.name, node, &entry, depth),
        }
    }

    /// A verb whose value names no part.
    fn plain(
        &self,
        verb: &str,
        node: &'a Node<'a>,
        entry: &Entry<'a>,
        depth: usize,
    ) -> Result<Act> {
        let text = node.get_ref().as_str().unwrap_or("");
        Ok(match verb {
            "alloc" => Act::Alloc {
                mask: text.parse().unwrap_or(Gfp::EMPTY),
                order: entry.count("order"),
                times: entry.count("times"),
                keep: entry.bool("keep"),
                vmalloc: entry.word("kind") == "vmalloc",
            },
            "scope" => match text {
                "nofs" => Act::Scope { kind: ScopeKind::Nofs },
                "noio" => Act::Scope { kind: ScopeKind::Noio },
                "noreclaim" => Act::Scope { kind: ScopeKind::Noreclaim },
                _ => Act::IoFlusher,
            },
            "repeat" => Act::Repeat {
                times: number(node).and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
                steps: self.program(entry.node("step"), depth + 1)?,
            },
            "if" => Act::If {
                test: self.test(node)?,
                then: self.program(entry.node("then"), depth + 1)?,
                or_else: self.program(entry.node("else"), depth + 1)?,
            },
            _ => return Err(entry.error(verb, format!("`{verb}` is not read"))),
        })
    }

    /// A verb about the part `part` of kind `kind`.
    fn on_part(
        &self,
        verb: &str,
        (kind, part): (&str, PartRef),
        entry: &Entry<'a>,
        depth: usize,
    ) -> Result<Act> {
        let or_else = || self.program(entry.node("else"), depth + 1);
        Ok(match verb {
            "lock" => Act::Lock { lock: part, shared: false },
            "lock-shared" => Act::Lock { lock: part, shared: true },
            "try-lock" => {
                Act::TryLock { lock: part, shared: entry.bool("shared"), or_else: or_else()? }
            }
            "unlock" => Act::Unlock { lock: part },
            "set" => Act::Set { flag: part, to: true },
            "clear" => Act::Set { flag: part, to: false },
            "wait" if kind == "count" => match entry.node("until") {
                None => Act::WaitZero { count: part },
                Some(_) => {
                    return Err(entry
                        .error("until", "a count is awaited until it is zero")
                        .advice("leave `until` out, or use a flag"));
                }
            },
            "wait" => Act::WaitFlag {
                flag: part,
                until: entry.node("until").is_none() || entry.bool("until"),
            },
            "inc" => Act::Inc { count: part },
            "dec" => Act::Dec { count: part },
            "reserve" => Act::Reserve { space: part, n: entry.count("n") },
            "try-reserve" => {
                Act::TryReserve { space: part, n: entry.count("n"), or_else: or_else()? }
            }
            "release" => Act::Release { space: part },
            "take" if kind == "inode" => Act::GetInode { inode: part },
            "put" if kind == "inode" => Act::PutInode { inode: part },
            "take" => Act::Take {
                pool: part,
                mask: entry.mask("mask"),
                or_else: entry.node("else").map(|_| or_else()).transpose()?,
            },
            "put" => Act::Put { pool: part },
            "write" => Act::Request { device: part, op: Op::Write, waits: true },
            "read" => Act::Request { device: part, op: Op::Read, waits: true },
            "submit" => Act::Request { device: part, op: op(&entry.word("op")), waits: false },
            "suspend" => Act::Suspend { device: part },
            "resume" => Act::Resume { device: part },
            "queue-work" => Act::QueueWork {
                work: part,
                in_scopes: entry.bool("in-scopes"),
                completes: entry.bool("completes"),
            },
            "wait-work" => Act::WaitWork { work: part },
            "run-here" => Act::RunHere { work: part },
            "flush-queue" => Act::FlushQueue { queue: part },
            _ => return Err(entry.error(verb, format!("`{verb}` is not read"))),
        })
    }

    fn test(&self, node: &'a Node<'a>) -> Result<Test> {
        let at = node.span().start;
        let Some(table) = node.get_ref().as_table() else {
            return Err(self.source.error(at, "`if` expects a table with a test"));
        };
        let (word, value) = self.verb((table, at), ("test", TESTS))?;
        let title = format!("the test `{}`", word.name);
        let entry = Entry::new(self.source, (table, at), (&title, word.fields), Some(word.name))?;
        check_value(self.source, word.name, word.value, value)?;
        let yes = value.get_ref().as_bool().unwrap_or(true);
        Ok(match word.name {
            "mask-has" => Test::MaskHas(entry.mask(word.name)),
            "mask-lacks" => Test::MaskLacks(entry.mask(word.name)),
            "in-reclaim" => Test::InReclaim(yes),
            "kswapd" => Test::Kswapd(yes),
            _ => Test::Flag { flag: self.part(&["flag"], value)?.1, is: entry.bool("is") },
        })
    }

    /// The part that `node` names, if it is of one of these kinds.
    pub(super) fn part(&self, kinds: &[&str], node: &Node<'_>) -> Result<(&'static str, PartRef)> {
        let name = node.get_ref().as_str().unwrap_or("");
        let at = node.span().start;
        match self.names.get(name) {
            Some((kind, part)) if kinds.contains(kind) => Ok((kind, *part)),
            Some((kind, _)) => Err(self
                .source
                .error(at, format!("`{name}` is a {kind}"))
                .advice(format!("name a {}", kinds.join(" or a ")))),
            None => {
                let text = format!("no {} is called `{}`", kinds.join(" or "), short(name));
                let fits = self.names.iter().filter(|(_, (kind, _))| kinds.contains(kind));
                Err(advise(self.source.error(at, text), name, fits.map(|(name, _)| name.as_str())))
            }
        }
    }

    fn port(
        &self,
        verb: &'static str,
        fields: &'static [crate::case::words::Field],
        node: &'a Node<'a>,
    ) -> Result<Act> {
        let at = node.span().start;
        let Some(table) = node.get_ref().as_table() else {
            return Err(self.source.error(at, format!("`{verb}` expects a table")));
        };
        let title = format!("the step `{verb}`");
        let entry = Entry::new(self.source, (table, at), (&title, fields), None)?;
        let (fs, client) = (entry.word("fs"), entry.word("client"));
        let known: Vec<&str> = if entry.node("fs").is_some() {
            self.stack.fs.iter().map(|fs| fs.name.as_str()).collect()
        } else {
            self.stack.bufio.iter().map(|client| client.name.as_str()).collect()
        };
        let (field, name, what) = match entry.node("fs") {
            Some(_) => ("fs", &fs, "filesystem"),
            None => ("client", &client, "bufio client"),
        };
        if !known.contains(&name.as_str()) {
            let error = entry.error(field, format!("the stack has no {what} `{name}`"));
            return Err(advise(error, name, known));
        }
        let (file, block) = (entry.word("file"), entry.number("block").unwrap_or(0));
        Ok(Act::Port(match verb {
            "create" => PortStep::Create { fs, file },
            "fsync" => PortStep::Fsync { fs, file },
            "begin" => PortStep::Begin { fs, credits: entry.count("credits") },
            "dirty" => PortStep::Dirty { client, block },
            "read-block" => PortStep::ReadBlock { client, block },
            "flush" => PortStep::FlushClient { client },
            _ => PortStep::WriteFile {
                fs,
                file,
                offset: entry.number("offset").unwrap_or(0),
                bytes: entry.count("bytes") as usize,
            },
        }))
    }
}

fn op(word: &str) -> Op {
    match word {
        "read" => Op::Read,
        "flush" => Op::Flush,
        "discard" => Op::Discard,
        _ => Op::Write,
    }
}
