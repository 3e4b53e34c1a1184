//! Declarations: which name, source line or word each number of a file stands for.
//!
//! Key types: [`Declaration`], [`Numbers`] on the writing side, [`Declared`] on the reading side.
//! Events keep `&'static str`, so the words of a file stay for the rest of the process: at most
//! [`MAX_TEXTS`] of them, and each distinct word once, however many files have it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{Layer, Names, Site, try_intern};

/// A file with more words is refused, because each of them stays in memory.
const MAX_TEXTS: usize = 1 << 16;

/// A line that says what a number means. Numbers of each sort count from 0.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) enum Declaration {
    Text { id: u32, is: String },
    Site { id: u32, file: u32, line: u32 },
    Task { id: u32, is: String },
    Queue { id: u32, is: String },
    Work { id: u32, is: String },
    Condition { id: u32, is: String },
    Shrinker { id: u32, is: String },
    Point { id: u32, is: String },
    Pool { id: u32, is: String },
    Item { id: u32, is: String },
    Part { id: u32, is: String },
    Lock { id: u32, class: u32, instance: String },
    Layer { layer: u32, instance: u32, is: String },
    End { events: u64 },
}

/// The numbers that a writer has given out, and the declarations that are still to be written.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    texts: BTreeMap<&'static str, u32>,
    sites: BTreeMap<Site, u32>,
    named: [usize; 11],
    pub(super) pending: Vec<Declaration>,
}

fn number(len: usize) -> u32 {
    u32::try_from(len).expect("a world never has 2^32 named things")
}

impl Numbers {
    pub(super) fn text(&mut self, text: &'static str) -> u32 {
        let next = number(self.texts.len());
        *self.texts.entry(text).or_insert_with(|| {
            self.pending.push(Declaration::Text { id: next, is: text.to_owned() });
            next
        })
    }

    pub(super) fn site(&mut self, site: Site) -> u32 {
        if let Some(id) = self.sites.get(&site) {
            return *id;
        }
        let (file, id) = (self.text(site.file), number(self.sites.len()));
        self.pending.push(Declaration::Site { id, file, line: site.line });
        self.sites.insert(site, id);
        id
    }

    /// Declares every name that was added since the last call.
    pub(super) fn names(&mut self, names: &Names) {
        let known = self.named;
        let mut list = |place: usize, all: &[String], form: fn(u32, String) -> Declaration| {
            let new = all.iter().enumerate().skip(known[place]);
            self.pending.extend(new.map(|(id, name)| form(number(id), name.clone())));
            self.named[place] = all.len();
        };
        list(0, &names.tasks, |id, is| Declaration::Task { id, is });
        list(1, &names.queues, |id, is| Declaration::Queue { id, is });
        list(2, &names.works, |id, is| Declaration::Work { id, is });
        list(3, &names.conditions, |id, is| Declaration::Condition { id, is });
        list(4, &names.shrinkers, |id, is| Declaration::Shrinker { id, is });
        list(5, &names.points, |id, is| Declaration::Point { id, is });
        list(6, &names.pools, |id, is| Declaration::Pool { id, is });
        list(9, &names.items, |id, is| Declaration::Item { id, is });
        list(10, &names.parts, |id, is| Declaration::Part { id, is });
        for (id, lock) in names.locks.iter().enumerate().skip(known[7]) {
            let (class, instance) = (self.text(lock.class), lock.instance.clone());
            self.pending.push(Declaration::Lock { id: number(id), class, instance });
        }
        for (layer, is) in names.layers.iter().skip(known[8]) {
            let (kind, is) = (self.text(layer.layer.name()), is.clone());
            self.pending.push(Declaration::Layer { layer: kind, instance: layer.instance, is });
        }
        (self.named[7], self.named[8]) = (names.locks.len(), names.layers.len());
    }
}

/// What the lines so far have declared.
#[derive(Debug, Default)]
pub(super) struct Declared {
    texts: Vec<&'static str>,
    sites: Vec<Site>,
    lists: Vec<&'static [Layer]>,
    /// The names that findings are described with.
    pub(super) names: Names,
}

impl Declared {
    pub(super) fn text(&self, id: u32) -> Result<&'static str> {
        let text = self.texts.get(id as usize).copied();
        text.ok_or_else(|| Error::input(format!("text {id} is used before it is declared")))
    }

    pub(super) fn site(&self, id: u32) -> Result<Site> {
        let site = self.sites.get(id as usize).copied();
        site.ok_or_else(|| Error::input(format!("site {id} is used before it is declared")))
    }

    /// The layers that a scope with a list of layers forbids.
    pub(super) fn layers(&mut self, ids: &[u32]) -> Result<&'static [Layer]> {
        let layers: Vec<Layer> =
            ids.iter().map(|id| self.text(*id).map(Layer::new)).collect::<Result<_>>()?;
        if let Some(known) = self.lists.iter().find(|known| ***known == *layers) {
            return Ok(known);
        }
        if self.lists.len() >= MAX_TEXTS {
            return Err(Error::input(format!(
                "more than {MAX_TEXTS} lists of layers: no run has so many"
            )));
        }
        let list: &'static [Layer] = Box::leak(layers.into_boxed_slice());
        self.lists.push(list);
        Ok(list)
    }

    /// Takes in one declaration; its number must be the next of its sort.
    pub(super) fn take(&mut self, declaration: Declaration) -> Result<()> {
        let Self { texts, sites, names, .. } = &*self;
        let (sort, expected, id) = match &declaration {
            Declaration::Text { id, .. } => ("text", texts.len(), *id),
            Declaration::Site { id, .. } => ("site", sites.len(), *id),
            Declaration::Task { id, .. } => ("task", names.tasks.len(), *id),
            Declaration::Queue { id, .. } => ("queue", names.queues.len(), *id),
            Declaration::Work { id, .. } => ("work", names.works.len(), *id),
            Declaration::Condition { id, .. } => ("condition", names.conditions.len(), *id),
            Declaration::Shrinker { id, .. } => ("shrinker", names.shrinkers.len(), *id),
            Declaration::Point { id, .. } => ("point", names.points.len(), *id),
            Declaration::Pool { id, .. } => ("pool", names.pools.len(), *id),
            Declaration::Item { id, .. } => ("item", names.items.len(), *id),
            Declaration::Part { id, .. } => ("part", names.parts.len(), *id),
            Declaration::Lock { id, .. } => ("lock", names.locks.len(), *id),
            Declaration::Layer { layer, instance, .. } => {
                let layer = self.texts.get(*layer as usize).map(|text| Layer::new(text));
                let next = layer.map_or(0, |layer| names.next_instance(layer));
                ("layer", next as usize, *instance)
            }
            Declaration::End { .. } => return Ok(()),
        };
        if id as usize != expected {
            return Err(Error::input(format!(
                "{sort} {id} is declared where {sort} {expected} is due"
            )));
        }
        self.add(declaration)
    }

    fn add(&mut self, declaration: Declaration) -> Result<()> {
        match declaration {
            Declaration::Text { is, .. } if self.texts.len() < MAX_TEXTS => {
                let word = try_intern(&is).ok_or_else(|| {
                    Error::input("the files that this process has read have too many words")
                        .advice("read this file in a process of its own")
                })?;
                self.texts.push(word);
            }
            Declaration::Text { .. } => {
                return Err(Error::input(format!(
                    "more than {MAX_TEXTS} texts: no run has so many"
                )));
            }
            Declaration::Site { file, line, .. } => {
                let site = Site { file: self.text(file)?, line };
                self.sites.push(site);
            }
            Declaration::Task { is, .. } => drop(self.names.add_task(is)),
            Declaration::Queue { is, .. } => drop(self.names.add_queue(is)),
            Declaration::Work { is, .. } => drop(self.names.add_work(is)),
            Declaration::Condition { is, .. } => drop(self.names.add_condition(is)),
            Declaration::Shrinker { is, .. } => drop(self.names.add_shrinker(is)),
            Declaration::Point { is, .. } => drop(self.names.add_point(is)),
            Declaration::Pool { is, .. } => drop(self.names.add_pool(is)),
            Declaration::Item { is, .. } => drop(self.names.add_item(is)),
            Declaration::Part { is, .. } => drop(self.names.add_part(is)),
            Declaration::Lock { class, instance, .. } => {
                let class = self.text(class)?;
                self.names.add_lock(class, instance);
            }
            Declaration::Layer { layer, is, .. } => {
                let layer = Layer::new(self.text(layer)?);
                self.names.add_layer(layer, is);
            }
            Declaration::End { .. } => {}
        }
        Ok(())
    }
}
