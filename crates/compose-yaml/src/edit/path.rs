//! Paths into a document, and what is wrong with one.

use thiserror::Error;

use crate::tree::{Kind, Map, MapEntry, NodeId, Tree};

/// One step of a path into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The value of a key. Of several entries with the key it is the last one, as for PyYAML.
    Key(&'a str),
    /// An item of a sequence, from 0.
    Item(usize),
}

/// A text that cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// It is not YAML.
    #[error("{0}")]
    Unreadable(String),
    /// Something that has to be a mapping is none.
    #[error("{0} is not a mapping")]
    NotMapping(String),
    /// Something that has to be a sequence is none.
    #[error("{0} is not a list")]
    NotList(String),
    /// There is nothing at the path.
    #[error("there is no {0}")]
    Missing(String),
    /// The text cannot be spliced there.
    #[error("line {0}: the layout is too unusual to edit")]
    Layout(usize),
    /// The edited text would mean something else elsewhere.
    #[error("its layout is too unusual to change {0}")]
    Unsafe(String),
}

pub(super) fn shown(path: &[Step<'_>]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => (*key).to_owned(),
        Step::Item(item) => item.to_string(),
    });
    format!("`{}`", steps.collect::<Vec<_>>().join("."))
}

pub(super) fn layout(tree: &Tree<'_>, at: usize) -> EditError {
    EditError::Layout(tree.lines.line(at))
}

/// The child of a node, aliases and merge keys left alone.
pub(super) fn child(tree: &Tree<'_>, node: NodeId, step: Step<'_>) -> Option<NodeId> {
    match step {
        Step::Key(key) => entry(tree, tree.map(node)?, key).map(|entry| entry.value),
        Step::Item(item) => tree.items(node).nth(item),
    }
}

/// The last entry of a key.
pub(super) fn entry(tree: &Tree<'_>, map: &Map, key: &str) -> Option<MapEntry> {
    let mut entries = map.entries.iter().rev();
    let is_key = |entry: &&MapEntry| matches!(&tree.nodes[entry.key].kind, Kind::Scalar { value, .. } if **value == *key);
    entries.find(is_key).copied()
}

pub(super) fn follow(tree: &Tree<'_>, path: &[Step<'_>]) -> Option<NodeId> {
    path.iter()
        .try_fold(tree.root()?, |node, step| child(tree, node, *step))
}

/// The collections on the way to a path; `None` if there is nothing at it.
pub(super) fn chain(tree: &Tree<'_>, path: &[Step<'_>]) -> Option<Vec<NodeId>> {
    let mut node = tree.root()?;
    let mut all = Vec::new();
    for step in path {
        all.push(node);
        node = child(tree, node, *step)?;
    }
    Some(all)
}

/// Whether a node holds nothing: it is null, or a collection without entries.
pub(super) fn is_vacant(tree: &Tree<'_>, id: NodeId) -> bool {
    match &tree.nodes[id].kind {
        Kind::Map(map) => map.entries.is_empty(),
        Kind::Sequence { .. } => tree.items(id).next().is_none(),
        _ => tree.nodes[id].is_null(),
    }
}
