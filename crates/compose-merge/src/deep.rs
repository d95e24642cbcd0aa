//! Merges files by meaning, and decides which contribution's text each place of the result takes.

use std::{cell::Cell, collections::HashMap};

use super::{
    identity,
    key_path::key_component,
    merger::{KeyConflict, KeyOrigin, KeyPlace},
    precedence::Standing,
    refusal::{Expansion, Reason, Refusal, Unmergeable},
    tree::{Kind, Loaded, MapEntry, Node, NodeId, NodeRef, Style, Tree},
    value::{ValueId, Values},
};

/// The bytes that the key paths of one merge may have together. Those of the largest files that
/// people write have a few.
const MAX_KEY_TEXT: usize = 48 << 20;

/// The depth to which mappings are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only the files' root mappings are merged; the values of their keys are replaced as a whole.
    Root,
    /// Nested mappings are merged, too.
    Unbounded,
}

/// The content of a place in the result.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The text of one contribution.
    Keep(NodeRef),
    /// The mappings of several contributions, merged into one.
    Merge(Merge),
}

/// Several mappings merged into one.
#[derive(Debug)]
pub(super) struct Merge {
    /// The nodes in their files, possibly aliases, lowest first. The text of the first one is the frame.
    pub parts: Vec<NodeRef>,
    /// The entries in the order of the result: the frame's, then new ones.
    pub entries: Vec<MergedEntry>,
    /// The value that the result must load to.
    pub value: ValueId,
}

/// One key of a [`Merge`].
#[derive(Debug)]
pub(super) struct MergedEntry {
    /// The lowest contribution that has the key, with its place. Its text is the entry's frame.
    pub frame: (usize, Loaded),
    /// The other contributions whose comments are included.
    pub others: Vec<(usize, Loaded)>,
    /// The value.
    pub outcome: Outcome,
}

/// The merge of whole files.
pub(super) struct Deep {
    /// The result; `None` if no contribution has content.
    pub outcome: Option<Outcome>,
    pub keys: Vec<KeyOrigin>,
    pub conflicts: Vec<KeyConflict>,
}

/// Merges the roots of all contributions. Each root is a mapping, or missing.
pub(super) fn merge(
    trees: &[Tree<'_>],
    standing: &Standing,
    values: &mut Values,
    depth: Depth,
) -> Result<Deep, Unmergeable> {
    let mut merger = DeepMerger {
        trees,
        depth,
        standing,
        values,
        path: Vec::new(),
        keys: Vec::new(),
        conflicts: Vec::new(),
        key_text: MAX_KEY_TEXT,
        visited: 0,
        budget: 1000 + 4 * trees.iter().map(|tree| tree.nodes.len()).sum::<usize>(),
    };
    let roots: Vec<NodeRef> = (0..trees.len())
        .filter(|index| trees[*index].root().is_some())
        .map(|index| (index, 0))
        .collect();
    let outcome = match roots[..] {
        [] => None,
        [root, ..] if merger.agree(&roots) => {
            merger.leaves(root, root.1, &[]);
            Some(Outcome::Keep(root))
        }
        _ => Some(Outcome::Merge(merger.maps(roots, &[])?)),
    };
    let DeepMerger {
        keys,
        conflicts,
        key_text,
        ..
    } = merger;
    if key_text == 0 {
        return Err(Refusal::from(Reason::Expansion(Expansion::Keys)).of(trees.len() - 1));
    }
    Ok(Deep {
        outcome,
        keys,
        conflicts,
    })
}

struct DeepMerger<'a, 't> {
    trees: &'a [Tree<'t>],
    depth: Depth,
    standing: &'a Standing,
    values: &'a mut Values,
    path: Vec<String>,
    keys: Vec<KeyOrigin>,
    conflicts: Vec<KeyConflict>,
    /// The bytes of key paths that may still be recorded: each of many nested keys has a long one.
    key_text: usize,
    /// The number of visited entries: aliases can make it far larger than the number of entries in the files.
    visited: usize,
    /// The number of visits at which the merge ends.
    budget: usize,
}

impl DeepMerger<'_, '_> {
    fn node(&self, (index, node): NodeRef) -> &Node {
        &self.trees[index].nodes[node]
    }

    fn value(&self, (index, node): NodeRef) -> ValueId {
        self.trees[index].values[node]
    }

    fn entry(&self, index: usize, loaded: Loaded) -> MapEntry {
        let map = self.trees[index]
            .map(loaded.map)
            .expect("entries are listed from mappings");
        map.entries[loaded.entry]
    }

    /// Returns whether the mappings are equal, with the same text or with an alias that may stay
    /// one. If so, there is nothing to merge.
    fn agree(&self, parts: &[NodeRef]) -> bool {
        let first = self.node(parts[0]);
        let text = |at: &NodeRef| &self.trees[at.0].text[self.node(*at).start..self.node(*at).end];
        parts.iter().all(|at| self.value(*at) == self.value(parts[0]))
            && (matches!(first.kind, Kind::Alias(_)) || parts.iter().all(|at| text(at) == text(&parts[0])))
    }

    /// Returns whether a mapping below the root can be merged.
    fn is_mergeable(&self, (index, node): NodeRef) -> bool {
        self.depth == Depth::Unbounded && self.trees[index].is_mergeable(node)
    }

    fn maps(&mut self, parts: Vec<NodeRef>, losers: &[usize]) -> Result<Merge, Unmergeable> {
        let mut order: Vec<ValueId> = Vec::new();
        let mut setters: HashMap<ValueId, Vec<(usize, Loaded)>> = HashMap::new();
        for (index, node) in &parts {
            let tree = &self.trees[*index];
            for loaded in tree.entries(*node, self.values) {
                self.visited += 1;
                let all = setters.entry(loaded.key).or_default();
                if all.is_empty() {
                    order.push(loaded.key);
                }
                all.push((*index, loaded));
            }
            if self.visited > self.budget {
                let place = tree.line_column(tree.nodes[*node].start);
                return Err(Refusal::new(Reason::Expansion(Expansion::Values), place).of(*index));
            }
        }
        let mut entries = Vec::with_capacity(order.len());
        let mut pairs = Vec::with_capacity(order.len());
        for key in order {
            let setters = setters.remove(&key).expect("listed above");
            let frame = setters[0];
            let name = self.key_text((frame.0, self.entry(frame.0, frame.1).key));
            self.path.push(name);
            let (outcome, others) = self.merge_key(&setters, losers)?;
            self.path.pop();
            pairs.push((
                key,
                match &outcome {
                    Outcome::Keep(at) => self.value(*at),
                    Outcome::Merge(merge) => merge.value,
                },
            ));
            entries.push(MergedEntry {
                frame,
                others,
                outcome,
            });
        }
        let value = self.values.map(None, pairs);
        Ok(Merge {
            parts,
            entries,
            value,
        })
    }

    /// Merges one key. Returns its value and the contributions whose comments are included.
    fn merge_key(
        &mut self,
        setters: &[(usize, Loaded)],
        losers: &[usize],
    ) -> Result<(Outcome, Vec<(usize, Loaded)>), Unmergeable> {
        let places: HashMap<usize, (Loaded, NodeId, bool)> = setters
            .iter()
            .map(|(index, loaded)| {
                let value = self.entry(*index, *loaded).value;
                (*index, (*loaded, value, self.is_mergeable((*index, value))))
            })
            .collect();
        let all: Vec<usize> = setters.iter().map(|(index, _)| *index).collect();
        let is_map = |index: usize| places[&index].2;
        let types: HashMap<usize, Option<ValueId>> = all
            .iter()
            .map(|index| (*index, self.type_of((*index, places[index].1))))
            .collect();
        let is_merged = |lower: usize, higher: usize| {
            let types = types[&lower].zip(types[&higher]);
            is_map(lower) && is_map(higher) && types.is_none_or(|(lower, higher)| lower == higher)
        };
        let in_play = self
            .standing
            .in_play(&all, |lower, higher| !is_merged(lower, higher));
        let at = |index: usize| (index, places[&index].1);
        let value = |index: usize| self.value(at(index));

        let first = in_play[0];
        let (standing, visited, budget) = (self.standing, Cell::new(self.visited), self.budget);
        let conflicts = standing.conflicts(
            &all,
            |lower, higher| !is_merged(lower, higher),
            |lower, higher| !is_merged(lower, higher) && value(lower) != value(higher),
            |lower, higher| {
                let is_other = higher.iter().any(|higher| !is_merged(lower, *higher));
                let higher: Vec<NodeRef> = higher.iter().map(|index| at(*index)).collect();
                is_other || self.is_replaced(at(lower), &higher, &visited, budget)
            },
        );
        let place = |contribution: usize| {
            let key = self.entry(contribution, places[&contribution].0).key;
            let line = self.trees[contribution].line(self.node((contribution, key)).start);
            KeyPlace { contribution, line }
        };
        let found: Vec<(KeyPlace, KeyPlace)> = conflicts
            .into_iter()
            .map(|(lower, higher)| (place(lower), place(higher)))
            .collect();
        let conflict = !found.is_empty();
        self.visited = visited.get();
        let mut conflicts = Vec::new();
        for (lower, higher) in found {
            let key = self.key_path();
            conflicts.push(KeyConflict { key, lower, higher });
        }
        self.conflicts.extend(conflicts);

        let out: Vec<usize> = all
            .iter()
            .filter(|index| !in_play.contains(index))
            .copied()
            .collect();
        let parts: Vec<NodeRef> = in_play.iter().map(|index| at(*index)).collect();
        if in_play.len() > 1 && !conflict && is_map(first) && !self.agree(&parts) {
            let mut losers = losers.to_vec();
            losers.extend(&out);
            let merge = self.maps(parts, &losers)?;
            let others = in_play.iter().filter(|index| **index != setters[0].0);
            let others = others.map(|index| (*index, places[index].0)).collect();
            return Ok((Outcome::Merge(merge), others));
        }
        let (winner, key) = (at(first), self.entry(first, places[&first].0).key);
        let mut beaten = losers.to_vec();
        beaten.extend(
            out.iter()
                .filter(|index| self.value(at(**index)) != self.value(winner)),
        );
        self.leaves(winner, key, &beaten);
        let others = if first == setters[0].0 {
            Vec::new()
        } else {
            vec![(first, places[&first].0)]
        };
        Ok((Outcome::Keep(winner), others))
    }

    /// Returns the type of the resource at the current path, if there is one. Resources of
    /// different types are different things.
    fn type_of(&self, (index, node): NodeRef) -> Option<ValueId> {
        let parent = self.path.len().checked_sub(2)?;
        let field = identity::type_field(&self.path[parent])?;
        let tree = &self.trees[index];
        let found = tree.get(node, field)?;
        tree.value(found)?;
        Some(tree.values[found])
    }

    /// Returns whether higher contributions of a key, merged over a lower one, leave nothing of it,
    /// because one of them is not a mapping or because they set every key of it.
    fn is_replaced(&self, lower: NodeRef, higher: &[NodeRef], visited: &Cell<usize>, budget: usize) -> bool {
        let mergeable = |(index, node): NodeRef| self.trees[index].is_mergeable(node);
        let entries = |(index, node): NodeRef| {
            let tree = &self.trees[index];
            let entries = tree.entries(tree.resolve(node), self.values);
            visited.set(visited.get() + entries.len());
            entries
                .into_iter()
                .map(move |loaded| (loaded.key, (index, self.entry(index, loaded).value)))
        };
        if !mergeable(lower) || !higher.iter().all(|at| mergeable(*at)) {
            return true;
        }
        if visited.get() > budget {
            return false;
        }
        let above: Vec<HashMap<ValueId, NodeRef>> = higher.iter().map(|at| entries(*at).collect()).collect();
        entries(lower).all(|(key, value)| {
            let setters: Vec<NodeRef> = above.iter().filter_map(|map| map.get(&key).copied()).collect();
            !setters.is_empty() && self.is_replaced(value, &setters, visited, budget)
        })
    }

    /// Records the leaf keys of a node that is used unchanged.
    fn leaves(&mut self, (index, node): NodeRef, key: NodeId, losers: &[usize]) {
        let tree = &self.trees[index];
        let entries = match tree.map(node) {
            Some(map)
                if (self.path.is_empty() || self.is_mergeable((index, node))) && !map.entries.is_empty() =>
            {
                &map.entries
            }
            _ => {
                let mut overridden = losers.to_vec();
                overridden.sort_unstable_by(|a, b| b.cmp(a));
                overridden.dedup();
                let line = tree.line(tree.nodes[key].start);
                let key = self.key_path();
                self.keys.push(KeyOrigin {
                    key,
                    winner: index,
                    line,
                    overridden,
                });
                return;
            }
        };
        let mut last: HashMap<ValueId, usize> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            last.insert(self.values.key(tree.values[entry.key]), at);
        }
        for (at, entry) in entries.iter().enumerate() {
            if last[&self.values.key(tree.values[entry.key])] == at {
                let name = self.key_text((index, entry.key));
                self.path.push(name);
                self.leaves((index, entry.value), entry.key, losers);
                self.path.pop();
            }
        }
    }

    /// Returns the current key path; an empty text once the paths take too much memory.
    fn key_path(&mut self) -> String {
        let length = self.path.iter().map(|key| key.len() + 1).sum();
        self.key_text = self.key_text.saturating_sub(length);
        if self.key_text == 0 {
            return String::new();
        }
        self.path.join(".")
    }

    /// Returns a key as one component of a key path.
    fn key_text(&self, (index, key): NodeRef) -> String {
        let tree = &self.trees[index];
        let node = &tree.nodes[tree.resolve(key)];
        let text = &tree.text[node.content..node.end];
        if let Kind::Scalar {
            style: Style::Quoted, ..
        } = node.kind
        {
            let inner = &text[1..text.len() - 1];
            return if inner.contains(['\\', '\'', '"']) {
                key_component(text)
            } else {
                key_component(inner)
            };
        }
        key_component(text)
    }
}
