//! Holds a file's nodes with the values that they load to. Every node knows its bytes, so that a
//! merge can move text instead of rewriting it.

use std::{collections::HashMap, ops::Deref, rc::Rc};

use compose_yaml::YAML_TAG;
pub(super) use compose_yaml::{Kind, Map, MapEntry, Node, NodeId, Style};

use super::{
    comments::Comment,
    value::{ValueId, Values},
};

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

/// The place of a node: the collection that holds it, and its key path in values.
#[derive(Clone)]
struct Place {
    parent: NodeId,
    path: Rc<str>,
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

    /// Returns all comments, each with the key that it belongs to: the one on its line, or else the
    /// one below it, or else the mapping that it ends. A comment in a list belongs to the list.
    pub(super) fn all_comments(&self) -> Vec<Comment<'_>> {
        if self.comments.is_empty() {
            return Vec::new();
        }
        let places = self.places();
        let header = self.root().map_or(0, |_| self.header_end());
        let all = self.comments.iter();
        all.map(|comment| Comment {
            line: self.line(comment.start),
            text: &self.text[comment.clone()],
            owner: if comment.start < header {
                "header".to_owned()
            } else {
                self.owner_of(comment.start, &places)
            },
        })
        .collect()
    }

    /// Returns the place of each node.
    fn places(&self) -> Vec<Place> {
        let root = Place {
            parent: 0,
            path: "".into(),
        };
        let mut places = vec![root; self.nodes.len()];
        for parent in 0..self.nodes.len() {
            // A collection stands before its content, which belongs to the same key or to one below.
            let own = Rc::clone(&places[parent].path);
            match &self.nodes[parent].kind {
                Kind::Map(map) => {
                    for entry in &map.entries {
                        let path: Rc<str> = format!("{own}.{}", self.values[entry.key]).into();
                        for node in [entry.key, entry.value] {
                            let path = Rc::clone(&path);
                            places[node] = Place { parent, path };
                        }
                    }
                }
                Kind::Sequence { .. } => {
                    for item in self.items(parent) {
                        let path = Rc::clone(&own);
                        places[item] = Place { parent, path };
                    }
                }
                Kind::Scalar { .. } | Kind::Alias(_) => {}
            }
        }
        places
    }

    /// Returns the key path of the comment that starts at a byte.
    fn owner_of(&self, comment: usize, places: &[Place]) -> String {
        let next = self.nodes.partition_point(|node| node.start < comment);
        let last = next.checked_sub(1);
        let column = comment - self.line_start(comment);
        let node = if self.starts_line(comment) {
            // A collection begins where its first content does.
            let below = self.nodes[next..].iter();
            let below = below
                .take_while(|node| node.start == self.nodes[next].start)
                .count();
            let below = (below > 0).then(|| next + below - 1);
            let below = below.filter(|below| {
                let start = self.nodes[*below].start;
                column <= start - self.line_start(start)
            });
            let ended = || {
                let is_around = |id: &NodeId| match &self.nodes[*id].kind {
                    Kind::Map(map) => !map.flow && map.indent <= column,
                    _ => false,
                };
                let above = |id: &NodeId| (*id > 0).then(|| places[*id].parent);
                std::iter::successors(last, above).find(is_around)
            };
            below.or_else(ended)
        } else {
            last
        };
        node.map_or_else(String::new, |node| places[node].path.to_string())
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
