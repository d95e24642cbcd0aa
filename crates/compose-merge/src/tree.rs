//! A file's nodes with the values that they load to. Every node knows its bytes, so that a merge can move text instead of
//! rewriting it.

use std::{collections::HashMap, ops::Deref};

use compose_yaml::YAML_TAG;
pub(super) use compose_yaml::{Kind, Map, MapEntry, Node, NodeId, Style};

use super::value::{ValueId, Values};

/// A file nested deeper than this, aliases followed, is not merged. Real files stay below 20.
pub(super) const MAX_DEPTH: usize = 128;

/// A node of one contribution.
pub(super) type NodeRef = (usize, NodeId);

/// One entry of a mapping as loaded: merge keys are followed, and the last of several duplicates counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    /// The key as Python compares it.
    pub key: ValueId,
    /// The mapping that holds the entry: another one if it is inherited through a merge key.
    pub map: NodeId,
    /// Index into its [`Map::entries`].
    pub entry: usize,
}

/// A parsed file: the text without byte-order mark, with a line break at its end.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    /// The text and its nodes, which [`Deref`] gives.
    source: compose_yaml::Tree<'t>,
    /// The value of each node.
    pub values: Vec<ValueId>,
    /// The number of aliases of each anchored node.
    pub aliases: HashMap<NodeId, usize>,
    /// The file starts with a byte-order mark.
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
    /// A file whose nodes load to these values.
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

    /// Whether the node loads to a mapping that can be merged, aliases followed.
    pub(super) fn is_mergeable(&self, node: NodeId) -> bool {
        let node = self.resolve(node);
        self.map(node).is_some() && has_plain_tag(&self.nodes[node])
    }

    /// The entries of a mapping as they are loaded.
    pub(super) fn entries(&self, map: NodeId, values: &Values) -> Vec<Loaded> {
        let loaded = self.source.loaded(map);
        let entry = |loaded: &compose_yaml::Loaded| Loaded {
            key: values.key(self.values[self.source.entry(*loaded).key]),
            map: loaded.map,
            entry: loaded.entry,
        };
        loaded.iter().map(entry).collect()
    }

    /// All comments with their lines.
    pub(super) fn all_comments(&self) -> Vec<(usize, &str)> {
        let all = self.comments.iter();
        all.map(|comment| (self.line(comment.start), &self.text[comment.clone()]))
            .collect()
    }

    /// `Some` if a node ends with a block scalar: does that own the blank lines behind it?
    pub(super) fn last_block(&self, node: NodeId) -> Option<bool> {
        // The last node in text order is the deepest last one, unless brackets close behind it.
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

/// Whether a mapping is still a dict with its tag: it has none, or `!!map`, or a bare `!`.
pub(super) fn has_plain_tag(node: &Node) -> bool {
    node.tag
        .as_deref()
        .is_none_or(|tag| tag == "!" || matches!(tag.strip_prefix(YAML_TAG), Some("map" | "python/dict")))
}
