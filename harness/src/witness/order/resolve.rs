//! `Resolver`: from the numbers of one world to the nodes of the graph.
//!
//! Key type: [`Resolver`]. It lives as long as its run. Things with the same name are told apart by
//! the order in which they were made, which is the same in each run of a test.

use std::collections::BTreeMap;

use super::node::{Node, NodeId, NodeKind, Nodes};
use crate::event::{LockId, Names};

/// Numbers from here on are not kept: no world has as many locks, queues or tasks.
pub(super) const MAX_ID: u32 = 1 << 16;

/// How many of one name were made before each number.
#[derive(Debug, Default)]
struct Namesakes {
    nth: Vec<u32>,
    made: BTreeMap<(String, String), u32>,
}

impl Namesakes {
    fn nth(&mut self, id: u32, name: impl Fn(u32) -> (String, String)) -> u32 {
        let known = u32::try_from(self.nth.len()).unwrap_or(u32::MAX);
        for new in known..=id {
            let made = self.made.entry(name(new)).or_default();
            self.nth.push(*made);
            *made += 1;
        }
        self.nth[id as usize]
    }
}

/// The nodes of one world's numbers.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    locks: Vec<Option<NodeId>>,
    others: BTreeMap<(NodeKind, u32), Option<NodeId>>,
    made_locks: Namesakes,
    made: BTreeMap<NodeKind, Namesakes>,
}

impl Resolver {
    pub(super) fn lock(&mut self, id: LockId, names: &Names, nodes: &mut Nodes) -> Option<NodeId> {
        let LockId(number) = id;
        if let Some(Some(node)) = self.locks.get(number as usize) {
            return Some(*node);
        }
        if number >= MAX_ID {
            return None;
        }
        let name = |number| match names.lock(LockId(number)) {
            Some(name) => (name.class.to_owned(), name.instance.clone()),
            None => (format!("lock#{number}"), String::new()),
        };
        let nth = self.made_locks.nth(number, name);
        let (class, instance) = name(number);
        let node = nodes.id(Node { kind: NodeKind::Lock, class, instance, nth });
        if self.locks.len() <= number as usize {
            self.locks.resize(number as usize + 1, None);
        }
        self.locks[number as usize] = node;
        node
    }

    /// The node of `kind` with this number, which `name` names.
    pub(super) fn named<'a>(
        &mut self,
        kind: NodeKind,
        id: u32,
        name: impl Fn(u32) -> &'a str,
        nodes: &mut Nodes,
    ) -> Option<NodeId> {
        if let Some(known) = self.others.get(&(kind, id)) {
            return *known;
        }
        if id >= MAX_ID {
            return None;
        }
        let made = self.made.entry(kind).or_default();
        let nth = made.nth(id, |id| (name(id).to_owned(), String::new()));
        let node = nodes.id(Node::named(kind, name(id), nth));
        self.others.insert((kind, id), node);
        node
    }
}
