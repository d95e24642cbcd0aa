//! Finds the places where text is inserted and the ranges that are removed.

use std::ops::Range;

use super::path::{EditError, Step, entry, layout};
use crate::{
    decode::without_bom,
    lines::{Edit, apply, line_break},
    tree::{Kind, MapEntry, Node, NodeId, Tree},
};

pub(super) fn spliced(tree: &Tree<'_>, edit: Edit) -> String {
    apply(&tree.text, 0..tree.text.len(), vec![edit])
}

/// Returns the column of a node that only spaces precede on its line.
pub(super) fn column(tree: &Tree<'_>, at: usize) -> Result<usize, EditError> {
    let before = &tree.text[tree.lines.start(at)..at];
    let before = without_bom(before);
    if before.bytes().all(|byte| byte == b' ') {
        Ok(before.len())
    } else {
        Err(layout(tree, at))
    }
}

/// Returns the column of a key that only spaces precede on its line, or the dashes of the items that begin there.
pub(super) fn key_column(tree: &Tree<'_>, at: usize) -> Result<usize, EditError> {
    let before = without_bom(&tree.text[tree.lines.start(at)..at]);
    let is_indent = |byte: u8| matches!(byte, b' ' | b'-');
    if before.bytes().all(is_indent) && !before.ends_with('-') {
        Ok(before.len())
    } else {
        Err(layout(tree, at))
    }
}

/// Returns the column of the dash of an item.
pub(super) fn dash_column(tree: &Tree<'_>, item: &Node) -> Result<usize, EditError> {
    column(tree, item.lead - 1)
}

/// Returns the end of the line of a byte, including its line break.
pub(super) fn whole_line_end(tree: &Tree<'_>, at: usize) -> usize {
    tree.lines.next_start(at).unwrap_or(tree.text.len())
}

/// Returns an edit that inserts lines after the line of a byte.
pub(super) fn new_lines(tree: &Tree<'_>, at: usize, lines: String) -> Edit {
    let end = whole_line_end(tree, at);
    let is_open = end == tree.text.len() && tree.lines.start(end) != end;
    let gap = if is_open { line_break(&tree.text) } else { "" };
    Edit::insert(end, format!("{gap}{lines}"))
}

/// Returns the range that is cut to remove an entry of a collection.
pub(super) fn removed(
    tree: &Tree<'_>,
    collection: NodeId,
    step: Step<'_>,
) -> Result<Range<usize>, EditError> {
    let node = &tree.nodes[collection];
    // The ranges of all entries, the index of the entry, and its start.
    let (parts, at, start): (Vec<Range<usize>>, usize, usize) = match (&node.kind, step) {
        (Kind::Map(map), Step::Key(key)) => {
            let parts = map
                .entries
                .iter()
                .map(|entry| tree.nodes[entry.key].start..tree.nodes[entry.value].end);
            let is_entry =
                |found: &MapEntry| entry(tree, map, key).is_some_and(|sought| sought.key == found.key);
            let at = map
                .entries
                .iter()
                .position(is_entry)
                .ok_or_else(|| layout(tree, node.start))?;
            (parts.collect(), at, tree.nodes[map.entries[at].key].start)
        }
        (_, Step::Item(item)) => {
            let items: Vec<&Node> = tree.items(collection).map(|item| &tree.nodes[item]).collect();
            let dash = items.get(item).map_or(0, |item| item.lead.saturating_sub(1));
            (items.iter().map(|item| item.span()).collect(), item, dash)
        }
        _ => return Err(layout(tree, node.start)),
    };
    let part = parts.get(at).ok_or_else(|| layout(tree, node.start))?;
    if node.is_block() {
        // The first key of an item stands behind the item's dash, where the next key takes its place.
        if let (Err(_), Step::Key(_), Some(next)) = (column(tree, start), step, parts.get(at + 1)) {
            key_column(tree, start)?;
            return Ok(start..next.start);
        }
        column(tree, start)?;
        return Ok(tree.lines.start(start)..whole_line_end(tree, part.end));
    }
    Ok(match (parts.get(at + 1), at.checked_sub(1)) {
        (Some(next), _) => part.start..next.start,
        (None, Some(before)) => parts[before].end..part.end,
        (None, None) => part.clone(),
    })
}
