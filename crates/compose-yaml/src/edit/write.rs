//! Writes values and entries into a document.

use super::{
    path::{EditError, Step, chain, child, entry, is_vacant, layout, shown},
    splice::{column, key_column, new_lines, spliced, whole_line_end},
    value::NewValue,
};
use crate::{
    lines::{Edit, line_break},
    quote::quote,
    tree::{Map, MapEntry, NodeId, Tree},
};

/// Returns the text with a value at a path. `kept` is a mapping in braces whose entries keep their
/// text.
pub(super) fn put(
    tree: &Tree<'_>,
    path: &[Step<'_>],
    value: &NewValue,
    kept: Option<&Map>,
) -> Result<String, EditError> {
    let newline = line_break(&tree.text);
    let Some(mut node) = tree.root() else {
        let lines = nested(path, value.clone())?.block(0, newline);
        return Ok(spliced(tree, new_lines(tree, tree.text.len(), lines)));
    };
    for (depth, step) in path.iter().enumerate() {
        let (Some(map), Step::Key(key)) = (tree.map(node), step) else {
            return match (step, child(tree, node, *step)) {
                (Step::Item(_), Some(item)) => {
                    node = item;
                    continue;
                }
                _ if depth == 0 => Err(EditError::NotMapping("it".to_owned())),
                _ => Err(EditError::NotMapping(shown(&path[..depth]))),
            };
        };
        let rest = &path[depth + 1..];
        let Some(found) = entry(tree, map, key) else {
            return added(tree, node, map, nested(&path[depth..], value.clone())?);
        };
        if rest.is_empty() || is_vacant(tree, found.value) {
            return filled(tree, map, found, &nested(rest, value.clone())?, kept);
        }
        node = found.value;
    }
    Err(EditError::Missing(shown(path)))
}

/// Wraps a value in one mapping for each key of a path.
pub(super) fn nested(path: &[Step<'_>], value: NewValue) -> Result<NewValue, EditError> {
    path.iter().rev().try_fold(value, |value, step| match step {
        Step::Key(key) => Ok(NewValue::Map(vec![((*key).to_owned(), value)])),
        Step::Item(_) => Err(EditError::Missing(shown(path))),
    })
}

/// Returns the text with a new last entry in a mapping. The entry is given as a mapping that
/// contains only this entry.
pub(super) fn added(tree: &Tree<'_>, id: NodeId, map: &Map, entry: NewValue) -> Result<String, EditError> {
    let edit = match map.entries.last() {
        None => Edit::insert(tree.nodes[id].end - 1, entry.inside_braces()),
        Some(last) if map.flow => {
            Edit::insert(tree.nodes[last.value].end, format!(", {}", entry.inside_braces()))
        }
        Some(last) => {
            let column = key_column(tree, tree.nodes[map.entries[0].key].start)?;
            let lines = entry.block(column, line_break(&tree.text));
            new_lines(tree, tree.nodes[last.value].end, lines)
        }
    };
    Ok(spliced(tree, edit))
}

/// Returns the text with a new value for an entry.
pub(super) fn filled(
    tree: &Tree<'_>,
    map: &Map,
    entry: MapEntry,
    value: &NewValue,
    kept: Option<&Map>,
) -> Result<String, EditError> {
    let (key, old) = (&tree.nodes[entry.key], &tree.nodes[entry.value]);
    if map.flow || kept.is_some() {
        let name = &tree.text[key.span()];
        let flow = match (value, kept) {
            (NewValue::Map(entries), Some(kept)) => flow_keeping(tree, kept, entries),
            _ => value.flow(),
        };
        let edit = Edit {
            range: key.start..old.end.max(entry.colon_end),
            text: format!("{name}: {flow}"),
        };
        return Ok(spliced(tree, edit));
    }
    let column = key_column(tree, key.start)?;
    if let NewValue::Text(text) = value {
        let edit = Edit {
            range: entry.colon_end..old.end.max(entry.colon_end),
            text: format!(" {}", quote(text)),
        };
        return Ok(spliced(tree, edit));
    }
    let start = if old.start == old.end {
        entry.colon_end
    } else {
        old.start
    };
    let head = tree.text[..start].trim_end_matches(' ');
    let end = old.end.max(entry.colon_end);
    let behind = tree.line_end(end);
    let newline = line_break(&tree.text);
    // The lines of a sequence begin at the column of its key, those of a mapping further right.
    let indent = if matches!(value, NewValue::List(_)) {
        column
    } else {
        column + 2
    };
    let lines = value.block(indent, newline);
    let lines = match tree.lines.next_start(end) {
        Some(_) => lines.strip_suffix(newline).unwrap_or(&lines),
        None => &lines,
    };
    Ok(format!(
        "{head}{}{newline}{lines}{}",
        &tree.text[end..behind],
        &tree.text[behind..]
    ))
}

/// Returns entries in braces. Those of `kept` keep their text if it fits on a line.
pub(super) fn flow_keeping(tree: &Tree<'_>, kept: &Map, entries: &[(String, NewValue)]) -> String {
    let text = |(name, value): &(String, NewValue)| {
        let old = entry(tree, kept, name);
        let old = old.map(|old| &tree.text[tree.nodes[old.key].start..tree.nodes[old.value].end]);
        match old.filter(|old| !old.contains(['\n', '#'])) {
            Some(old) => old.to_owned(),
            None => format!("{}: {}", quote(name), value.flow()),
        }
    };
    format!("{{{}}}", entries.iter().map(text).collect::<Vec<_>>().join(", "))
}

/// Returns the text with the entries of a block mapping in a new order, and new entries among them.
/// A comment belongs to the entry that follows it.
pub(super) fn rebuilt(
    tree: &Tree<'_>,
    path: &[Step<'_>],
    map: &Map,
    entries: &[(String, NewValue)],
) -> Result<String, EditError> {
    let newline = line_break(&tree.text);
    let column = column(tree, tree.nodes[map.entries[0].key].start)?;
    let parent = match (
        chain(tree, path).and_then(|chain| chain.last().copied()),
        path.last(),
    ) {
        (Some(parent), Some(Step::Key(key))) => tree.map(parent).and_then(|map| entry(tree, map, key)),
        _ => None,
    };
    let start = parent.map_or(tree.body, |parent| {
        whole_line_end(tree, tree.nodes[parent.key].end)
    });
    let mut chunks = Vec::with_capacity(map.entries.len());
    let mut from = start;
    for entry in &map.entries {
        let to = whole_line_end(tree, tree.nodes[entry.value].end);
        if from > tree.nodes[entry.key].start {
            return Err(layout(tree, tree.nodes[entry.key].start));
        }
        chunks.push((tree.value(entry.key).unwrap_or_default(), &tree.text[from..to]));
        from = to;
    }
    let mut text = String::new();
    for (name, value) in entries {
        match chunks.iter().rfind(|(chunk, _)| chunk == name) {
            Some((_, chunk)) => text.push_str(chunk),
            None => text.push_str(&NewValue::Map(vec![(name.clone(), value.clone())]).block(column, newline)),
        }
        if !text.ends_with('\n') {
            text.push_str(newline);
        }
    }
    Ok(spliced(
        tree,
        Edit {
            range: start..from,
            text,
        },
    ))
}
