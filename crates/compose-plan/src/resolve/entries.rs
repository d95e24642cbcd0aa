//! Holds the entries of all configs that have arrived, and the nodes that they request.

use std::{collections::HashMap, sync::Arc};

use compose_model::{RepoUrl, Requested, SourceSpec, TreePath};

/// The greatest length of a chain of sources. The local config's entry is the first.
pub const MAX_DEPTH: usize = 16;

/// An environment of a repo at one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// An environment of a repo at any version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(usize);

/// One entry of a config.
#[derive(Debug)]
pub(super) struct GraphEntry {
    pub(super) key: Key,
    pub(super) spec: Arc<SourceSpec>,
    /// The node of the entry's own request.
    pub(super) node: NodeId,
}

/// A request as a map key: whether it is a `ref`, and its text.
type Request = (bool, String);

fn request(requested: &Requested) -> Request {
    (
        matches!(requested, Requested::Ref(_)),
        requested.as_str().to_owned(),
    )
}

#[derive(Debug)]
struct Node {
    spec: Arc<SourceSpec>,
    is_handed_out: bool,
    /// The entries of the node's own config; `None` until they are known.
    nested: Option<Vec<GraphEntry>>,
}

/// All nodes, each with the entries of its own config.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    keys: HashMap<(RepoUrl, TreePath), Key>,
    nodes: Vec<Node>,
    by_request: HashMap<(Key, Request), NodeId>,
}

impl Nodes {
    /// Returns the entry with its key and its node, creating them if they are new.
    pub(super) fn entry(&mut self, spec: SourceSpec) -> GraphEntry {
        let new = Key(self.keys.len());
        let key = *self
            .keys
            .entry((spec.repo.clone(), spec.environment.clone()))
            .or_insert(new);
        let spec = Arc::new(spec);
        let node = self.node(key, &spec);
        GraphEntry { key, spec, node }
    }

    /// Returns the node of a key at the request of `spec`.
    pub(super) fn node(&mut self, key: Key, spec: &Arc<SourceSpec>) -> NodeId {
        let new = NodeId(self.nodes.len());
        let node = *self
            .by_request
            .entry((key, request(&spec.requested)))
            .or_insert(new);
        if node == new {
            self.nodes.push(Node {
                spec: Arc::clone(spec),
                is_handed_out: false,
                nested: None,
            });
        }
        node
    }

    /// Returns the key of the environment that a node is a version of.
    pub(super) fn key(&self, node: NodeId) -> Option<Key> {
        let spec = self.spec(node);
        self.keys
            .get(&(spec.repo.clone(), spec.environment.clone()))
            .copied()
    }

    /// Returns the entry that made a node, with the request to resolve.
    pub(super) fn spec(&self, node: NodeId) -> &SourceSpec {
        &self.nodes[node.0].spec
    }

    /// Returns the entries of a node's own config, as far as they are known.
    pub(super) fn nested(&self, node: NodeId) -> &[GraphEntry] {
        self.nodes[node.0].nested.as_deref().unwrap_or_default()
    }

    /// Returns whether the entries of a node's own config are known.
    pub(super) fn is_expanded(&self, node: NodeId) -> bool {
        self.nodes[node.0].nested.is_some()
    }

    /// Records the entries of a node's own config.
    pub(super) fn expand(&mut self, node: NodeId, nested: Vec<GraphEntry>) {
        self.nodes[node.0].nested = Some(nested);
    }

    /// Marks a node as handed out. Returns whether it was not handed out before.
    pub(super) fn hand_out(&mut self, node: NodeId) -> bool {
        !std::mem::replace(&mut self.nodes[node.0].is_handed_out, true)
    }
}
