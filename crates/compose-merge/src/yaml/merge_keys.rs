//! Follows merge keys (`<<`), as PyYAML's `flatten_mapping` does.

use std::collections::HashMap;

use super::YamlBuilder;
use crate::{
    scalar::Scalar,
    tree::{Loaded, MAX_NODES, MapEntry, NodeId, NodeKind, last_wins},
    value::Values,
};

impl YamlBuilder<'_> {
    /// The entries of a mapping after PyYAML's `flatten_mapping`.
    pub(super) fn load(
        &mut self,
        id: NodeId,
        entries: &[MapEntry],
        values: &mut Values,
    ) -> Result<Vec<Loaded>, String> {
        let merge = values.scalar(Scalar::Merge);
        let (mut inherited, mut own) = (Vec::new(), Vec::new());
        let mut merges = false;
        for (index, entry) in entries.iter().enumerate() {
            let key = self.nodes[entry.key].value;
            if key == merge {
                merges = true;
                self.inherit(entry.value, values, &mut inherited)?;
            } else {
                own.push(Loaded {
                    key: values.key(key),
                    map: id,
                    entry: index,
                });
            }
        }
        let mut written = HashMap::new();
        for loaded in inherited.iter().chain(&own) {
            let node = match &self.nodes[loaded.map].kind {
                NodeKind::Map(map) if loaded.map != id => &map.entries[loaded.entry],
                _ => &entries[loaded.entry],
            };
            let value = self.nodes[node.key].value;
            if *written.entry(loaded.key).or_insert(value) != value {
                return Err("one key in two types (`1`, `true`, `1.0`)".to_owned());
            }
        }
        if !merges {
            return Ok(last_wins(own.into_iter()));
        }
        let all = last_wins(inherited.into_iter().chain(own));
        self.flattened_entries += all.len();
        if self.flattened_entries > MAX_NODES {
            return Err(format!(
                "merge keys (<<) that bring more than {MAX_NODES} entries"
            ));
        }
        self.flattened.insert(id, all.clone());
        Ok(all)
    }

    /// Adds the entries that a merge key inherits.
    pub(super) fn inherit(
        &self,
        value: NodeId,
        values: &Values,
        into: &mut Vec<Loaded>,
    ) -> Result<(), String> {
        let resolve = |node: NodeId| match self.nodes[node].kind {
            NodeKind::Alias(target) => target,
            _ => node,
        };
        let value = resolve(value);
        let mut maps = Vec::new();
        if matches!(self.nodes[value].kind, NodeKind::Sequence { .. }) {
            let mut child = value + 1;
            while child < self.nodes[value].next {
                maps.push(resolve(child));
                child = self.nodes[child].next;
            }
            maps.reverse();
        } else {
            maps.push(value);
        }
        for map in maps {
            let NodeKind::Map(it) = &self.nodes[map].kind else {
                return Err("a merge key (<<) whose value is not a mapping".to_owned());
            };
            match self.flattened.get(&map) {
                Some(all) => into.extend(all),
                None => into.extend(it.entries.iter().enumerate().map(|(entry, it)| Loaded {
                    key: values.key(self.nodes[it.key].value),
                    map,
                    entry,
                })),
            }
            if into.len() > MAX_NODES {
                return Err(format!(
                    "merge keys (<<) that bring more than {MAX_NODES} entries"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn entry(&self, loaded: Loaded) -> Option<MapEntry> {
        match &self.nodes[loaded.map].kind {
            NodeKind::Map(map) => map.entries.get(loaded.entry).copied(),
            _ => None,
        }
    }
}
