//! Parses YAML to a [`Tree`]: the events of saphyr-parser give the structure, the text between them the exact places.
//!
//! saphyr reads YAML 1.2 and BitOps reads YAML 1.1 with PyYAML. Scalars are resolved by the rules of 1.1
//! (`scalar`). A text that the two grammars read differently is refused (see [`check_text`]).

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{
    scalar,
    source_text::{self, SourceText},
    tree::{Loaded, MAX_DEPTH, MAX_NODES, Map, MapEntry, Node, NodeId, NodeKind, Style, Tree, line_starts},
    value::Values,
};

mod gaps;
mod merge_keys;

use gaps::Position;

/// Parses one file that holds one document; the error is the reason of an [`Unmergeable`](super::Unmergeable).
pub(super) fn parse<'t>(bytes: &'t [u8], values: &mut Values) -> Result<Tree<'t>, String> {
    let SourceText { text, bom } = source_text::decode(bytes)?;
    check_text(text)?;
    if text.is_empty() || text.ends_with('\n') {
        return YamlBuilder::new(Cow::Borrowed(text), bom).build(values);
    }
    // The last line has no line break, but text that is spliced in behind it needs one. The break is part of the value of
    // a block scalar, so its header must then strip it.
    let whole = format!("{text}\n");
    let tree = YamlBuilder::new(Cow::Owned(whole.clone()), bom).build(values)?;
    let Some(header) = tree.nodes.last().filter(|last| {
        matches!(last.kind, NodeKind::Scalar(Style::Block { .. })) && last.end + 1 == whole.len()
    }) else {
        return Ok(tree);
    };
    let last = text.rfind('\n').map_or(0, |at| at + 1);
    if text[last..].trim().is_empty() {
        // Indentation is not content: the line break before it is the last one.
        let content = is_content(&text[header.content..last], &text[last..]);
        return match content {
            true => Err("a text of several lines that ends with blanks and without a line break".to_owned()),
            false => YamlBuilder::new(Cow::Owned(text[..last].to_owned()), bom).build(values),
        };
    }
    let mut stripped = whole;
    let signs = stripped[header.content + 1..]
        .bytes()
        .take_while(|byte| matches!(byte, b'+' | b'-' | b'1'..=b'9'));
    let range = header.content + 1..header.content + 1 + signs.count();
    let indentation: String = stripped[range.clone()]
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    stripped.replace_range(range, &format!("{indentation}-"));
    YamlBuilder::new(Cow::Owned(stripped), bom).build(values)
}

/// Can a last line of blanks be content of the block scalar that it ends, beyond its indentation? If in doubt, yes.
fn is_content(scalar: &str, blanks: &str) -> bool {
    let mut lines = scalar.lines();
    let header = lines.next().unwrap_or_default();
    let signs = header.split(' ').next().unwrap_or_default();
    let texts = lines.filter(|line| !line.trim().is_empty());
    let indent = texts
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min();
    let plain = blanks.bytes().all(|byte| byte == b' ') && !signs.contains(|c: char| c.is_ascii_digit());
    !plain || indent.is_none_or(|indent| blanks.len() > indent)
}

/// Refuses characters that PyYAML does not accept, and those that it reads as line breaks but YAML 1.2 does not.
fn check_text(text: &str) -> Result<(), String> {
    let mut previous = '\0';
    for (at, c) in text.char_indices().chain([(text.len(), '\0')]) {
        if previous == '\r' && c != '\n' {
            return Err("a carriage return without a line feed".to_owned());
        }
        let ordinary = matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        if at < text.len() && (!ordinary || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')) {
            return Err(format!("the character U+{:04X}", u32::from(c)));
        }
        previous = c;
    }
    Ok(())
}

/// An open collection.
struct Frame {
    node: NodeId,
    flow: bool,
    /// The column of the keys or dashes; for a flow collection the indentation of its first line.
    indent: usize,
    /// `None` for a sequence.
    map: Option<OpenMap>,
    items: Vec<NodeId>,
    tag: Option<String>,
    /// The nesting below the deepest child.
    depth: usize,
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<MapEntry>,
    /// The key whose value is next, with a flag for a `?`.
    key: Option<(NodeId, bool)>,
    /// A pair in a flow sequence without braces.
    bare: bool,
}

struct YamlBuilder<'t> {
    text: Cow<'t, str>,
    bom: bool,
    /// All text before it has been processed.
    at: usize,
    /// The byte of each character; empty if the text is ASCII.
    bytes: Vec<usize>,
    line_starts: Vec<usize>,
    nodes: Vec<Node>,
    comments: Vec<Range<usize>>,
    frames: Vec<Frame>,
    /// Anchored nodes by saphyr's number of the anchor.
    anchors: HashMap<usize, NodeId>,
    anchor_names: HashSet<String>,
    aliases: HashMap<NodeId, usize>,
    /// The nesting below each node, aliases followed.
    depths: Vec<usize>,
    flattened: HashMap<NodeId, Vec<Loaded>>,
    flattened_entries: usize,
}

impl<'t> YamlBuilder<'t> {
    fn new(text: Cow<'t, str>, bom: bool) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(at, _)| at).collect()
        };
        let line_starts = line_starts(&text);
        Self {
            text,
            bom,
            at: 0,
            bytes,
            line_starts,
            nodes: Vec::new(),
            comments: Vec::new(),
            frames: Vec::new(),
            anchors: HashMap::new(),
            anchor_names: HashSet::new(),
            aliases: HashMap::new(),
            depths: Vec::new(),
            flattened: HashMap::new(),
            flattened_entries: 0,
        }
    }

    fn build(mut self, values: &mut Values) -> Result<Tree<'t>, String> {
        let text = self.text.clone();
        let mut parser = Parser::new_from_str(&text);
        let (mut body, mut body_end, mut documents) = (0, text.len(), 0);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| {
                let at = error.marker();
                format!(
                    "not valid YAML: line {}, column {}: {}",
                    at.line(),
                    at.col() + 1,
                    error.info()
                )
            })?;
            let end = self.byte(span.end.index());
            match event {
                Event::DocumentStart(explicit) => {
                    documents += 1;
                    if documents > 1 {
                        return Err("several documents".to_owned());
                    }
                    self.directives(explicit)?;
                    body = self.at;
                }
                Event::DocumentEnd => {
                    self.trivia();
                    body_end = self.at;
                }
                Event::Scalar(content, style, anchor, tag) => {
                    self.scalar(&content, style, anchor, tag.as_deref(), end, values)?;
                }
                Event::Alias(anchor) => self.alias(anchor)?,
                Event::SequenceStart(anchor, tag) => self.open(false, anchor, tag.as_deref(), &span)?,
                Event::MappingStart(anchor, tag) => self.open(true, anchor, tag.as_deref(), &span)?,
                Event::SequenceEnd | Event::MappingEnd => self.close(values)?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
            }
        }
        self.trivia();
        while self.text[self.at..].starts_with("...") {
            self.at += 3;
            self.trivia();
        }
        if self.nodes.first().is_some_and(|root| root.start == root.end) {
            self.nodes.clear();
        }
        Ok(Tree {
            text: self.text,
            nodes: self.nodes,
            body,
            body_end,
            comments: self.comments,
            flattened: self.flattened,
            aliases: self.aliases,
            bom: self.bom,
            json_step: None,
            line_starts: self.line_starts,
        })
    }

    /// Adds a node, which the caller completes.
    fn node(
        &mut self,
        position: &Position,
        start: usize,
        anchor: Option<Range<usize>>,
        kind: NodeKind,
    ) -> Result<NodeId, String> {
        let id = self.nodes.len();
        if id == MAX_NODES {
            return Err(format!("more than {MAX_NODES} values"));
        }
        self.nodes.push(Node {
            lead: position.lead,
            start,
            content: self.at,
            end: self.at,
            parent_indent: position.parent_indent,
            in_sequence: position.in_sequence,
            in_flow: position.in_flow,
            is_key: position.key,
            next: id + 1,
            anchor,
            value: 0,
            kind,
        });
        self.depths.push(1);
        Ok(id)
    }

    fn anchored(&mut self, anchor: usize, node: NodeId) -> Result<(), String> {
        let Some(range) = self.nodes[node].anchor.clone() else {
            return Ok(());
        };
        let name = &self.text[range.start + 1..range.end];
        // PyYAML's rules for names are stricter than YAML's.
        if name.is_empty()
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            return Err(format!("the anchor `{name}`, which PyYAML does not read"));
        }
        if !self.anchor_names.insert(name.to_owned()) {
            return Err(format!("the anchor `{name}` is defined twice"));
        }
        self.anchors.insert(anchor, node);
        Ok(())
    }

    fn scalar(
        &mut self,
        content: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        end: usize,
        values: &mut Values,
    ) -> Result<(), String> {
        let position = self.place()?;
        let (start, name) = self.properties(anchor > 0, tag.is_some(), position.in_flow)?;
        let empty = content.is_empty() && style == ScalarStyle::Plain;
        if !empty {
            self.trivia();
        }
        let start = if anchor > 0 || tag.is_some() {
            start
        } else {
            self.at
        };
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block {
                keep: self.header_keeps()?,
            },
        };
        let id = self.node(&position, start, name, NodeKind::Scalar(style))?;
        self.anchored(anchor, id)?;
        let tag = tag.map(tag_text);
        let loaded = scalar::load(content, tag.as_deref(), style == Style::Plain);
        self.nodes[id].value = values.scalar(loaded);
        if let Style::Block { .. } = style {
            self.header_comment();
        }
        if !empty {
            self.at = self.scalar_end(self.at, end, style)?;
        }
        self.nodes[id].end = self.at;
        self.attach(id, &position)
    }

    fn alias(&mut self, anchor: usize) -> Result<(), String> {
        let position = self.place()?;
        self.trivia();
        let target = *self.anchors.get(&anchor).ok_or_else(|| self.lost())?;
        if self.frames.iter().any(|frame| frame.node == target) {
            return Err("an alias of something that it is itself a part of".to_owned());
        }
        let id = self.node(&position, self.at, None, NodeKind::Alias(target))?;
        self.expect(b'*')?;
        let name = self.nodes[target].anchor.clone().unwrap_or_default();
        self.at += name.len() - 1;
        self.nodes[id].end = self.at;
        self.nodes[id].value = self.nodes[target].value;
        self.depths[id] = self.depths[target];
        *self.aliases.entry(target).or_default() += 1;
        self.attach(id, &position)
    }

    fn open(&mut self, map: bool, anchor: usize, tag: Option<&Tag>, span: &Span) -> Result<(), String> {
        let position = self.place()?;
        let (start, name) = self.properties(anchor > 0, tag.is_some(), position.in_flow)?;
        self.trivia();
        let start = if anchor > 0 || tag.is_some() {
            start
        } else {
            self.at
        };
        let opening = if map { b'{' } else { b'[' };
        // saphyr's span of a bracket includes the blanks and the comment behind it; that of a block is empty here.
        let bracketed = self.peek() == Some(opening) && self.byte(span.end.index()) > self.at;
        let flow = bracketed || position.in_flow;
        let bare = flow && !bracketed;
        let indent = if flow {
            self.line_indent(self.at)
        } else {
            self.column(self.at)
        };
        let tag = tag.map(tag_text);
        let kind = if map {
            // With `!!map`, and with a bare `!`, it is still a dict.
            let plain_tag = tag.as_deref().is_none_or(|tag| {
                tag == "!" || matches!(tag.strip_prefix(scalar::YAML_TAG), Some("map" | "python/dict"))
            });
            NodeKind::Map(Map {
                flow,
                plain_tag,
                indent,
                entries: Vec::new(),
            })
        } else {
            NodeKind::Sequence { flow }
        };
        let id = self.node(&position, start, name, kind)?;
        self.anchored(anchor, id)?;
        if bracketed {
            self.at += 1;
        }
        self.attach(id, &position)?;
        if self.frames.len() == MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        let map = map.then(|| OpenMap {
            bare,
            ..OpenMap::default()
        });
        self.frames.push(Frame {
            node: id,
            flow,
            indent,
            map,
            items: Vec::new(),
            tag,
            depth: 0,
        });
        Ok(())
    }

    /// Adds a node to the collection around it.
    fn attach(&mut self, id: NodeId, position: &Position) -> Result<(), String> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        frame.depth = frame.depth.max(self.depths[id]);
        let Some(map) = &mut frame.map else {
            frame.items.push(id);
            return Ok(());
        };
        match map.key.take() {
            None => {
                let key = match self.nodes[id].kind {
                    NodeKind::Alias(target) => target,
                    _ => id,
                };
                if !matches!(self.nodes[key].kind, NodeKind::Scalar(_)) {
                    return Err("a key that is not a scalar".to_owned());
                }
                // PyYAML accepts such keys only with a `?`, and an empty key only in some places.
                if self.nodes[id].content == self.nodes[id].end {
                    return Err("an empty key".to_owned());
                }
                if self.text[self.nodes[id].start..self.nodes[id].end].contains('\n') {
                    return Err("a key of several lines".to_owned());
                }
                map.key = Some((id, position.explicit));
            }
            Some((key, explicit)) => {
                let colon_end = if position.colon {
                    position.lead
                } else {
                    self.nodes[key].end
                };
                map.entries.push(MapEntry {
                    key,
                    value: id,
                    colon_end,
                    colon: position.colon,
                    explicit,
                });
            }
        }
        Ok(())
    }

    fn close(&mut self, values: &mut Values) -> Result<(), String> {
        let frame = self.frames.pop().ok_or_else(|| self.lost())?;
        let bare = frame.map.as_ref().is_some_and(|map| map.bare);
        if frame.flow && !bare {
            self.separators();
            self.expect(if frame.map.is_some() { b'}' } else { b']' })?;
        }
        let id = frame.node;
        self.nodes[id].end = self.at;
        self.nodes[id].next = self.nodes.len();
        let depth = frame.depth + 1;
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH}, aliases followed"));
        }
        self.depths[id] = depth;
        if let Some(parent) = self.frames.last_mut() {
            parent.depth = parent.depth.max(depth);
        }
        let tag = frame.tag.as_deref();
        self.nodes[id].value = match frame.map {
            None => values.sequence(
                tag,
                frame.items.iter().map(|item| self.nodes[*item].value).collect(),
            ),
            Some(map) => {
                let loaded = self.load(id, &map.entries, values)?;
                if let NodeKind::Map(it) = &mut self.nodes[id].kind {
                    it.entries = map.entries;
                }
                let plain = tag.filter(|_| !self.plain_tag(id));
                let pair = |it: &Loaded| Some((it.key, self.nodes[self.entry(*it)?.value].value));
                let pairs = loaded.iter().filter_map(pair).collect();
                values.map(plain, pairs)
            }
        };
        Ok(())
    }

    fn plain_tag(&self, map: NodeId) -> bool {
        matches!(&self.nodes[map].kind, NodeKind::Map(map) if map.plain_tag)
    }
}

/// The resolved tag: `!Ref`, `tag:yaml.org,2002:str`, or a bare `!`.
fn tag_text(tag: &Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}
