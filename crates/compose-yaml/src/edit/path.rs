//! Paths into a document, and the errors of edits.

use thiserror::Error;

use crate::tree::{Kind, Map, MapEntry, NodeId, Tree};

/// One step of a path into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The value of a key. If several entries have the key, the last one applies, as in PyYAML.
    Key(&'a str),
    /// An item of a sequence, counted from 0.
    Item(usize),
}

/// Why a text cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// The text is not valid YAML.
    #[error("{0}")]
    Unreadable(String),
    /// A value that must be a mapping is something else.
    #[error("{0} is not a mapping")]
    NotMapping(String),
    /// A value that must be a sequence is something else.
    #[error("{0} is not a list")]
    NotList(String),
    /// There is nothing at the path.
    #[error("there is no {0}")]
    Missing(String),
    /// The text cannot be changed at this line.
    #[error("line {0}: the layout is too unusual to edit")]
    Layout(usize),
    /// The edit would also change the meaning of another part of the text.
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

/// Returns the child of a node. Aliases and merge keys are not followed.
pub(super) fn child(tree: &Tree<'_>, node: NodeId, step: Step<'_>) -> Option<NodeId> {
    match step {
        Step::Key(key) => entry(tree, tree.map(node)?, key).map(|entry| entry.value),
        Step::Item(item) => tree.items(node).nth(item),
    }
}

/// Returns the last entry with a key.
pub(super) fn entry(tree: &Tree<'_>, map: &Map, key: &str) -> Option<MapEntry> {
    let mut entries = map.entries.iter().rev();
    let is_key = |entry: &&MapEntry| matches!(&tree.nodes[entry.key].kind, Kind::Scalar { value, .. } if **value == *key);
    entries.find(is_key).copied()
}

pub(super) fn follow(tree: &Tree<'_>, path: &[Step<'_>]) -> Option<NodeId> {
    path.iter()
        .try_fold(tree.root()?, |node, step| child(tree, node, *step))
}

/// Returns the collections on the way to a path, or `None` if there is nothing at the path.
pub(super) fn chain(tree: &Tree<'_>, path: &[Step<'_>]) -> Option<Vec<NodeId>> {
    let mut node = tree.root()?;
    let mut all = Vec::new();
    for step in path {
        all.push(node);
        node = child(tree, node, *step)?;
    }
    Some(all)
}

/// Returns whether a node is empty: it is null, or a collection without entries.
pub(super) fn is_vacant(tree: &Tree<'_>, id: NodeId) -> bool {
    match &tree.nodes[id].kind {
        Kind::Map(map) => map.entries.is_empty(),
        Kind::Sequence { .. } => tree.items(id).next().is_none(),
        _ => tree.nodes[id].is_null(),
    }
}
