//! `Topology`: the graph of a stack, recorded while the stack is built, and its queries.
//!
//! An edge from A to B means that finishing work on A may need progress of B.

use std::collections::{BTreeMap, BTreeSet};

use reclaimdep_scope::Superblock;

use super::{Node, NodeKind};
use crate::error::{Error, Result};

#[derive(Clone, PartialEq, Eq, Debug)]
struct TopologyEntry {
    name: String,
    needs: BTreeSet<Node>,
}

/// The dependencies of a built stack.
///
/// # Invariants
///
/// Every edge leads from a node of the graph to another one; no node reaches itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    nodes: BTreeMap<Node, TopologyEntry>,
    /// The next number of each kind. Numbers are not used again, since a context saved for a
    /// removed filesystem must not mean a later one.
    next: BTreeMap<NodeKind, u32>,
}

impl Topology {
    /// Records a mounted filesystem under the next free number.
    pub fn add_superblock(&mut self, name: impl Into<String>) -> Superblock {
        Superblock(self.add_node(NodeKind::Superblock, name).number())
    }

    /// Records a mounted filesystem under the number that its reclaim contexts carry.
    ///
    /// # Errors
    /// The number is or was that of another superblock.
    pub fn add_superblock_as(
        &mut self,
        superblock: Superblock,
        name: impl Into<String>,
    ) -> Result<()> {
        let next = self.next.entry(NodeKind::Superblock).or_default();
        if superblock.0 < *next {
            let what =
                format!("the number {} of superblock `{}` is taken", superblock.0, name.into());
            return Err(
                Error::misuse(what).advice("record superblocks in the order of their numbers")
            );
        }
        *next = superblock.0 + 1;
        self.insert(superblock.into(), name);
        Ok(())
    }

    /// Records another part under the next free number of its kind.
    pub fn add_node(&mut self, kind: NodeKind, name: impl Into<String>) -> Node {
        let next = self.next.entry(kind).or_default();
        let node = Node::new(kind, *next);
        *next += 1;
        self.insert(node, name);
        node
    }

    fn insert(&mut self, node: Node, name: impl Into<String>) {
        self.nodes.insert(node, TopologyEntry { name: name.into(), needs: BTreeSet::new() });
    }

    /// Records that finishing work on `node` may need progress of `on`.
    ///
    /// # Errors
    /// One of them is not in the graph, or `on` already needs `node`; the error names the cycle.
    pub fn depends(&mut self, node: impl Into<Node>, on: impl Into<Node>) -> Result<()> {
        let (node, on) = (node.into(), on.into());
        self.known(on)?;
        self.known(node)?;
        if let Some(path) = self.path(on, node) {
            let names: Vec<_> = path.iter().map(|step| format!("`{}`", self.name(*step))).collect();
            let what =
                format!("`{}` cannot depend on {}", self.name(node), names.join(", which needs "));
            return Err(
                Error::input(what).advice("build from below: no part may need its own progress")
            );
        }
        // INVARIANT: both are nodes, and no path leads from `on` to `node`.
        self.entry(node)?.needs.insert(on);
        Ok(())
    }

    /// Replaces one dependency by another, as when a loop device gets another file.
    ///
    /// # Errors
    /// `node` did not depend on `from`, or cannot depend on `to`. The graph is unchanged then.
    pub fn rebind(
        &mut self,
        node: impl Into<Node>,
        from: impl Into<Node>,
        to: impl Into<Node>,
    ) -> Result<()> {
        let (node, from) = (node.into(), from.into());
        self.known(node)?;
        if !self.entry(node)?.needs.remove(&from) {
            let what = format!("`{}` does not depend on `{}`", self.name(node), self.name(from));
            return Err(Error::misuse(what));
        }
        self.depends(node, to).inspect_err(|_| {
            // INVARIANT: the edge was in the graph before.
            self.nodes.entry(node).and_modify(|entry| {
                entry.needs.insert(from);
            });
        })
    }

    /// Removes a part, as when it is torn down.
    ///
    /// # Errors
    /// It is not in the graph, or another part still depends on it.
    pub fn remove(&mut self, node: impl Into<Node>) -> Result<()> {
        let node = node.into();
        self.known(node)?;
        if let Some((_, above)) = self.nodes.iter().find(|(_, entry)| entry.needs.contains(&node)) {
            let what =
                format!("`{}` cannot be removed: `{}` depends on it", self.name(node), above.name);
            return Err(Error::misuse(what).advice("take the stack down from above"));
        }
        self.nodes.remove(&node);
        Ok(())
    }

    fn known(&self, node: Node) -> Result<()> {
        match self.nodes.contains_key(&node) {
            true => Ok(()),
            false => Err(Error::misuse(format!("{node:?} is not in the topology"))
                .advice("record every part before what depends on it")),
        }
    }

    fn entry(&mut self, node: Node) -> Result<&mut TopologyEntry> {
        self.known(node)?;
        Ok(self.nodes.get_mut(&node).expect("the node is in the graph"))
    }

    /// The name of the part; `?` for one that is not in the graph.
    #[must_use]
    pub fn name(&self, node: impl Into<Node>) -> &str {
        self.nodes.get(&node.into()).map_or("?", |entry| &entry.name)
    }

    /// Whether the part is in the graph.
    #[must_use]
    pub fn contains(&self, node: impl Into<Node>) -> bool {
        self.nodes.contains_key(&node.into())
    }

    /// Every part, by kind and number.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + '_ {
        self.nodes.keys().copied()
    }

    /// Every superblock, by number.
    pub fn superblocks(&self) -> impl Iterator<Item = Superblock> + '_ {
        self.nodes().filter_map(Node::superblock)
    }

    /// The parts that `node` needs directly.
    pub fn needs(&self, node: Node) -> impl Iterator<Item = Node> + '_ {
        self.nodes.get(&node).into_iter().flat_map(|entry| entry.needs.iter().copied())
    }

    /// All parts that `node` needs, directly or indirectly; not `node` itself.
    #[must_use]
    pub fn below(&self, node: impl Into<Node>) -> BTreeSet<Node> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Node> = self.needs(node.into()).collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.needs(next));
            }
        }
        found
    }

    /// Whether `node` needs `other`, directly or indirectly. No node reaches itself.
    #[must_use]
    pub fn reaches(&self, node: impl Into<Node>, other: impl Into<Node>) -> bool {
        self.below(node).contains(&other.into())
    }

    /// Filesystems that both need. Two loop files in one filesystem share its log space and its
    /// worker.
    #[must_use]
    pub fn shared_below(&self, a: impl Into<Node>, b: impl Into<Node>) -> Vec<Superblock> {
        self.below(a).intersection(&self.below(b)).filter_map(|node| node.superblock()).collect()
    }

    /// A path from `from` to `to`, both ends included; `[from]` if they are one.
    fn path(&self, from: Node, to: Node) -> Option<Vec<Node>> {
        if from == to {
            return Some(vec![from]);
        }
        // Only steps that reach `to` are taken, so the search never backtracks.
        let next = self.needs(from).find(|next| *next == to || self.reaches(*next, to))?;
        let mut path = vec![from];
        path.extend(self.path(next, to)?);
        Some(path)
    }
}
