//! Edits that leave all other text as the user wrote it: comments, order, quoting, line ends.
//!
//! Every edit is checked: the result is read again, and outside of the edited place it must hold what it held before.

use std::ops::Range;

use thiserror::Error;

use crate::{
    lines::{Edit, apply, line_break},
    quote::{double_quote, quote},
    tree::{Kind, Map, MapEntry, Node, NodeId, Style, Tree},
};

/// One step of a path into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The value of a key. Of several entries with the key it is the last one, as for PyYAML.
    Key(&'a str),
    /// An item of a sequence, from 0.
    Item(usize),
}

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewValue {
    /// A scalar that is read as this text.
    Text(String),
    /// A mapping.
    Map(Vec<(String, NewValue)>),
    /// A sequence.
    List(Vec<NewValue>),
}

/// Lines that are gone: in the edited text, line `from` and all behind it were `lines` further down before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// A line of the edited text, from 1.
    pub from: usize,
    /// The number of lines.
    pub lines: usize,
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

/// A text under edit.
///
/// ```
/// use compose_yaml::{Editor, NewValue, Step};
///
/// let mut editor = Editor::parse("sources:\n- repo: a\n  version: '1.0' # pinned\n").unwrap();
/// editor.set(&[Step::Key("sources"), Step::Item(0), Step::Key("version")], "1.10").unwrap();
/// editor.push(&[Step::Key("sources")], &NewValue::Map(vec![("repo".into(), NewValue::Text("b".into()))])).unwrap();
/// assert_eq!(editor.text(), "sources:\n- repo: a\n  version: '1.10' # pinned\n- repo: b\n");
/// ```
#[derive(Clone, Debug)]
pub struct Editor {
    text: String,
}

impl Editor {
    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, EditError> {
        read(text)?;
        Ok(Self {
            text: text.to_owned(),
        })
    }

    /// The text with all edits.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Replaces a scalar, which keeps its quotes.
    pub fn set(&mut self, path: &[Step<'_>], value: &str) -> Result<(), EditError> {
        let tree = read(&self.text)?;
        let id = follow(&tree, path).ok_or_else(|| EditError::Missing(shown(path)))?;
        let node = &tree.nodes[id];
        let edit = match &node.kind {
            Kind::Alias(_) => Edit {
                range: node.span(),
                text: quote(value),
            },
            Kind::Scalar { .. } if node.content == node.end => {
                Edit::insert(node.end, format!(" {}", quote(value)))
            }
            Kind::Scalar {
                style: Style::Block { .. },
                ..
            }
            | Kind::Map(_)
            | Kind::Sequence { .. } => {
                return Err(layout(&tree, node.start));
            }
            Kind::Scalar { .. } => {
                let is_simple = !value.chars().any(char::is_control);
                let scalar = match &tree.text[node.content..=node.content] {
                    "'" if is_simple => format!("'{}'", value.replace('\'', "''")),
                    "'" | "\"" => double_quote(value),
                    _ => quote(value),
                };
                Edit {
                    range: node.content..node.end,
                    text: scalar,
                }
            }
        };
        let edited = spliced(&tree, edit);
        self.replace(edited, path, Some(path))
    }

    /// Writes the value of a key. Mappings that the path lacks are added, and so is the key, as the last one; a value that is
    /// there is replaced.
    pub fn put(&mut self, path: &[Step<'_>], value: &NewValue) -> Result<(), EditError> {
        let tree = read(&self.text)?;
        let edited = put(&tree, path, value, None)?;
        self.replace(edited, path, Some(path))
    }

    /// Adds an item at the end of a sequence, which is added if the path lacks it.
    pub fn push(&mut self, path: &[Step<'_>], value: &NewValue) -> Result<(), EditError> {
        let tree = read(&self.text)?;
        let list = follow(&tree, path).filter(|id| !is_vacant(&tree, *id));
        let Some(list) = list else {
            let edited = put(&tree, path, &NewValue::List(vec![value.clone()]), None)?;
            return self.replace(edited, path, Some(path));
        };
        let Kind::Sequence { flow } = tree.nodes[list].kind else {
            return Err(EditError::NotList(shown(path)));
        };
        let items: Vec<NodeId> = tree.items(list).collect();
        let last = &tree.nodes[*items
            .last()
            .ok_or_else(|| layout(&tree, tree.nodes[list].start))?];
        let edit = if flow {
            Edit::insert(last.end, format!(", {}", value.flow()))
        } else {
            let column = dash_column(&tree, &tree.nodes[items[0]])?;
            let lines = NewValue::List(vec![value.clone()]).block(column, line_break(&tree.text));
            new_lines(&tree, last.end, lines)
        };
        let edited = spliced(&tree, edit);
        let mut added = path.to_vec();
        added.push(Step::Item(items.len()));
        self.replace(edited, &[], Some(&added))
    }

    /// Gives a mapping exactly these entries, in this order. Those that it has keep their text, and the comments above them.
    pub fn arrange(&mut self, path: &[Step<'_>], entries: &[(String, NewValue)]) -> Result<(), EditError> {
        let tree = read(&self.text)?;
        let old = follow(&tree, path).filter(|id| !is_vacant(&tree, *id));
        let edited = match old.and_then(|id| tree.map(id)) {
            Some(map) if !map.flow => rebuilt(&tree, path, map, entries)?,
            map => put(&tree, path, &NewValue::Map(entries.to_vec()), map)?,
        };
        self.replace(edited, path, Some(path))
    }

    /// Takes out what is at a path (every entry of a key), and the collections that would be empty then. Returns the lines that
    /// are gone, or `None` if nothing remains, in which case the text stays.
    pub fn remove(&mut self, path: &[Step<'_>]) -> Result<Option<Vec<Cut>>, EditError> {
        let mut cuts = Vec::new();
        loop {
            let tree = read(&self.text)?;
            let Some(chain) = chain(&tree, path) else {
                return Ok(Some(cuts));
            };
            // An only entry takes its collection along.
            let holds_more = |(_, collection): &(usize, NodeId)| match &tree.nodes[*collection].kind {
                Kind::Map(map) => map.entries.len() > 1,
                _ => tree.items(*collection).count() > 1,
            };
            let Some((depth, collection)) = chain.into_iter().enumerate().rev().find(holds_more) else {
                return Ok(None);
            };
            let range = removed(&tree, collection, path[depth])?;
            let whole_lines = range.start == 0 || tree.lines.start(range.start) == range.start;
            cuts.push(Cut {
                from: tree.lines.line(range.start) + usize::from(!whole_lines),
                lines: tree.text[range.clone()].matches('\n').count(),
            });
            let edited = spliced(
                &tree,
                Edit {
                    range,
                    text: String::new(),
                },
            );
            let is_item = matches!(path.last(), Some(Step::Item(_)));
            self.replace(edited, path, (!is_item).then_some(path))?;
            if is_item {
                return Ok(Some(cuts));
            }
        }
    }

    /// Takes the edited text if it holds what the text held, but for what is at `before` in the old and `after` in the new one.
    fn replace(
        &mut self,
        edited: String,
        before: &[Step<'_>],
        after: Option<&[Step<'_>]>,
    ) -> Result<(), EditError> {
        let path = after.unwrap_or(before);
        let is_same = match Tree::parse(edited.as_str()) {
            Ok(tree) => outline_of(&read(&self.text)?, Some(before)) == outline_of(&tree, after),
            Err(_) => false,
        };
        if !is_same {
            return Err(EditError::Unsafe(shown(path)));
        }
        self.text = edited;
        Ok(())
    }
}

/// The line of the original text, for a line of the edited one.
pub fn original_line(cuts: &[Cut], line: usize) -> usize {
    cuts.iter().rev().fold(
        line,
        |line, cut| if line >= cut.from { line + cut.lines } else { line },
    )
}

fn read(text: &str) -> Result<Tree<'_>, EditError> {
    Tree::parse(text).map_err(|error| EditError::Unreadable(error.with_line(text)))
}

fn shown(path: &[Step<'_>]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => (*key).to_owned(),
        Step::Item(item) => item.to_string(),
    });
    format!("`{}`", steps.collect::<Vec<_>>().join("."))
}

fn layout(tree: &Tree<'_>, at: usize) -> EditError {
    EditError::Layout(tree.lines.line(at))
}

fn spliced(tree: &Tree<'_>, edit: Edit) -> String {
    apply(&tree.text, 0..tree.text.len(), vec![edit])
}

/// The child of a node, aliases and merge keys left alone.
fn child(tree: &Tree<'_>, node: NodeId, step: Step<'_>) -> Option<NodeId> {
    match step {
        Step::Key(key) => entry(tree, tree.map(node)?, key).map(|entry| entry.value),
        Step::Item(item) => tree.items(node).nth(item),
    }
}

/// The last entry of a key.
fn entry(tree: &Tree<'_>, map: &Map, key: &str) -> Option<MapEntry> {
    let mut entries = map.entries.iter().rev();
    let is_key = |entry: &&MapEntry| matches!(&tree.nodes[entry.key].kind, Kind::Scalar { value, .. } if **value == *key);
    entries.find(is_key).copied()
}

fn follow(tree: &Tree<'_>, path: &[Step<'_>]) -> Option<NodeId> {
    path.iter()
        .try_fold(tree.root()?, |node, step| child(tree, node, *step))
}

/// The collections on the way to a path; `None` if there is nothing at it.
fn chain(tree: &Tree<'_>, path: &[Step<'_>]) -> Option<Vec<NodeId>> {
    let mut node = tree.root()?;
    let mut all = Vec::new();
    for step in path {
        all.push(node);
        node = child(tree, node, *step)?;
    }
    Some(all)
}

/// Whether a node holds nothing: it is null, or a collection without entries.
fn is_vacant(tree: &Tree<'_>, id: NodeId) -> bool {
    match &tree.nodes[id].kind {
        Kind::Map(map) => map.entries.is_empty(),
        Kind::Sequence { .. } => tree.items(id).next().is_none(),
        _ => tree.nodes[id].is_null(),
    }
}

/// The column of a node that is alone at the start of its line.
fn column(tree: &Tree<'_>, at: usize) -> Result<usize, EditError> {
    let before = &tree.text[tree.lines.start(at)..at];
    let before = before.strip_prefix('\u{feff}').unwrap_or(before);
    if before.bytes().all(|byte| byte == b' ') {
        Ok(before.len())
    } else {
        Err(layout(tree, at))
    }
}

/// The column of the dash of an item.
fn dash_column(tree: &Tree<'_>, item: &Node) -> Result<usize, EditError> {
    column(tree, item.lead - 1)
}

/// The end of the line of a byte, with its line break.
fn whole_line_end(tree: &Tree<'_>, at: usize) -> usize {
    tree.lines.next_start(at).unwrap_or(tree.text.len())
}

/// Inserts lines behind that of a byte.
fn new_lines(tree: &Tree<'_>, at: usize, lines: String) -> Edit {
    let end = whole_line_end(tree, at);
    let is_open = end == tree.text.len() && tree.lines.start(end) != end;
    let gap = if is_open { line_break(&tree.text) } else { "" };
    Edit::insert(end, format!("{gap}{lines}"))
}

/// What is cut when an entry of a collection goes.
fn removed(tree: &Tree<'_>, collection: NodeId, step: Step<'_>) -> Result<Range<usize>, EditError> {
    let node = &tree.nodes[collection];
    // The start and the end of each entry.
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
        column(tree, start)?;
        return Ok(tree.lines.start(start)..whole_line_end(tree, part.end));
    }
    Ok(match (parts.get(at + 1), at.checked_sub(1)) {
        (Some(next), _) => part.start..next.start,
        (None, Some(before)) => parts[before].end..part.end,
        (None, None) => part.clone(),
    })
}

/// The text with a value at a path. `kept`: a mapping in braces whose entries keep their text.
fn put(
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

/// A value inside of mappings of the keys of a path.
fn nested(path: &[Step<'_>], value: NewValue) -> Result<NewValue, EditError> {
    path.iter().rev().try_fold(value, |value, step| match step {
        Step::Key(key) => Ok(NewValue::Map(vec![((*key).to_owned(), value)])),
        Step::Item(_) => Err(EditError::Missing(shown(path))),
    })
}

/// The text with a new last entry of a mapping, which is given as a mapping of this entry.
fn added(tree: &Tree<'_>, id: NodeId, map: &Map, entry: NewValue) -> Result<String, EditError> {
    let edit = match map.entries.last() {
        None => Edit::insert(tree.nodes[id].end - 1, entry.inside_braces()),
        Some(last) if map.flow => {
            Edit::insert(tree.nodes[last.value].end, format!(", {}", entry.inside_braces()))
        }
        Some(last) => {
            let column = column(tree, tree.nodes[map.entries[0].key].start)?;
            let lines = entry.block(column, line_break(&tree.text));
            new_lines(tree, tree.nodes[last.value].end, lines)
        }
    };
    Ok(spliced(tree, edit))
}

/// The text with another value of an entry.
fn filled(
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
    let column = column(tree, key.start)?;
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
    // The lines of a sequence begin at the column of its key.
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

/// Entries in braces. Those of `kept` keep their text where it fits on a line.
fn flow_keeping(tree: &Tree<'_>, kept: &Map, entries: &[(String, NewValue)]) -> String {
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

/// The text with the entries of a block mapping in another order, with new ones between. Comments belong to what follows.
fn rebuilt(
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

impl NewValue {
    /// The value in brackets or braces.
    fn flow(&self) -> String {
        match self {
            Self::Text(text) => quote(text),
            Self::Map(_) => format!("{{{}}}", self.inside_braces()),
            Self::List(items) => format!(
                "[{}]",
                items.iter().map(Self::flow).collect::<Vec<_>>().join(", ")
            ),
        }
    }

    fn inside_braces(&self) -> String {
        match self {
            Self::Map(entries) => {
                let entry = |(key, value): &(String, Self)| format!("{}: {}", quote(key), value.flow());
                entries.iter().map(entry).collect::<Vec<_>>().join(", ")
            }
            _ => self.flow(),
        }
    }

    /// The value as lines, each with its line break.
    fn block(&self, column: usize, newline: &str) -> String {
        let indent = " ".repeat(column);
        let mut out = String::new();
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    let value = match value {
                        Self::Map(inner) if !inner.is_empty() => {
                            format!("{newline}{}", value.block(column + 2, newline))
                        }
                        Self::List(inner) if !inner.is_empty() => {
                            format!("{newline}{}", value.block(column, newline))
                        }
                        _ => format!(" {}{newline}", value.flow()),
                    };
                    out.push_str(&format!("{indent}{}:{value}", quote(key)));
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    let lines = item.block(column + 2, newline);
                    out.push_str(&format!("{indent}- {}", &lines[column + 2..]));
                }
            }
            _ => out.push_str(&format!("{indent}{}{newline}", self.flow())),
        }
        out
    }
}

/// What a text holds, wherever and however it is written.
#[derive(Debug, PartialEq)]
enum Outline {
    Scalar(String, bool, Option<String>),
    Map(Vec<(Outline, Outline)>),
    List(Vec<Outline>),
    /// One without its anchor is not read.
    Alias,
}

fn outline_of(tree: &Tree<'_>, path: Option<&[Step<'_>]>) -> Option<Outline> {
    outline(tree, tree.root()?, path.filter(|path| !path.is_empty()))
}

/// A node without what is at the path; `None` if nothing is left of it then.
fn outline(tree: &Tree<'_>, id: NodeId, path: Option<&[Step<'_>]>) -> Option<Outline> {
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

#[cfg(test)]
mod tests {
    use super::{Step::*, *};

    fn edited(text: &str, edit: impl FnOnce(&mut Editor) -> Result<(), EditError>) -> String {
        let mut editor = Editor::parse(text).unwrap();
        edit(&mut editor).unwrap_or_else(|error| panic!("{error}\n{text}"));
        editor.text().to_owned()
    }

    fn source(repo: &str, version: &str) -> NewValue {
        let text = |text: &str| NewValue::Text(text.to_owned());
        NewValue::Map(vec![
            ("repo".to_owned(), text(repo)),
            ("version".to_owned(), text(version)),
        ])
    }

    #[test]
    fn a_scalar_keeps_its_quotes_and_its_comment() {
        for (text, expected) in [
            ("a: 1.0 # c\r\nb: 2\r\n", "a: \"1.10\" # c\r\nb: 2\r\n"),
            ("a: '1.0'\n", "a: '1.10'\n"),
            ("{\"a\": \"1.0\", b: 2}", "{\"a\": \"1.10\", b: 2}"),
            ("a: !!str x # c\n", "a: !!str \"1.10\" # c\n"),
            ("a:\nb: 2\n", "a: \"1.10\"\nb: 2\n"),
            ("b: &x 2\na: *x\n", "b: &x 2\na: \"1.10\"\n"),
            ("a: one\n  two\nb: 2\n", "a: \"1.10\"\nb: 2\n"),
        ] {
            assert_eq!(edited(text, |editor| editor.set(&[Key("a")], "1.10")), expected);
        }
        let mut editor = Editor::parse("a: &x 1\nb: *x\nc: |\n  t\n").unwrap();
        assert_eq!(editor.set(&[Key("c")], "x"), Err(EditError::Layout(3)));
        assert_eq!(
            editor.set(&[Key("d")], "x"),
            Err(EditError::Missing("`d`".to_owned()))
        );
        assert_eq!(editor.text(), "a: &x 1\nb: *x\nc: |\n  t\n");
    }

    #[test]
    fn an_item_is_added_in_the_style_of_its_list() {
        let push = |text: &str| edited(text, |editor| editor.push(&[Key("l")], &source("b", "1.x")));
        let item = "- repo: b\n  version: \"1.x\"\n";
        let item = item.replace("\"1.x\"", &quote("1.x"));
        assert_eq!(push(""), format!("l:\n{item}"));
        assert_eq!(push("a: 1\n"), format!("a: 1\nl:\n{item}"));
        assert_eq!(push("l: # c\na: 1\n"), format!("l: # c\n{item}a: 1\n"));
        assert_eq!(push("l: []\na: 1"), format!("l:\n{item}a: 1"));
        assert_eq!(
            push("l:\n# one\n- repo: a # x\n# end\n"),
            format!("l:\n# one\n- repo: a # x\n{item}# end\n")
        );
        let deep = item.replace("- ", "  - ").replace("\n  v", "\n    v");
        assert_eq!(
            push("l:\n  - repo: a\na: 1\n"),
            format!("l:\n  - repo: a\n{deep}a: 1\n")
        );
        assert_eq!(
            push("l: [{repo: a}] # c\n"),
            format!("l: [{{repo: a}}, {{repo: b, version: {}}}] # c\n", quote("1.x"))
        );
        assert_eq!(
            push("l:\r\n- a\r\n"),
            format!("l:\n- a\n{item}").replace('\n', "\r\n")
        );
    }

    #[test]
    fn an_item_is_taken_out_of_its_list() {
        let remove = |text: &str, item| {
            let mut editor = Editor::parse(text).unwrap();
            editor
                .remove(&[Key("l"), Item(item)])
                .unwrap()
                .map(|_| editor.text().to_owned())
        };
        assert_eq!(
            remove("l:\n- a: 1\n  b: 2 # c\n- d\n", 0).as_deref(),
            Some("l:\n- d\n")
        );
        assert_eq!(
            remove("l: [a, {b: c}, d] # c\n", 1).as_deref(),
            Some("l: [a, d] # c\n")
        );
        assert_eq!(remove("l: [a, b]\n", 1).as_deref(), Some("l: [a]\n"));
        assert_eq!(remove("l:\n- a\nb: 1\n", 0).as_deref(), Some("b: 1\n"));
        assert_eq!(remove("l:\n- a\n", 0), None);
        assert_eq!(remove("l: [a]\nb: 1\n", 7).as_deref(), Some("l: [a]\nb: 1\n"));
    }

    #[test]
    fn a_key_is_added_below_an_item() {
        let put = |text: &str| {
            edited(text, |editor| {
                editor.put(&[Key("l"), Item(1), Key("x")], &NewValue::Text("z".to_owned()))
            })
        };
        assert_eq!(put("l: [a, {b: 1}]\n"), "l: [a, {b: 1, x: z}]\n");
        assert_eq!(put("l: [a, {x: 1, b: 1}]\n"), "l: [a, {x: z, b: 1}]\n");
    }
}
