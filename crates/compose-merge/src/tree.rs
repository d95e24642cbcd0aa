//! Holds a file's nodes with the values that they load to. Every node knows its bytes, so that a
//! merge can move text instead of rewriting it.

use std::{collections::HashMap, ops::Deref};

use compose_yaml::YAML_TAG;
pub(super) use compose_yaml::{Kind, Map, MapEntry, Node, NodeId, Style};

use super::value::{ValueId, Values};

/// The greatest depth, with aliases followed, at which a file is still merged. Real files stay
/// below 20.
pub(super) const MAX_DEPTH: usize = 128;

/// A node of one contribution.
pub(super) type NodeRef = (usize, NodeId);

/// One entry of a mapping as loaded: merge keys are followed, and the last of several duplicates counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    /// The key as Python compares it.
    pub key: ValueId,
    /// The mapping that holds the entry. It is another one if the entry is inherited through a
    /// merge key.
    pub map: NodeId,
    /// The index of the entry in the mapping's [`Map::entries`].
    pub entry: usize,
}

/// A parsed file: the text without a byte-order mark, and with a line break at its end.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    /// The text and its nodes, accessible through [`Deref`].
    source: compose_yaml::Tree<'t>,
    /// The value of each node.
    pub values: Vec<ValueId>,
    /// The number of aliases of each anchored node.
    pub aliases: HashMap<NodeId, usize>,
    /// Whether the file starts with a byte-order mark.
    pub bom: bool,
    /// One level of indentation, in JSON only.
    pub json_step: Option<String>,
}

impl<'t> Deref for Tree<'t> {
    type Target = compose_yaml::Tree<'t>;

    fn deref(&self) -> &Self::Target {
        &self.source
    }
}

impl<'t> Tree<'t> {
    /// Creates a file whose nodes load to these values.
    pub(super) fn new(source: compose_yaml::Tree<'t>, values: Vec<ValueId>, bom: bool) -> Self {
        let mut aliases = HashMap::new();
        for node in &source.nodes {
            if let Kind::Alias(target) = node.kind {
                *aliases.entry(target).or_default() += 1;
            }
        }
        Self {
            source,
            values,
            aliases,
            bom,
            json_step: None,
        }
    }

    /// Returns whether the node loads to a mapping that can be merged, with aliases followed.
    pub(super) fn is_mergeable(&self, node: NodeId) -> bool {
        let node = self.resolve(node);
        self.map(node).is_some() && has_plain_tag(&self.nodes[node])
    }

    /// Returns the entries of a mapping as they are loaded.
    pub(super) fn entries(&self, map: NodeId, values: &Values) -> Vec<Loaded> {
        let loaded = self.source.loaded(map);
        let entry = |loaded: &compose_yaml::Loaded| Loaded {
            key: values.key(self.values[self.source.entry(*loaded).key]),
            map: loaded.map,
            entry: loaded.entry,
        };
        loaded.iter().map(entry).collect()
    }

    /// Returns all comments with their lines.
    pub(super) fn all_comments(&self) -> Vec<(usize, &str)> {
        let all = self.comments.iter();
        all.map(|comment| (self.line(comment.start), &self.text[comment.clone()]))
            .collect()
    }

    /// If a node ends with a block scalar, returns whether the scalar owns the blank lines after
    /// it. Returns `None` for any other node.
    pub(super) fn last_block(&self, node: NodeId) -> Option<bool> {
        // The last node in text order is the deepest last one, unless brackets close after it.
        let last = &self.nodes[self.nodes[node].next - 1];
        match last.kind {
            Kind::Scalar {
                style: Style::Block { keep },
                ..
            } if last.end == self.nodes[node].end => Some(keep),
            _ => None,
        }
    }
}

/// Returns whether a mapping is still a dict with its tag: it has no tag, `!!map`, or a bare `!`.
pub(super) fn has_plain_tag(node: &Node) -> bool {
    node.tag
        .as_deref()
        .is_none_or(|tag| tag == "!" || matches!(tag.strip_prefix(YAML_TAG), Some("map" | "python/dict")))
}
