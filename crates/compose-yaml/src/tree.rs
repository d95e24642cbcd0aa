//! A text as a flat list of nodes. Every node has its range of bytes, so that an edit can move text
//! instead of rewriting it.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::HashMap,
    ops::Range,
    rc::Rc,
};

use crate::{
    decode::without_bom,
    lines::Lines,
    scalar::{self, Scalar},
};

/// The budget for work on a tree, in copied bytes and [`STEP`]s. It is far above what a thousand
/// sources need, and far below the work that aliases in a small text can cause.
const WORK: usize = 8 << 20;
/// The cost of a visit to one node.
const STEP: usize = 64;

/// An index into [`Tree::nodes`]. The nodes are in text order, and a parent precedes its children.
pub type NodeId = usize;

/// The style of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A scalar without quotes.
    Plain,
    /// A quoted scalar: `'…'` or `"…"`.
    Quoted,
    /// A block scalar: `|` or `>`.
    Block {
        /// Whether a `+` makes the blank lines after the scalar part of the value.
        keep: bool,
    },
}

/// The kind of a node.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A scalar. An omitted value is an empty plain one.
    Scalar {
        /// The text of the value, without quotes, escapes and folded lines.
        value: Box<str>,
        /// The style in which it is written.
        style: Style,
    },
    /// An alias of an anchored node before or around it.
    Alias(NodeId),
    /// A sequence; see [`Tree::items`].
    Sequence {
        /// Whether it is in brackets.
        flow: bool,
    },
    /// A mapping.
    Map(Map),
}

/// A mapping.
#[derive(Clone, Debug)]
pub struct Map {
    /// Whether it is in braces.
    pub flow: bool,
    /// The column of the keys of a block mapping; for a mapping in braces, the indentation of the
    /// line on which it starts.
    pub indent: usize,
    /// The entries as written, including duplicates.
    pub entries: Vec<MapEntry>,
}

/// An entry of a mapping.
#[derive(Clone, Copy, Debug)]
pub struct MapEntry {
    /// The key.
    pub key: NodeId,
    /// The value.
    pub value: NodeId,
    /// The end of the `:`; the key's end if there is none (`{a}`).
    pub colon_end: usize,
    /// Whether there is a `:`.
    pub colon: bool,
    /// Whether it is written with `?`.
    pub explicit: bool,
}

/// A node and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The kind of the node.
    pub kind: Kind,
    /// The tag, resolved: `tag:yaml.org,2002:str`, `!Ref`, or a bare `!`.
    pub tag: Option<Box<str>>,
    /// The end of the indicator that introduces the node (`:`, `-`); for the root, the start of the
    /// document.
    pub lead: usize,
    /// The first byte, including the tag and the anchor.
    pub start: usize,
    /// The first byte after the tag and the anchor.
    pub content: usize,
    /// The end of the last byte. A block scalar ends with its last line, without the line break.
    pub end: usize,
    /// The column that the node must be indented beyond if its collection is a block; -1 for the root.
    pub parent_indent: isize,
    /// Whether it is an item of a sequence.
    pub in_sequence: bool,
    /// Whether it is inside brackets or braces.
    pub in_flow: bool,
    /// Whether it is a key of a mapping.
    pub is_key: bool,
    /// The first node after this one that is not part of it.
    pub next: NodeId,
    /// The bytes of the anchor, including its `&`.
    pub anchor: Option<Range<usize>>,
}

/// An entry of a mapping as it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The mapping that contains the entry; a different one if the entry is inherited through a
    /// merge key.
    pub map: NodeId,
    /// The index into its [`entries`](crate::Map::entries).
    pub entry: usize,
}

impl Node {
    /// Returns the bytes of the node, including its tag and anchor.
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Returns whether the node is null: it was omitted, or it is `~` or `null` without a tag.
    pub fn is_null(&self) -> bool {
        self.tag.is_none()
            && matches!(&self.kind, Kind::Scalar { value, style: Style::Plain } if scalar::is_null(value))
    }

    /// Returns whether the node is a collection without brackets.
    pub fn is_block(&self) -> bool {
        matches!(
            self.kind,
            Kind::Map(Map { flow: false, .. }) | Kind::Sequence { flow: false }
        )
    }
}

/// A text with at most one document.
///
/// ```
/// use compose_yaml::Tree;
///
/// let text = "sources: # ours\n- {version: 1.10}\n";
/// let tree = Tree::parse(text).unwrap();
/// let sources = tree.get(0, "sources").unwrap();
/// let source = tree.items(sources).next().unwrap();
/// let version = tree.get(source, "version").unwrap();
/// assert_eq!(tree.value(version), Some("1.10"));
/// assert_eq!(&text[tree.node(version).span()], "1.10");
/// ```
#[derive(Debug)]
pub struct Tree<'t> {
    /// The text.
    pub text: Cow<'t, str>,
    /// All nodes in text order. The first one is the root. A text without content has none.
    pub nodes: Vec<Node>,
    /// The start of the content, after directives and `---`.
    pub body: usize,
    /// The end of the content, before `...`.
    pub body_end: usize,
    /// The bytes of comments, including their `#`, in text order.
    pub comments: Vec<Range<usize>>,
    /// Whether there is a `%TAG` directive.
    pub has_tag_directive: bool,
    /// The lines of the text.
    pub lines: Lines,
    /// The remaining part of [`WORK`].
    work: Cell<usize>,
    pub(crate) loaded: RefCell<HashMap<NodeId, Rc<[Loaded]>>>,
}

impl<'t> Tree<'t> {
    /// Returns a tree of the nodes that another reader found in a text.
    pub fn new(text: Cow<'t, str>, nodes: Vec<Node>, lines: Lines) -> Self {
        Self {
            body: 0,
            body_end: text.len(),
            lines,
            text,
            nodes,
            comments: Vec::new(),
            has_tag_directive: false,
            work: Cell::new(WORK),
            loaded: RefCell::default(),
        }
    }

    /// Returns the root, or `None` in a document without content.
    pub fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then_some(0)
    }

    /// Returns the node itself, or its target if it is an alias.
    pub fn resolve(&self, node: NodeId) -> NodeId {
        match self.nodes[node].kind {
            Kind::Alias(target) => target,
            _ => node,
        }
    }

    /// Returns the node. Aliases are followed.
    pub fn node(&self, node: NodeId) -> &Node {
        &self.nodes[self.resolve(node)]
    }

    /// Returns the mapping at this node. Aliases are not followed.
    pub fn map(&self, node: NodeId) -> Option<&Map> {
        match &self.nodes[node].kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Returns the items of the sequence at this node. Aliases are not followed. Other nodes have
    /// no items.
    pub fn items(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let end = match self.nodes[node].kind {
            Kind::Sequence { .. } => self.nodes[node].next,
            _ => 0,
        };
        let within = move |item: NodeId| (item < end).then_some(item);
        std::iter::successors(within(node + 1), move |item| within(self.nodes[*item].next))
    }

    /// Returns the text that a scalar stands for. Aliases are followed.
    pub fn value(&self, node: NodeId) -> Option<&str> {
        match &self.node(node).kind {
            Kind::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Returns the value that a scalar is loaded as. Aliases are followed.
    pub fn scalar(&self, node: NodeId) -> Option<Scalar> {
        let node = self.node(node);
        match &node.kind {
            Kind::Scalar { value, style } => {
                Some(scalar::load(value, node.tag.as_deref(), *style == Style::Plain))
            }
            _ => None,
        }
    }

    /// Returns the text of a node without its tag and anchor.
    pub fn source(&self, node: NodeId) -> &str {
        &self.text[self.nodes[node].content..self.nodes[node].end]
    }

    /// Subtracts one step and this many bytes from the budget that stops alias bombs. Returns
    /// `false` if the budget is used up.
    pub fn spend(&self, work: usize) -> bool {
        let left = self.work.get().checked_sub(work.saturating_add(STEP));
        self.work.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Returns whether the budget is used up, in which case parts of the tree were not visited.
    pub fn is_exhausted(&self) -> bool {
        self.work.get() == 0
    }

    /// Returns the number of spaces at the start of the line of a byte.
    pub fn line_indent(&self, at: usize) -> usize {
        let line = &self.text[self.lines.start(at)..];
        line.bytes().take_while(|byte| *byte == b' ').count()
    }

    /// Returns the line of a byte, counted from 1.
    pub fn line(&self, at: usize) -> usize {
        self.lines.line(at)
    }

    /// Returns the line and the column of a byte, both from 1. The column counts characters.
    pub fn line_column(&self, at: usize) -> (usize, usize) {
        self.lines.line_column(&self.text, at)
    }

    /// Returns the first byte of the line of a byte.
    pub fn line_start(&self, at: usize) -> usize {
        self.lines.start(at)
    }

    /// Returns the end of the line of a byte, without its line break.
    pub fn line_end(&self, at: usize) -> usize {
        self.lines.end(&self.text, at)
    }

    /// Returns the text of the line of a byte.
    pub fn line_text(&self, at: usize) -> &str {
        &self.text[self.lines.start(at)..self.line_end(at)]
    }

    /// Returns whether only blanks precede this byte on its line. A byte-order mark is ignored.
    pub fn starts_line(&self, at: usize) -> bool {
        let start = self.lines.start(at);
        let before = &self.text[start..at];
        without_bom(before)
            .bytes()
            .all(|byte| matches!(byte, b' ' | b'\t'))
    }

    /// Returns the comments that start within a range.
    pub fn comments_in(&self, range: &Range<usize>) -> &[Range<usize>] {
        let before = |at: usize| self.comments.partition_point(|comment| comment.start < at);
        let first = before(range.start);
        &self.comments[first..before(range.end).max(first)]
    }
}
