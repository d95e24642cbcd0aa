//! The content of a document, for comparing it before and after an edit.

use super::path::Step;
use crate::tree::{Kind, NodeId, Style, Tree};

/// The content of a text, independent of its position and layout.
#[derive(Debug, PartialEq)]
pub(super) enum Outline {
    Scalar(String, bool, Option<String>),
    Map(Vec<(Outline, Outline)>),
    List(Vec<Outline>),
    /// An alias. Its target is not compared, because an alias without its anchor makes the text
    /// unreadable.
    Alias,
}

pub(super) fn outline_of(tree: &Tree<'_>, path: Option<&[Step<'_>]>) -> Option<Outline> {
    outline(tree, tree.root()?, path.filter(|path| !path.is_empty()))
}

/// Returns the content of a node without what is at the path, or `None` if nothing else is left of
/// it.
pub(super) fn outline(tree: &Tree<'_>, id: NodeId, path: Option<&[Step<'_>]>) -> Option<Outline> {
    let node = &tree.nodes[id];
    let (step, rest) = path.and_then(<[_]>::split_first).unzip();
    let is_cut = |is_next: bool| is_next && rest.is_some_and(<[_]>::is_empty);
    let below = |is_next: bool| rest.filter(|_| is_next);
    let found = match &node.kind {
        Kind::Alias(_) => Outline::Alias,
        Kind::Scalar { value, style } => {
            if step.is_some() && node.is_null() {
                return None;
            }
            let tag = node.tag.as_deref().map(str::to_owned);
            Outline::Scalar(value.to_string(), *style == Style::Plain, tag)
        }
        Kind::Sequence { .. } => {
            let mut items = Vec::new();
            for (index, item) in tree.items(id).enumerate() {
                let is_next = step == Some(&Step::Item(index));
                if !is_cut(is_next) {
                    items.extend(outline(tree, item, below(is_next)));
                }
            }
            Outline::List(items)
        }
        Kind::Map(map) => {
            let mut entries = Vec::new();
            for entry in &map.entries {
                let is_next = matches!(step, Some(Step::Key(key)) if tree.value(entry.key) == Some(*key));
                if is_cut(is_next) {
                    continue;
                }
                if let Some(value) = outline(tree, entry.value, below(is_next)) {
                    entries.extend(outline(tree, entry.key, None).map(|key| (key, value)));
                }
            }
            Outline::Map(entries)
        }
    };
    match &found {
        Outline::List(items) if step.is_some() && items.is_empty() => None,
        Outline::Map(entries) if step.is_some() && entries.is_empty() => None,
        _ => Some(found),
    }
}
