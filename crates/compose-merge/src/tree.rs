//! A file's text as a light tree: every node knows its bytes, so that a merge can move text instead of writing it anew.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use super::value::{ValueId, Values};

/// Nesting, with aliases followed, beyond which a file is not merged. Real files stay below 20.
pub(super) const MAX_DEPTH: usize = 128;
/// Bytes of one file beyond which it is not merged: far above any configuration that people write.
pub(super) const MAX_BYTES: usize = 4 << 20;
/// Nodes of one file beyond which it is not merged; keeps a merge of hostile files under about 150 MiB.
pub(super) const MAX_NODES: usize = 400_000;

/// Index into [`Tree::nodes`]. Nodes stand in text order, a parent before its children.
pub(super) type NodeId = usize;

/// A node of one contribution.
pub(super) type NodeRef = (usize, NodeId);

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
    /// `|` and `>`; `keep`: with the `+` that makes the blank lines after it part of the value.
    Block {
        keep: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar(Style),
    Alias(NodeId),
    Sequence { flow: bool },
    Map(Map),
}

#[derive(Clone, Debug)]
pub(super) struct Map {
    /// In braces.
    pub flow: bool,
    /// Has no tag, or one that still makes it a mapping.
    pub plain_tag: bool,
    /// Column of the keys of a block mapping; indentation of the line that it starts on for one in braces.
    pub indent: usize,
    /// As written, duplicates included.
    pub entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub key: NodeId,
    pub value: NodeId,
    /// Right behind the `:`; the key's end where there is none (`{a}`).
    pub colon_end: usize,
    /// There is a `:`.
    pub colon: bool,
    /// Written with `?`.
    pub explicit: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Right behind the indicator that introduces the node (`:`, `-`); the document's start for the root.
    pub lead: usize,
    /// First byte, tag and anchor included.
    pub start: usize,
    /// First byte behind tag and anchor.
    pub content: usize,
    /// Behind the last byte. A block scalar ends with its last line, without the line break.
    pub end: usize,
    /// The column that the node must be indented beyond, when its collection is a block; -1 for the root.
    pub parent_indent: isize,
    /// Stands directly in a block sequence.
    pub in_sequence: bool,
    /// Stands inside brackets or braces.
    pub in_flow: bool,
    /// Is a mapping's key.
    pub is_key: bool,
    /// The first node that is not part of this one.
    pub next: NodeId,
    /// Bytes of the anchor with its `&`.
    pub anchor: Option<Range<usize>>,
    /// What it loads to.
    pub value: ValueId,
    pub kind: Kind,
}

/// One entry of a mapping as it is loaded: merge keys followed, of duplicates the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    /// The key as Python compares it.
    pub key: ValueId,
    /// The mapping in which the entry stands: another one for what comes through a merge key.
    pub map: NodeId,
    /// Index into its [`Map::entries`].
    pub entry: usize,
}

/// A parsed file.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    /// Without byte order mark, with a line break at its end.
    pub text: Cow<'t, str>,
    pub nodes: Vec<Node>,
    /// Behind directives and `---`, where the content starts.
    pub body: usize,
    /// Before `...`, where the content ends.
    pub body_end: usize,
    /// Bytes of comments, in text order, with their `#`.
    pub comments: Vec<Range<usize>>,
    /// Mappings with merge keys, as loaded.
    pub flattened: HashMap<NodeId, Vec<Loaded>>,
    /// How many aliases each anchored node has.
    pub aliases: HashMap<NodeId, usize>,
    /// Starts with a byte order mark.
    pub bom: bool,
    /// JSON only: one level of indentation.
    pub json_step: Option<String>,
    pub line_starts: Vec<usize>,
}

impl Tree<'_> {
    /// The root; `None` in a document without content.
    pub(super) fn root(&self) -> Option<&Node> {
        self.nodes.first()
    }

    /// The node itself, or what its alias stands for.
    pub(super) fn resolve(&self, node: NodeId) -> NodeId {
        match self.nodes[node].kind {
            Kind::Alias(target) => target,
            _ => node,
        }
    }

    /// The mapping at this very node: no alias is followed.
    pub(super) fn map(&self, node: NodeId) -> Option<&Map> {
        match &self.nodes[node].kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Does the node load to a mapping that can be merged, aliases followed?
    pub(super) fn is_mergeable(&self, node: NodeId) -> bool {
        self.map(self.resolve(node)).is_some_and(|map| map.plain_tag)
    }

    /// The entries of a mapping as they are loaded.
    pub(super) fn loaded(&self, map: NodeId, values: &mut Values) -> Vec<Loaded> {
        if let Some(flattened) = self.flattened.get(&map) {
            return flattened.clone();
        }
        let entries = self.map(map).map_or(&[][..], |map| &map.entries);
        let all = entries.iter().enumerate();
        last_wins(all.map(|(entry, it)| Loaded {
            key: values.key(self.nodes[it.key].value),
            map,
            entry,
        }))
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    /// The first byte of the line of a byte.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.line_starts[self.line(at) - 1]
    }

    /// The line break that ends the line of a byte, its carriage return left out.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let end = self
            .line_starts
            .get(self.line(at))
            .map_or(self.text.len(), |next| next - 1);
        if end > at && self.text.as_bytes()[end - 1] == b'\r' {
            end - 1
        } else {
            end
        }
    }

    /// Spaces at the start of the line of a byte.
    pub(super) fn line_indent(&self, at: usize) -> usize {
        self.text[self.line_start(at)..]
            .bytes()
            .take_while(|byte| *byte == b' ')
            .count()
    }

    /// The line of a byte.
    pub(super) fn line_text(&self, at: usize) -> &str {
        &self.text[self.line_start(at)..self.line_end(at)]
    }

    /// Is there nothing but blanks before this byte on its line?
    pub(super) fn starts_line(&self, at: usize) -> bool {
        self.text[self.line_start(at)..at]
            .bytes()
            .all(|byte| matches!(byte, b' ' | b'\t'))
    }

    /// All comments with their lines.
    pub(super) fn all_comments(&self) -> Vec<(usize, &str)> {
        let all = self.comments.iter();
        all.map(|comment| (self.line(comment.start), &self.text[comment.clone()]))
            .collect()
    }

    /// Comments that start within a range.
    pub(super) fn comments_in(&self, range: &Range<usize>) -> &[Range<usize>] {
        let first = self
            .comments
            .partition_point(|comment| comment.start < range.start);
        let last = self.comments.partition_point(|comment| comment.start < range.end);
        &self.comments[first..last.max(first)]
    }

    /// The file's own line break.
    pub(super) fn line_break(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// Does the text of a node end with a block scalar, and with one that owns the blank lines behind it?
    pub(super) fn last_block(&self, node: NodeId) -> Option<bool> {
        // The last node in text order is the deepest last one, unless brackets close behind it.
        let last = &self.nodes[self.nodes[node].next - 1];
        match last.kind {
            Kind::Scalar(Style::Block { keep }) if last.end == self.nodes[node].end => Some(keep),
            _ => None,
        }
    }
}

/// Of entries with one key the last counts, at the first one's place: as Python fills a dict.
pub(super) fn last_wins(entries: impl Iterator<Item = Loaded>) -> Vec<Loaded> {
    let mut places: HashMap<ValueId, usize> = HashMap::new();
    let mut all: Vec<Loaded> = Vec::new();
    for entry in entries {
        match places.get(&entry.key) {
            Some(place) => all[*place] = entry,
            None => {
                places.insert(entry.key, all.len());
                all.push(entry);
            }
        }
    }
    all
}

/// Where lines start.
pub(super) fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect()
}
