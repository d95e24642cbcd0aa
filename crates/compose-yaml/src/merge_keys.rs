//! Mappings as they are loaded: merge keys (`<<`) are followed, and each key has one entry.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use crate::{
    scalar::{Scalar, python_key},
    tree::{Kind, Loaded, MapEntry, NodeId, Tree},
};

impl Tree<'_> {
    /// Returns the entry that was loaded.
    pub fn entry(&self, loaded: Loaded) -> MapEntry {
        match &self.nodes[loaded.map].kind {
            Kind::Map(map) => map.entries[loaded.entry],
            _ => unreachable!("entries are listed from mappings"),
        }
    }

    /// Returns whether an entry is a merge key.
    pub fn is_merge_key(&self, entry: &MapEntry) -> bool {
        self.value(entry.key) == Some("<<") && self.scalar(entry.key) == Some(Scalar::Merge)
    }

    /// Returns a key as Python compares it: `1`, `1.0` and `true` are the same key. Returns `None`
    /// if the key is a collection.
    pub fn key(&self, node: NodeId) -> Option<Scalar> {
        let scalar = self.scalar(node)?;
        Some(python_key(&scalar).unwrap_or(scalar))
    }

    /// Returns the entries of a mapping in the order of PyYAML's `flatten_mapping`: first the
    /// entries from merge keys, then its own, including duplicates. Other nodes have none. Aliases
    /// are followed.
    pub fn flattened(&self, map: NodeId) -> Vec<Loaded> {
        self.flattened_within(self.resolve(map), &mut HashSet::new())
    }

    /// Returns the entries of a mapping as in a Python dict. If several have the same key, the last
    /// one is returned, in the position of the first.
    pub fn loaded(&self, map: NodeId) -> Rc<[Loaded]> {
        self.loaded_within(self.resolve(map), &mut HashSet::new())
    }

    /// Returns the keys and values of a mapping: first its own as written, including duplicates,
    /// then those that merge keys add. Returns `None` if the node is not a mapping, or if the
    /// budget is used up. Aliases of the mapping are followed.
    pub fn pairs(&self, map: NodeId) -> Option<Vec<(NodeId, NodeId)>> {
        let id = self.resolve(map);
        let entries = &self.map(id)?.entries;
        if !self.spend(8 * entries.len()) {
            return None;
        }
        let pair = |entry: &MapEntry| (entry.key, entry.value);
        let own = entries.iter().filter(|entry| !self.is_merge_key(entry));
        let mut pairs: Vec<_> = own.map(pair).collect();
        if pairs.len() < entries.len() {
            let loaded = self.loaded(id);
            let inherited = loaded.iter().filter(|loaded| loaded.map != id);
            pairs.extend(inherited.map(|loaded| pair(&self.entry(*loaded))));
        }
        (!self.is_exhausted()).then_some(pairs)
    }

    fn flattened_within(&self, map: NodeId, open: &mut HashSet<NodeId>) -> Vec<Loaded> {
        let Some(entries) = self.map(map).map(|map| &map.entries) else {
            return Vec::new();
        };
        let (merges, own): (Vec<_>, Vec<_>) =
            (0..entries.len()).partition(|entry| self.is_merge_key(&entries[*entry]));
        let mut all = Vec::with_capacity(own.len());
        // A mapping that merges itself contributes its own entries, as in PyYAML.
        if open.insert(map) {
            for entry in merges {
                let value = self.resolve(entries[entry].value);
                let mut parts: Vec<NodeId> = self.items(value).collect();
                if parts.is_empty() {
                    parts.push(value);
                }
                // The first of several mappings takes precedence.
                for part in parts.into_iter().rev() {
                    all.extend_from_slice(&self.loaded_within(self.resolve(part), open));
                    if !self.spend(8 * all.len()) {
                        return Vec::new();
                    }
                }
            }
            open.remove(&map);
        }
        all.extend(own.into_iter().map(|entry| Loaded { map, entry }));
        all
    }

    fn loaded_within(&self, map: NodeId, open: &mut HashSet<NodeId>) -> Rc<[Loaded]> {
        if let Some(known) = self.loaded.borrow().get(&map) {
            return Rc::clone(known);
        }
        let is_outermost = open.is_empty();
        let mut places: HashMap<Scalar, usize> = HashMap::new();
        let mut all: Vec<Loaded> = Vec::new();
        for loaded in self.flattened_within(map, open) {
            let key = self.key(self.entry(loaded).key);
            match key.as_ref().and_then(|key| places.get(key)) {
                Some(place) => all[*place] = loaded,
                None => {
                    places.extend(key.map(|key| (key, all.len())));
                    all.push(loaded);
                }
            }
        }
        let all: Rc<[Loaded]> = all.into();
        // Inside a loop of merges, the result may lack entries of the mapping, so it is not cached.
        if is_outermost {
            self.loaded.borrow_mut().insert(map, Rc::clone(&all));
        }
        all
    }

    /// Returns the value of a key in a mapping as it is loaded. Aliases are followed. `key` is the
    /// text of a scalar.
    pub fn get(&self, map: NodeId, key: &str) -> Option<NodeId> {
        let loaded = self.loaded(map);
        let mut entries = loaded.iter().rev().map(|loaded| self.entry(*loaded));
        let found = entries.find(|entry| self.value(entry.key) == Some(key))?;
        Some(self.resolve(found.value))
    }

    /// Returns the node at a path of keys from the root; see [`get`](Self::get).
    pub fn find(&self, path: &[&str]) -> Option<NodeId> {
        path.iter()
            .try_fold(self.root()?, |node, key| self.get(node, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str, path: &[&str]) -> Vec<String> {
        let tree = Tree::parse(text).unwrap();
        let map = tree.find(path).unwrap();
        let line = |loaded: &Loaded| {
            let entry = tree.entry(*loaded);
            format!("{}: {}", tree.source(entry.key), tree.source(entry.value))
        };
        tree.loaded(map).iter().map(line).collect()
    }

    #[test]
    fn merge_keys_are_followed_as_in_pyyaml() {
        let text = "base: &base {a: 1, b: 1, <<: &more {c: 1, a: 0}}\nuse: {b: 2, <<: *base}\n";
        assert_eq!(loaded(text, &["use"]), ["c: 1", "a: 1", "b: 2"]);
        let text = "x: &x {a: 1}\ny: &y {a: 2, b: 2}\nuse: {<<: [*x, *y], c: 3}\n";
        assert_eq!(loaded(text, &["use"]), ["a: 1", "b: 2", "c: 3"]);
        assert_eq!(loaded("a: &a {b: 1, <<: *a}\n", &["a"]), ["b: 1"]);
        assert_eq!(
            loaded("a: {1: x, true: y, 1.0: z, '1': s}\n", &["a"]),
            ["1.0: z", "'1': s"]
        );
        assert_eq!(loaded("a: {b: 1}\na: {b: 2}\n", &["a"]), ["b: 2"]);
    }

    #[test]
    fn aliases_that_multiply_end() {
        let mut text = String::from("a0: &a0 {k0: 0, l0: 0}\n");
        for level in 1..1000 {
            let before = level - 1;
            text.push_str(&format!(
                "a{level}: &a{level} {{<<: [*a{before}, *a{before}], k{level}: 0}}\n"
            ));
        }
        let tree = Tree::parse(text.as_str()).unwrap();
        assert!(
            tree.get(0, "a999")
                .is_some_and(|last| tree.loaded(last).len() <= 1001)
        );
    }
}
