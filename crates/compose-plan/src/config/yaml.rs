//! YAML as a flat list of nodes with their places.
//!
//! Scalars keep their text (`1.10` is no number), repeated keys stay, and aliases are references: nothing is
//! expanded, so that the tree is never larger than the text. Nodes refer to each other by index, which makes deep
//! nesting harmless to build and to drop.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    ops::Range,
};

use compose_model::text::escape;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

/// Index of a node.
pub(crate) type Id = usize;
/// The pairs of a mapping.
type Pairs = Vec<(Id, Id)>;

pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Bytes of the text.
    pub(crate) span: Range<usize>,
    /// The tag, resolved: `tag:yaml.org,2002:str`, `!Ref`.
    pub(crate) tag: Option<String>,
}

pub(crate) enum Kind {
    Scalar { text: String, style: ScalarStyle },
    Sequence(Vec<Id>),
    Mapping(Pairs),
    Alias(Id),
}

/// A text that is not one YAML document.
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    /// Byte of the text.
    pub(crate) at: usize,
    /// True of the whole file, whatever its other lines hold.
    pub(crate) is_final: bool,
}

/// What reading a tree may cost, in bytes copied and [`STEP`]s: far above what a thousand sources hold, far below what
/// aliases can make of a small text.
const WORK: usize = 8 << 20;
/// What looking at one node costs.
const STEP: usize = 64;

pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// `None`: an empty document.
    pub(crate) root: Option<Id>,
    work: Cell<usize>,
}

impl Tree {
    pub(crate) fn empty() -> Self {
        Self {
            nodes: Vec::new(),
            root: None,
            work: Cell::new(WORK),
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let bom = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let offsets = Offsets::new(text, bom);
        let mut builder = Builder {
            tree: Self::empty(),
            anchors: HashMap::new(),
            open: Vec::new(),
        };
        let mut documents = 0;
        let mut parser = Parser::new_from_str(&text[bom..]);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| scan_error(&error, &offsets))?;
            let span = offsets.byte(span.start.index())..offsets.byte(span.end.index());
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
                if documents > 1 {
                    let message = "the file holds several YAML documents, which BitOps does not read".into();
                    return Err(SyntaxError {
                        message,
                        at: span.start,
                        is_final: true,
                    });
                }
            }
            builder.event(event, span);
        }
        Ok(builder.tree)
    }

    /// The node, with an alias followed.
    pub(crate) fn get(&self, id: Id) -> &Node {
        match self.nodes[id].kind {
            Kind::Alias(target) => &self.nodes[target],
            _ => &self.nodes[id],
        }
    }

    /// All nodes, in document order.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The text of a scalar.
    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match &self.get(id).kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Counts one step and so many bytes against the budget that stops alias bombs; `false`: it is used up.
    pub(crate) fn spend(&self, work: usize) -> bool {
        let left = self.work.get().checked_sub(work.saturating_add(STEP));
        self.work.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Was the tree read to the end?
    pub(crate) fn is_exhausted(&self) -> bool {
        self.work.get() == 0
    }

    /// A mapping's own pairs as written, then those that merge keys (`<<`) add. `None` when it is no mapping.
    pub(crate) fn pairs(&self, id: Id) -> Option<Pairs> {
        let (mut all, mut waiting) = self.own_pairs(id)?;
        if waiting.is_empty() {
            return Some(all);
        }
        let mut known: HashSet<&str> = all.iter().filter_map(|(key, _)| self.text(*key)).collect();
        let mut seen = HashSet::new();
        waiting.reverse();
        while let Some(next) = waiting.pop() {
            let node = self.get(next);
            if let Kind::Sequence(items) = &node.kind {
                if seen.insert(node.span.start) && self.spend(items.len() * 8) {
                    waiting.extend(items.iter().rev());
                }
            } else if let Some((pairs, merges)) = self.own_pairs(next)
                && seen.insert(node.span.start)
            {
                let fresh = |key: Id| self.text(key).is_none_or(|text| !known.contains(text));
                let fresh: Pairs = pairs.into_iter().filter(|(key, _)| fresh(*key)).collect();
                known.extend(fresh.iter().filter_map(|(key, _)| self.text(*key)));
                all.extend(fresh);
                waiting.extend(merges.into_iter().rev());
            }
        }
        Some(all)
    }

    fn own_pairs(&self, id: Id) -> Option<(Pairs, Vec<Id>)> {
        let Kind::Mapping(pairs) = &self.get(id).kind else {
            return None;
        };
        if !self.spend(pairs.len() * 8) {
            return None;
        }
        let is_merge = |key: Id| matches!(&self.nodes[key].kind, Kind::Scalar { text, style: ScalarStyle::Plain } if text == "<<");
        let (merges, own): (Vec<_>, Vec<_>) = pairs.iter().copied().partition(|(key, _)| is_merge(*key));
        Some((own, merges.into_iter().map(|(_, value)| value).collect()))
    }
}

fn scan_error(error: &ScanError, offsets: &Offsets) -> SyntaxError {
    SyntaxError {
        message: format!("not valid YAML: {}", escape(error.info(), 200)),
        at: offsets.byte(error.marker().index()),
        is_final: false,
    }
}

/// The parser counts characters; places count bytes.
struct Offsets {
    /// The byte at which each character begins; empty for ASCII.
    bytes: Vec<usize>,
    bom: usize,
    len: usize,
}

impl Offsets {
    fn new(text: &str, bom: usize) -> Self {
        let rest = &text[bom..];
        let bytes = if rest.is_ascii() {
            Vec::new()
        } else {
            rest.char_indices().map(|(at, _)| at).collect()
        };
        Self {
            bytes,
            bom,
            len: rest.len(),
        }
    }

    fn byte(&self, character: usize) -> usize {
        let byte = if self.bytes.is_empty() {
            character
        } else {
            self.bytes.get(character).copied().unwrap_or(self.len)
        };
        self.bom + byte.min(self.len)
    }
}

struct Builder {
    tree: Tree,
    anchors: HashMap<usize, Id>,
    open: Vec<Open>,
}

struct Open {
    id: Id,
    /// In a mapping: the key that waits for its value.
    key: Option<Id>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Range<usize>) {
        let tag = |tag: Option<std::borrow::Cow<'_, saphyr_parser::Tag>>| {
            tag.map(|tag| format!("{}{}", tag.handle, tag.suffix))
        };
        let (kind, anchor, tag, opens) = match event {
            Event::Scalar(text, style, anchor, found) => (
                Kind::Scalar {
                    text: text.into_owned(),
                    style,
                },
                anchor,
                tag(found),
                false,
            ),
            Event::SequenceStart(anchor, found) => (Kind::Sequence(Vec::new()), anchor, tag(found), true),
            Event::MappingStart(anchor, found) => (Kind::Mapping(Vec::new()), anchor, tag(found), true),
            // The parser itself refuses an alias without its anchor.
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(target) => (Kind::Alias(*target), 0, None, false),
                None => return,
            },
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(done) = self.open.pop() {
                    let node = &mut self.tree.nodes[done.id];
                    node.span.end = node.span.end.max(span.end);
                }
                return;
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => return,
        };
        let id = self.tree.nodes.len();
        self.tree.nodes.push(Node { kind, span, tag });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        self.attach(id);
        if opens {
            self.open.push(Open { id, key: None });
        }
    }

    fn attach(&mut self, id: Id) {
        let Some(parent) = self.open.last_mut() else {
            self.tree.root = Some(id);
            return;
        };
        match &mut self.tree.nodes[parent.id].kind {
            Kind::Sequence(items) => items.push(id),
            Kind::Mapping(pairs) => match parent.key.take() {
                Some(key) => pairs.push((key, id)),
                None => parent.key = Some(id),
            },
            Kind::Scalar { .. } | Kind::Alias(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalars(text: &str) -> Vec<(String, String)> {
        let tree = Tree::parse(text).unwrap_or_else(|error| panic!("{}", error.message));
        let scalar = |node: &Node| match &node.kind {
            Kind::Scalar { text: value, .. } => Some((value.clone(), text[node.span.clone()].to_owned())),
            _ => None,
        };
        tree.nodes.iter().filter_map(scalar).collect()
    }

    #[test]
    fn spans_are_bytes_whatever_stands_before_them() {
        for before in ["", "\u{feff}", "# ä€😀\n", "k: \"ö\"\r\n", "\u{feff}# ß\r\n"] {
            let text = format!("{before}repo: höst # ü\nlist: ['é', \"x\"]\n");
            let found = scalars(&text);
            for (value, slice) in &found {
                assert_eq!(slice.trim_matches(['"', '\'']), value, "{text:?}");
            }
            assert_eq!(found[found.len() - 1].0, "x");
        }
    }

    #[test]
    fn nesting_costs_no_stack() {
        for deep in [
            "- ".repeat(200_000),
            "? ".repeat(100_000),
            "[".repeat(200_000),
            "{a: ".repeat(200_000),
        ] {
            // Parsed or refused, but survived.
            let _ = Tree::parse(&deep);
        }
    }

    #[test]
    fn merge_keys_add_what_is_not_there_and_end_on_loops() {
        let text = "base: &base {a: 1, b: 1, <<: &more {c: 1, a: 0}}\nuse: &use {b: 2, <<: [*base, *use]}\n";
        let tree = Tree::parse(text).unwrap_or_else(|error| panic!("{}", error.message));
        let root = tree.pairs(tree.root.unwrap()).unwrap();
        let pairs = tree.pairs(root[1].1).unwrap();
        let texts: Vec<_> = pairs
            .iter()
            .map(|(k, v)| (tree.text(*k).unwrap(), tree.text(*v).unwrap()))
            .collect();
        assert_eq!(texts, [("b", "2"), ("a", "1"), ("c", "1")]);
    }
}
