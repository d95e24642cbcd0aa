//! A YAML document with the place of every node, for edits that touch nothing else.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Deeper than any config is; keeps recursion over a hostile one short.
const MAX_DEPTH: usize = 64;

/// A node and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Bytes of the text, with anchor and tag. A block collection's ends with its last node.
    pub(super) span: Range<usize>,
    anchor: usize,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Scalar {
        value: String,
        plain: bool,
    },
    Map {
        entries: Vec<(Node, Node)>,
        /// In braces.
        flow: bool,
    },
    Sequence(Vec<Node>),
    Alias(usize),
}

/// Nodes are equal when they say the same, wherever they stand. Aliases are equal: their numbers shift when an
/// anchor goes, and one without its anchor does not parse.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Alias(_), Kind::Alias(_)) => true,
            (Kind::Map { entries: a, .. }, Kind::Map { entries: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }
}

impl Node {
    /// The entries of a mapping.
    pub(super) fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Map { entries, .. } => Some(entries),
            _ => None,
        }
    }

    /// A scalar's value.
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// `~`, `null` or nothing at all.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { value, plain: true }
            if matches!(value.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub(super) fn is_flow(&self) -> bool {
        matches!(self.kind, Kind::Map { flow: true, .. })
    }

    /// The last entry of that key: PyYAML lets the last one win.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        self.entries()?
            .iter()
            .rposition(|(name, _)| name.scalar() == Some(key))
    }

    /// Removes every entry at a path, and what holds nothing after it. Is the node itself now empty?
    pub(super) fn prune(&mut self, path: &[&str]) -> bool {
        if let (Kind::Map { entries, .. }, [key, rest @ ..]) = (&mut self.kind, path) {
            entries.retain_mut(|(name, value)| {
                name.scalar() != Some(key) || !(rest.is_empty() || value.prune(rest))
            });
            return entries.is_empty();
        }
        self.is_null()
    }
}

/// A text parsed: at most one document.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// `None`: nothing but comments.
    pub(super) root: Option<Node>,
}

impl Document {
    /// Parses; `Err`: why not, with the line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Builder::new(text).document()
    }

    /// What a path of keys leads to, as PyYAML reads it: aliases followed, `<<` merged, the last of equal keys.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Node> {
        path.iter()
            .try_fold(self.root.as_ref()?, |node, key| self.value(node, key, MAX_DEPTH))
    }

    fn value<'n>(&'n self, node: &'n Node, key: &str, depth: usize) -> Option<&'n Node> {
        let depth = depth.checked_sub(1)?;
        let node = self.follow(node)?;
        if let Some(at) = node.find(key) {
            return self.follow(&node.entries()?[at].1);
        }
        let merged = &node.entries()?[node.find("<<")?].1;
        match &merged.kind {
            Kind::Sequence(all) => all.iter().find_map(|one| self.value(one, key, depth)),
            _ => self.value(merged, key, depth),
        }
    }

    /// An alias's node; any other is itself.
    pub(super) fn follow<'n>(&'n self, node: &'n Node) -> Option<&'n Node> {
        match node.kind {
            Kind::Alias(anchor) => anchored(self.root.as_ref()?, anchor),
            _ => Some(node),
        }
    }
}

fn anchored(node: &Node, anchor: usize) -> Option<&Node> {
    if node.anchor == anchor {
        return Some(node);
    }
    match &node.kind {
        Kind::Map { entries, .. } => entries
            .iter()
            .flat_map(|(k, v)| [k, v])
            .find_map(|n| anchored(n, anchor)),
        Kind::Sequence(all) => all.iter().find_map(|n| anchored(n, anchor)),
        Kind::Scalar { .. } | Kind::Alias(_) => None,
    }
}

/// The length of a quoted scalar: its span may reach over a comment after it.
fn closed(text: &str, quote: char) -> usize {
    let open = text.find(quote).unwrap_or_default() + 1;
    let mut rest = text.char_indices().skip_while(|(at, _)| *at < open).peekable();
    while let Some((at, c)) = rest.next() {
        let doubled = quote == '\'' && rest.peek().is_some_and(|(_, next)| *next == quote);
        if c == quote && !doubled {
            return at + 1;
        }
        if c == quote || (c == '\\' && quote == '"') {
            rest.next();
        }
    }
    text.len()
}

struct Builder<'t> {
    text: &'t str,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// Byte offset of each character, and the text's length; empty for ASCII, where both are the same.
    offsets: Vec<usize>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        let offsets = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .collect()
        };
        Self {
            text,
            parser: Parser::new_from_str(text),
            offsets,
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Range<usize>), String> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                Ok((event, self.byte(span.start.index())..self.byte(span.end.index())))
            }
            Some(Err(error)) => Err(format!("line {}: {}", error.marker().line(), error.info())),
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
        }
    }

    fn byte(&self, character: usize) -> usize {
        let last = self.text.len();
        if self.offsets.is_empty() {
            character.min(last)
        } else {
            *self.offsets.get(character).unwrap_or(&last)
        }
    }

    fn document(mut self) -> Result<Document, String> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => {
                    let nothing = |root: &Node| root.is_null() && root.span.is_empty();
                    return Ok(Document {
                        root: root.filter(|root| !nothing(root)),
                    });
                }
                Event::DocumentStart(_) if root.is_some() => {
                    return Err("it holds several documents".to_owned());
                }
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                event => root = Some(self.node(event, span, MAX_DEPTH)?),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: Range<usize>, depth: usize) -> Result<Node, String> {
        let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
        let Range { start, end: opened } = span;
        // A bracket's span begins with tag and anchor and reaches over the blanks and the comment behind it; that of a
        // block ends before its first sign, on a line below its tag and anchor.
        let line = self.text[..opened].rfind('\n').map_or(0, |at| at + 1);
        let word = self.text[line.max(start)..opened]
            .split_whitespace()
            .find(|word| !word.starts_with(['&', '!']));
        let flow = word.is_some_and(|word| word.starts_with(['{', '[']));
        Ok(match event {
            Event::Alias(id) => Node {
                kind: Kind::Alias(id),
                span,
                anchor: 0,
            },
            Event::Scalar(value, style, anchor, _) => {
                // An empty scalar's span may reach over the next sign.
                let plain = style == ScalarStyle::Plain;
                let end = match style {
                    ScalarStyle::Plain if value.is_empty() => start,
                    ScalarStyle::SingleQuoted => start + closed(&self.text[start..opened], '\''),
                    ScalarStyle::DoubleQuoted => start + closed(&self.text[start..opened], '"'),
                    _ => opened,
                };
                Node {
                    kind: Kind::Scalar {
                        value: value.into_owned(),
                        plain,
                    },
                    span: start..end,
                    anchor,
                }
            }
            Event::MappingStart(anchor, _) => {
                let mut entries: Vec<(Node, Node)> = Vec::new();
                let end = loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::MappingEnd) {
                        break span.start;
                    }
                    let key = self.node(event, span, depth)?;
                    let (event, span) = self.next()?;
                    let mut value = self.node(event, span, depth)?;
                    if value.is_null() && value.span.is_empty() {
                        // It stands nowhere: put it right after its key.
                        value.span = key.span.end..key.span.end;
                    }
                    entries.push((key, value));
                };
                let end = if flow {
                    end + 1
                } else {
                    entries.last().map_or(opened, |(_, value)| value.span.end)
                };
                Node {
                    kind: Kind::Map { entries, flow },
                    span: start..end,
                    anchor,
                }
            }
            Event::SequenceStart(anchor, _) => {
                let mut all = Vec::new();
                let end = loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break span.start;
                    }
                    all.push(self.node(event, span, depth)?);
                };
                let end = if flow {
                    end + 1
                } else {
                    all.last().map_or(opened, |node: &Node| node.span.end)
                };
                Node {
                    kind: Kind::Sequence(all),
                    span: start..end,
                    anchor,
                }
            }
            _ => return Err("it ends too early".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_at(text: &'static str, path: &[&str]) -> &'static str {
        &text[Document::parse(text).unwrap().get(path).unwrap().span.clone()]
    }

    #[test]
    fn places_hold_for_every_style() {
        assert_eq!(text_at("é: ü # ö\nb:\n  c: 'ß' # x\n", &["b", "c"]), "'ß'");
        assert_eq!(
            text_at("b: !t \"a\\\"b\" # \"\n", &["b"]).trim_start_matches("!t "),
            "\"a\\\"b\""
        );
        assert_eq!(text_at("b: 'a''b' # '\n", &["b"]), "'a''b'");
        assert_eq!(
            text_at("b: &x y # c\nd: *x # c\n", &["b"]).trim_start_matches("&x "),
            "y"
        );
        assert_eq!(
            text_at("b: {c: [1, 2], d: {e: f}} # x\n", &["b"]),
            "{c: [1, 2], d: {e: f}}"
        );
        assert_eq!(text_at("b: {c: [1, 2], d: {e: f}} # x\n", &["b", "c"]), "[1, 2]");
        assert_eq!(
            text_at("b:\n- x\n- y # c\nd: e\n", &["b"]),
            "- x\n- y".trim_start_matches("- ")
        );
        assert_eq!(text_at("\u{feff}a: b\r\nc: d\r\n", &["c"]), "d");
        assert_eq!(text_at("b:   # nothing\nc: d\n", &["b"]), "");
    }

    #[test]
    fn values_are_read_as_pyyaml_reads_them() {
        let text = "x: &x {p: 1, q: &q 2}\na: *x\nb: {<<: *x, q: 3}\nb: {<<: [*x], q: 4}\n";
        let document = Document::parse(text).unwrap();
        let get = |path: &[&str]| document.get(path).and_then(Node::scalar).map(str::to_owned);
        assert_eq!(get(&["a", "p"]).as_deref(), Some("1"));
        assert_eq!(get(&["b", "q"]).as_deref(), Some("4"), "the last one wins");
        assert_eq!(get(&["b", "p"]).as_deref(), Some("1"));
        assert_eq!(get(&["b", "r"]), None);
    }

    #[test]
    fn hostile_texts_end_in_a_reason() {
        let deep = format!("a: {}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(
            Document::parse(&deep).unwrap_err(),
            "line 1: recursion limit exceeded"
        );
        let deep: String = (0..MAX_DEPTH)
            .map(|depth| format!("{:1$}a:\n", "", depth))
            .collect();
        assert_eq!(Document::parse(&deep).unwrap_err(), "it is nested too deeply");
        assert_eq!(
            Document::parse("a: 1\n---\nb: 2\n").unwrap_err(),
            "it holds several documents"
        );
        assert!(Document::parse("a: [\n").unwrap_err().starts_with("line "));
        let looped = Document::parse("a: &a\n  <<: *a\n").unwrap();
        assert!(looped.get(&["a", "b"]).is_none());
        assert!(Document::parse("").unwrap().root.is_none());
        assert!(Document::parse("# only\n").unwrap().root.is_none());
    }
}
