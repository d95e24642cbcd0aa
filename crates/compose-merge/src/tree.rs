//! A file as a lightweight tree. Every node knows its bytes, so that a merge can move text instead of rewriting it.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use super::value::{ValueId, Values};

/// A file nested deeper than this, aliases followed, is not merged. Real files stay below 20.
pub(super) const MAX_DEPTH: usize = 128;
/// A file with more bytes than this is not merged: no configuration that people write is nearly so large.
pub(super) const MAX_BYTES: usize = 4 << 20;
/// A file with more nodes than this is not merged, which keeps a merge of hostile files under about 150 MiB.
pub(super) const MAX_NODES: usize = 400_000;

/// An index into [`Tree::nodes`]. The nodes are in text order, a parent before its children.
pub(super) type NodeId = usize;

/// A node of one contribution.
pub(super) type NodeRef = (usize, NodeId);

/// The style of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
    /// `|` and `>`. `keep`: a `+` makes the blank lines behind it part of the value.
    Block {
        keep: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Scalar(Style),
    Alias(NodeId),
    Sequence { flow: bool },
    Map(Map),
}

#[derive(Clone, Debug)]
pub(super) struct Map {
    /// It is in braces.
    pub flow: bool,
    /// It has no tag, or one that still makes it a mapping.
    pub plain_tag: bool,
    /// The column of the keys of a block mapping; for one in braces the indentation of the line that it starts on.
    pub indent: usize,
    /// The entries as written, including duplicates.
    pub entries: Vec<MapEntry>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct MapEntry {
    pub key: NodeId,
    pub value: NodeId,
    /// The end of the `:`; the key's end if there is none (`{a}`).
    pub colon_end: usize,
    /// Is there a `:`?
    pub colon: bool,
    /// Is it written with `?`?
    pub explicit: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The end of the indicator that introduces the node (`:`, `-`); for the root the start of the document.
    pub lead: usize,
    /// The first byte, including tag and anchor.
    pub start: usize,
    /// The first byte behind tag and anchor.
    pub content: usize,
    /// The end of the last byte. A block scalar ends with its last line, without the line break.
    pub end: usize,
    /// The column that the node must be indented beyond if its collection is a block; -1 for the root.
    pub parent_indent: isize,
    /// Is it an item of a block sequence?
    pub in_sequence: bool,
    /// Is it inside brackets or braces?
    pub in_flow: bool,
    /// Is it the key of a mapping?
    pub is_key: bool,
    /// The first node behind this one that is not part of it.
    pub next: NodeId,
    /// The bytes of the anchor with its `&`.
    pub anchor: Option<Range<usize>>,
    /// The value that it loads to.
    pub value: ValueId,
    pub kind: NodeKind,
}

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

/// A parsed file.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    /// The text without byte-order mark, with a line break at its end.
    pub text: Cow<'t, str>,
    pub nodes: Vec<Node>,
    /// The start of the content, behind directives and `---`.
    pub body: usize,
    /// The end of the content, before `...`.
    pub body_end: usize,
    /// The bytes of comments, with their `#`, in text order.
    pub comments: Vec<Range<usize>>,
    /// The mappings with merge keys, as loaded.
    pub flattened: HashMap<NodeId, Vec<Loaded>>,
    /// The number of aliases of each anchored node.
    pub aliases: HashMap<NodeId, usize>,
    /// Does the file start with a byte-order mark?
    pub bom: bool,
    /// One level of indentation, in JSON only.
    pub json_step: Option<String>,
    pub line_starts: Vec<usize>,
}

impl Tree<'_> {
    /// The root; `None` in a document without content.
    pub(super) fn root(&self) -> Option<&Node> {
        self.nodes.first()
    }

    /// The node itself, or the target of its alias.
    pub(super) fn resolve(&self, node: NodeId) -> NodeId {
        match self.nodes[node].kind {
            NodeKind::Alias(target) => target,
            _ => node,
        }
    }

    /// The mapping at this node; aliases are not followed.
    pub(super) fn map(&self, node: NodeId) -> Option<&Map> {
        match &self.nodes[node].kind {
            NodeKind::Map(map) => Some(map),
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

    /// The end of the line of a byte, without its line break.
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

    /// Are there only blanks before this byte on its line?
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

    /// The comments that start within a range.
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

    /// `Some` if a node ends with a block scalar: does that own the blank lines behind it?
    pub(super) fn last_block(&self, node: NodeId) -> Option<bool> {
        // The last node in text order is the deepest last one, unless brackets close behind it.
        let last = &self.nodes[self.nodes[node].next - 1];
        match last.kind {
            NodeKind::Scalar(Style::Block { keep }) if last.end == self.nodes[node].end => Some(keep),
            _ => None,
        }
    }
}

/// Of entries with the same key the last one counts, in the place of the first, as in a Python dict.
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

/// The starts of all lines.
pub(super) fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect()
}
