//! `Dag`: a directed graph that says at each new edge whether it closes a cycle.
//!
//! Key type: [`Dag`]. It keeps a topological order and repairs only the stretch that a new edge
//! upsets (Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic graphs"),
//! so an edge that agrees with the order costs nothing, and a long-lived graph has mostly those. An
//! edge that closes a cycle is kept beside the order, so that what comes later is still judged.

use std::collections::BTreeMap;

/// At most this many of the cycles that one edge closes are reported.
const MAX_WAYS: usize = 8;

/// Nodes are numbers from 0 on; a node exists as soon as an edge names it.
#[derive(Clone, Debug, Default)]
pub(super) struct Dag {
    out: Vec<Vec<u32>>,
    into: Vec<Vec<u32>>,
    /// INVARIANT: a permutation of the nodes, and `place[a] < place[b]` for each edge a -> b in
    /// `out`.
    place: Vec<u32>,
    /// Edges that would upset the order for good.
    back: BTreeMap<u32, Vec<u32>>,
    back_into: BTreeMap<u32, Vec<u32>>,
    seen: Vec<u32>,
    stamp: u32,
    forward: Vec<u32>,
    backward: Vec<u32>,
    /// Where `ways` goes next from each node that it marked.
    next: Vec<u32>,
}

impl Dag {
    fn grow(&mut self, node: u32) {
        let known = u32::try_from(self.out.len()).unwrap_or(u32::MAX);
        for new in known..=node {
            self.out.push(Vec::new());
            self.into.push(Vec::new());
            self.place.push(new);
            self.seen.push(0);
        }
    }

    /// Adds an edge that was not there before; returns the nodes of cycles that it closes, each
    /// from `to` round to `from`, a shortest first. Empty only if the edge closes no cycle;
    /// otherwise at most [`MAX_WAYS`] of them.
    pub(super) fn insert(&mut self, from: u32, to: u32) -> Vec<Vec<u32>> {
        if from == to {
            return vec![vec![from]];
        }
        self.grow(from.max(to));
        let upset = self.place[to as usize] < self.place[from as usize];
        let closes = upset && self.reaches(to, from);
        let cycles =
            if closes || self.may_go_back(to, from) { self.ways(to, from) } else { Vec::new() };
        if closes {
            self.back.entry(from).or_default().push(to);
            self.back_into.entry(to).or_default().push(from);
            return cycles;
        }
        if upset {
            self.repair(from);
        }
        self.out[from as usize].push(to);
        self.into[to as usize].push(from);
        cycles
    }

    /// For each node that `of` selects: the most selected nodes that come before it on one path.
    /// Nodes with none before and none after are left out; the others come in the order of that
    /// number.
    pub(super) fn depths(&self, of: impl Fn(u32) -> bool) -> Vec<(u32, u32)> {
        let mut order: Vec<u32> = (0..).take(self.out.len()).collect();
        order.sort_unstable_by_key(|node| self.place[*node as usize]);
        // The most of them on a way to the node, and on a way from it.
        let (mut before, mut after) = (vec![0; order.len()], vec![0; order.len()]);
        for node in &order {
            let with = before[*node as usize] + u32::from(of(*node));
            for to in &self.out[*node as usize] {
                before[*to as usize] = with.max(before[*to as usize]);
            }
        }
        for node in order.iter().rev() {
            let with = after[*node as usize] + u32::from(of(*node));
            for from in &self.into[*node as usize] {
                after[*from as usize] = with.max(after[*from as usize]);
            }
        }
        let ordered = order.into_iter().filter(|node| of(*node));
        let mut deep: Vec<_> = ordered
            .map(|node| (node, before[node as usize], after[node as usize]))
            .filter(|(_, before, after)| before + after > 0)
            .map(|(node, before, _)| (node, before))
            .collect();
        deep.sort_by_key(|(node, depth)| (*depth, *node));
        deep
    }

    fn mark(&mut self, node: u32) -> bool {
        std::mem::replace(&mut self.seen[node as usize], self.stamp) != self.stamp
    }

    fn next_stamp(&mut self) {
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.seen.fill(0);
            self.stamp = 1;
        }
    }

    /// Whether the ordered edges lead from `start` to `goal`, which is later in the order; leaves
    /// in `forward` what they reach up to there.
    fn reaches(&mut self, start: u32, goal: u32) -> bool {
        self.next_stamp();
        let end = self.place[goal as usize];
        self.forward.clear();
        self.forward.push(start);
        self.mark(start);
        let mut next = 0;
        while let Some(node) = self.forward.get(next).copied() {
            for at in 0..self.out[node as usize].len() {
                let to = self.out[node as usize][at];
                if to == goal {
                    return true;
                }
                if self.place[to as usize] < end && self.mark(to) {
                    self.forward.push(to);
                }
            }
            next += 1;
        }
        false
    }

    /// Whether a way from `start` to `goal` may take an edge beside the order: the first such edge
    /// of it begins no earlier than `start`, and the last one ends no later than `goal`. So one
    /// cycle, once found, does not make every edge after it cost a search.
    fn may_go_back(&self, start: u32, goal: u32) -> bool {
        let place = |node: &u32| self.place[*node as usize];
        self.back.keys().any(|from| place(from) >= place(&start))
            && self.back_into.keys().any(|to| place(to) <= place(&goal))
    }

    /// Puts `goal`, and what leads to it, before what `reaches` left in `forward`.
    fn repair(&mut self, goal: u32) {
        // `ways` may have marked what leads to the goal already.
        self.next_stamp();
        let begin = self.place[self.forward[0] as usize];
        self.backward.clear();
        self.backward.push(goal);
        self.mark(goal);
        let mut next = 0;
        while let Some(node) = self.backward.get(next).copied() {
            for at in 0..self.into[node as usize].len() {
                let from = self.into[node as usize][at];
                if self.place[from as usize] > begin && self.mark(from) {
                    self.backward.push(from);
                }
            }
            next += 1;
        }
        let place = &mut self.place;
        self.forward.sort_unstable_by_key(|node| place[*node as usize]);
        self.backward.sort_unstable_by_key(|node| place[*node as usize]);
        self.backward.extend_from_slice(&self.forward);
        let mut places: Vec<u32> = self.backward.iter().map(|node| place[*node as usize]).collect();
        places.sort_unstable();
        for (node, to) in self.backward.iter().zip(places) {
            place[*node as usize] = to;
        }
    }

    /// Ways from `start` to `goal` over all edges, shortest first: for each edge out of `start` the
    /// shortest that begins with it.
    fn ways(&mut self, start: u32, goal: u32) -> Vec<Vec<u32>> {
        self.next_stamp();
        self.mark(start);
        self.mark(goal);
        // What leads to the goal without coming by the start, and where it goes next: as good as
        // its mark.
        self.next.resize(self.out.len(), 0);
        let next = &mut self.next;
        next[goal as usize] = goal;
        self.backward.clear();
        self.backward.push(goal);
        let mut at = 0;
        while let Some(node) = self.backward.get(at).copied() {
            let back = self.back_into.get(&node).map_or(&[][..], |from| from);
            for from in self.into[node as usize].iter().chain(back) {
                if std::mem::replace(&mut self.seen[*from as usize], self.stamp) != self.stamp {
                    next[*from as usize] = node;
                    self.backward.push(*from);
                }
            }
            at += 1;
        }
        let back = self.back.get(&start).map_or(&[][..], |to| to);
        let first = self.out[start as usize].iter().chain(back);
        let (seen, stamp, next) = (&self.seen, self.stamp, &self.next);
        let first = first.filter(|first| **first != start && seen[**first as usize] == stamp);
        let mut ways: Vec<Vec<u32>> =
            first.map(|first| follow(start, *first, goal, next)).collect();
        ways.sort_by_key(Vec::len);
        ways.truncate(MAX_WAYS);
        ways
    }
}

fn follow(start: u32, first: u32, goal: u32, next: &[u32]) -> Vec<u32> {
    let mut way = vec![start, first];
    let mut at = first;
    while at != goal {
        at = next[at as usize];
        way.push(at);
    }
    way
}

#[cfg(test)]
mod tests;
