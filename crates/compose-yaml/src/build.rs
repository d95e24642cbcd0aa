//! Builds nodes from tokens, by the grammar of PyYAML's parser and composer (`yaml/parser.py`,
//! `yaml/composer.py`).

use std::{collections::HashMap, ops::Range};

use crate::{
    error::{Error, Expected, Problem, Syntax},
    limits::{MAX_DEPTH, MAX_NODES},
    scalar::YAML_TAG,
    scanner::{Scanner, Token, TokenKind},
    tree::{Kind, Map, MapEntry, Node, NodeId, Style},
};

/// The nodes of a text and their surroundings.
pub(crate) struct Found {
    pub(crate) nodes: Vec<Node>,
    pub(crate) body: usize,
    pub(crate) body_end: usize,
    pub(crate) comments: Vec<Range<usize>>,
    pub(crate) has_tag_directive: bool,
}

/// Parses a text with at most one document.
pub(crate) fn document(text: &str) -> Result<Found, Error> {
    let mut builder = Builder {
        text,
        scanner: Scanner::new(text),
        at: 0,
        nodes: Vec::new(),
        anchors: HashMap::new(),
        handles: HashMap::new(),
        has_tag_directive: false,
    };
    let (body, body_end) = builder.stream()?;
    Ok(Found {
        nodes: builder.nodes,
        body,
        body_end,
        comments: builder.scanner.comments,
        has_tag_directive: builder.has_tag_directive,
    })
}

/// The collection around a node.
#[derive(Clone, Copy)]
struct Parent {
    /// See [`Node::parent_indent`].
    indent: isize,
    is_sequence: bool,
    flow: bool,
}

const DOCUMENT: Parent = Parent {
    indent: -1,
    is_sequence: false,
    flow: false,
};

/// The position of a node.
#[derive(Clone, Copy)]
struct Place {
    parent: Parent,
    lead: usize,
    is_key: bool,
}

/// The collections without brackets that may begin at a node.
#[derive(Clone, Copy, PartialEq)]
enum Blocks {
    None,
    /// Collections that are indented further than the collection around them.
    Indented,
    /// These, and a sequence whose dashes are at the column of the key.
    Any,
}

/// The kinds of collections, by what ends them.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    BlockSequence,
    /// A block sequence at the column of its key.
    Indentless,
    BlockMapping,
    FlowSequence,
    FlowMapping,
    /// A mapping of one entry in a flow sequence, without braces.
    Pair,
}

impl Form {
    fn is_flow(self) -> bool {
        matches!(self, Self::FlowSequence | Self::FlowMapping | Self::Pair)
    }

    /// Returns the collections without brackets that may begin at a key or a value.
    fn blocks(self) -> Blocks {
        if self.is_flow() { Blocks::None } else { Blocks::Any }
    }

    /// Returns whether a key or a value is omitted before this token.
    fn ends_value(self, kind: &TokenKind<'_>) -> bool {
        match kind {
            TokenKind::Value => true,
            TokenKind::Key { .. } | TokenKind::BlockEnd => !self.is_flow(),
            TokenKind::FlowEntry => self.is_flow(),
            TokenKind::MappingClose => self == Self::FlowMapping,
            TokenKind::SequenceClose => self == Self::Pair,
            _ => false,
        }
    }
}

/// A collection that is not complete. There is one for each level of nesting, so that nesting does
/// not use the call stack.
struct Open {
    id: NodeId,
    form: Form,
    /// See [`Map::indent`].
    indent: usize,
    entries: Vec<MapEntry>,
    /// The key whose value is next.
    key: Option<Key>,
    is_first: bool,
}

#[derive(Clone, Copy)]
struct Key {
    id: NodeId,
    explicit: bool,
    /// Whether no value follows, not even an omitted one after a colon.
    is_bare: bool,
}

impl Open {
    fn place(&self, lead: usize, is_key: bool) -> Place {
        Place {
            parent: Parent {
                indent: self.indent as isize,
                is_sequence: matches!(
                    self.form,
                    Form::BlockSequence | Form::Indentless | Form::FlowSequence
                ),
                flow: self.form.is_flow(),
            },
            lead,
            is_key,
        }
    }
}

/// The next part of a collection.
enum Step {
    Child(Child),
    /// A separator, which adds no node.
    Separator,
    End,
}

/// A node, which may be a collection whose children follow.
type Child = (NodeId, Option<Open>);

/// The tag and the anchor of a node.
#[derive(Default)]
struct Properties {
    start: Option<usize>,
    tag: Option<Box<str>>,
    anchor: Option<Range<usize>>,
}

struct Builder<'t> {
    text: &'t str,
    scanner: Scanner<'t>,
    /// The end of the last token.
    at: usize,
    nodes: Vec<Node>,
    anchors: HashMap<&'t str, NodeId>,
    /// The prefixes of tags by their handles.
    handles: HashMap<&'t str, String>,
    has_tag_directive: bool,
}

impl<'t> Builder<'t> {
    fn peek(&mut self) -> Result<&Token<'t>, Error> {
        self.scanner.peek_token()
    }

    fn next(&mut self) -> Result<Token<'t>, Error> {
        let token = self.scanner.next_token()?;
        if !token.span.is_empty() {
            self.at = token.span.end;
        }
        Ok(token)
    }

    /// Takes the next token if it is of this kind, and returns whether it is.
    fn take(&mut self, kind: &TokenKind<'t>) -> Result<bool, Error> {
        let found = self.peek()?.kind == *kind;
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn expected<T>(&mut self, expected: Expected) -> Result<T, Error> {
        let token = self.peek()?;
        let found = token.kind.name();
        Err(Error::syntax(
            Syntax::Expected { expected, found },
            token.span.start,
        ))
    }

    /// Returns the start and the end of the document's content.
    fn stream(&mut self) -> Result<(usize, usize), Error> {
        let is_explicit = matches!(
            self.peek()?.kind,
            TokenKind::YamlDirective { .. }
                | TokenKind::TagDirective { .. }
                | TokenKind::OtherDirective
                | TokenKind::DocumentStart
        );
        self.directives()?;
        if is_explicit && !self.take(&TokenKind::DocumentStart)? {
            return self.expected(Expected::DocumentStart);
        }
        let body = self.at;
        let is_empty = match self.peek()?.kind {
            TokenKind::StreamEnd => true,
            TokenKind::DocumentEnd
            | TokenKind::DocumentStart
            | TokenKind::YamlDirective { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::OtherDirective => is_explicit,
            _ => false,
        };
        if !is_empty {
            let place = Place {
                parent: DOCUMENT,
                lead: body,
                is_key: false,
            };
            self.root(place)?;
            // A root that consists only of an anchor or a tag is kept.
            if self.nodes[0].start == self.nodes[0].end {
                self.nodes.clear();
            }
        }
        let body_end = self.peek()?.span.start;
        while self.take(&TokenKind::DocumentEnd)? {}
        let next = self.peek()?;
        let at = next.span.start;
        match next.kind {
            TokenKind::StreamEnd => Ok((body, body_end)),
            TokenKind::DocumentStart
            | TokenKind::YamlDirective { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::OtherDirective => {
                self.directives()?;
                if self.peek()?.kind != TokenKind::DocumentStart {
                    return self.expected(Expected::DocumentStart);
                }
                Err(Error {
                    problem: Problem::SeveralDocuments,
                    at,
                })
            }
            _ => self.expected(Expected::DocumentEnd),
        }
    }

    fn directives(&mut self) -> Result<(), Error> {
        self.handles.clear();
        let mut version = None;
        loop {
            let at = self.peek()?.span.start;
            match &self.peek()?.kind {
                TokenKind::YamlDirective { major } => {
                    if version.replace(*major).is_some() {
                        return Err(Error::syntax(Syntax::SecondVersion, at));
                    }
                    if version != Some(1) {
                        return Err(Error::syntax(Syntax::Version, at));
                    }
                }
                TokenKind::TagDirective { handle, prefix } => {
                    let (handle, prefix) = (*handle, prefix.clone());
                    self.has_tag_directive = true;
                    if self.handles.insert(handle, prefix).is_some() {
                        return Err(Error::syntax(Syntax::SecondHandle, at));
                    }
                }
                TokenKind::OtherDirective => {}
                _ => break,
            }
            self.next()?;
        }
        for (handle, prefix) in [("!", "!"), ("!!", YAML_TAG)] {
            self.handles.entry(handle).or_insert_with(|| prefix.to_owned());
        }
        Ok(())
    }

    /// Adds a node that ends with the last token.
    fn push(&mut self, place: Place, found: Properties, kind: Kind, content: usize) -> Result<NodeId, Error> {
        let id = self.nodes.len();
        if id == MAX_NODES {
            return Err(Error {
                problem: Problem::TooManyNodes,
                at: content,
            });
        }
        if let Some(anchor) = &found.anchor
            && self
                .anchors
                .insert(&self.text[anchor.start + 1..anchor.end], id)
                .is_some()
        {
            return Err(Error {
                problem: Problem::DuplicateAnchor(self.text[anchor.start + 1..anchor.end].to_owned()),
                at: anchor.start,
            });
        }
        self.nodes.push(Node {
            kind,
            tag: found.tag,
            lead: place.lead,
            start: found.start.unwrap_or(content),
            content,
            end: self.at,
            parent_indent: place.parent.indent,
            in_sequence: place.parent.is_sequence,
            in_flow: place.parent.flow,
            is_key: place.is_key,
            next: id + 1,
            anchor: found.anchor,
        });
        Ok(id)
    }

    /// Adds an omitted scalar after the last token.
    fn empty(&mut self, place: Place, found: Properties) -> Result<NodeId, Error> {
        let kind = Kind::Scalar {
            value: Box::default(),
            style: Style::Plain,
        };
        self.push(place, found, kind, self.at)
    }

    fn properties(&mut self) -> Result<Properties, Error> {
        let mut found = Properties::default();
        loop {
            match &self.peek()?.kind {
                TokenKind::Anchor(_) if found.anchor.is_none() => {}
                TokenKind::Tag { .. } if found.tag.is_none() => {}
                _ => return Ok(found),
            }
            let token = self.next()?;
            found.start.get_or_insert(token.span.start);
            if let TokenKind::Tag { handle, suffix } = token.kind {
                let prefix = match handle {
                    None => "",
                    Some(handle) => match self.handles.get(handle) {
                        Some(prefix) => prefix,
                        None => {
                            let unknown = Syntax::UnknownHandle(handle.to_owned());
                            return Err(Error::syntax(unknown, token.span.start));
                        }
                    },
                };
                found.tag = Some(format!("{prefix}{suffix}").into());
            } else {
                found.anchor = Some(token.span);
            }
        }
    }

    /// Adds the root and all nodes below it.
    fn root(&mut self, place: Place) -> Result<(), Error> {
        let (_, root) = self.node(place, Blocks::Indented)?;
        let mut all: Vec<Open> = root.into_iter().collect();
        while let Some(mut open) = all.pop() {
            let step = match open.form {
                Form::BlockSequence | Form::Indentless => self.block_item(&open)?,
                Form::FlowSequence => self.flow_item(&mut open)?,
                Form::BlockMapping | Form::FlowMapping | Form::Pair => self.key_or_value(&mut open)?,
            };
            match step {
                Step::End => self.close(open),
                Step::Separator => all.push(open),
                Step::Child((id, child)) => {
                    all.push(open);
                    all.extend(child);
                    if all.len() > MAX_DEPTH {
                        return Err(Error {
                            problem: Problem::TooDeep,
                            at: self.nodes[id].content,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, open: Open) {
        let node = &mut self.nodes[open.id];
        node.end = self.at;
        if let Kind::Map(map) = &mut node.kind {
            map.entries = open.entries;
        }
        self.nodes[open.id].next = self.nodes.len();
    }

    /// Adds a node without its children.
    fn node(&mut self, place: Place, blocks: Blocks) -> Result<Child, Error> {
        if let TokenKind::Alias(name) = self.peek()?.kind {
            let token = self.next()?;
            let at = token.span.start;
            let target = self.anchors.get(name).copied().ok_or_else(|| Error {
                problem: Problem::UnknownAlias(name.to_owned()),
                at,
            })?;
            let id = self.push(place, Properties::default(), Kind::Alias(target), at)?;
            return Ok((id, None));
        }
        let found = self.properties()?;
        let token = self.peek()?;
        let (content, column, line_indent) = (token.span.start, token.column, token.line_indent);
        let form = match token.kind {
            TokenKind::Scalar { .. } => return Ok((self.scalar(place, found)?, None)),
            TokenKind::BlockEntry if blocks == Blocks::Any => Form::Indentless,
            TokenKind::BlockSequenceStart if blocks != Blocks::None => Form::BlockSequence,
            TokenKind::BlockMappingStart if blocks != Blocks::None => Form::BlockMapping,
            TokenKind::SequenceOpen => Form::FlowSequence,
            TokenKind::MappingOpen => Form::FlowMapping,
            _ if found.start.is_some() => return Ok((self.empty(place, found)?, None)),
            _ => return self.expected(Expected::Value),
        };
        if form != Form::Indentless {
            self.next()?;
        }
        let indent = if form.is_flow() { line_indent } else { column };
        self.open(place, found, content, form, indent)
    }

    fn scalar(&mut self, place: Place, found: Properties) -> Result<NodeId, Error> {
        let token = self.next()?;
        let TokenKind::Scalar { value, style } = token.kind else {
            unreachable!("it was just looked at");
        };
        let kind = Kind::Scalar {
            value: value.into(),
            style,
        };
        self.push(place, found, kind, token.span.start)
    }

    fn open(
        &mut self,
        place: Place,
        found: Properties,
        content: usize,
        form: Form,
        indent: usize,
    ) -> Result<Child, Error> {
        let flow = form.is_flow();
        let kind = match form {
            Form::BlockSequence | Form::Indentless | Form::FlowSequence => Kind::Sequence { flow },
            Form::BlockMapping | Form::FlowMapping | Form::Pair => Kind::Map(Map {
                flow,
                indent,
                entries: Vec::new(),
            }),
        };
        let id = self.push(place, found, kind, content)?;
        let open = Open {
            id,
            form,
            indent,
            entries: Vec::new(),
            key: None,
            is_first: true,
        };
        Ok((id, Some(open)))
    }

    fn block_item(&mut self, open: &Open) -> Result<Step, Error> {
        if self.take(&TokenKind::BlockEntry)? {
            let place = open.place(self.at, false);
            return Ok(Step::Child(match self.peek()?.kind {
                TokenKind::BlockEntry | TokenKind::Key { .. } | TokenKind::Value | TokenKind::BlockEnd => {
                    (self.empty(place, Properties::default())?, None)
                }
                _ => self.node(place, Blocks::Indented)?,
            }));
        }
        if open.form == Form::BlockSequence && !self.take(&TokenKind::BlockEnd)? {
            return self.expected(Expected::Item);
        }
        Ok(Step::End)
    }

    fn flow_item(&mut self, open: &mut Open) -> Result<Step, Error> {
        if self.take(&TokenKind::SequenceClose)? {
            return Ok(Step::End);
        }
        if !std::mem::take(&mut open.is_first) && !self.take(&TokenKind::FlowEntry)? {
            return self.expected(Expected::ItemSeparator);
        }
        let token = self.peek()?;
        let (start, indent) = (token.span.start, token.line_indent);
        let place = open.place(start, false);
        Ok(match token.kind {
            TokenKind::SequenceClose => Step::Separator,
            TokenKind::Key { .. } => {
                Step::Child(self.open(place, Properties::default(), start, Form::Pair, indent)?)
            }
            _ => Step::Child(self.node(place, Blocks::None)?),
        })
    }

    fn key_or_value(&mut self, open: &mut Open) -> Result<Step, Error> {
        if let Some(key) = open.key.take() {
            return self.mapping_value(open, key).map(Step::Child);
        }
        let is_first = std::mem::take(&mut open.is_first);
        match open.form {
            Form::Pair if !is_first => return Ok(Step::End),
            Form::FlowMapping => {
                if self.take(&TokenKind::MappingClose)? {
                    return Ok(Step::End);
                }
                if !is_first && !self.take(&TokenKind::FlowEntry)? {
                    return self.expected(Expected::EntrySeparator);
                }
                if self.peek()?.kind == TokenKind::MappingClose {
                    return Ok(Step::Separator);
                }
            }
            _ => {}
        }
        let key = match self.peek()?.kind {
            TokenKind::Key { explicit } => {
                self.next()?;
                Some(explicit)
            }
            _ => None,
        };
        if key.is_none() && open.form == Form::BlockMapping {
            if !self.take(&TokenKind::BlockEnd)? {
                return self.expected(Expected::Key);
            }
            return Ok(Step::End);
        }
        let token = self.peek()?;
        let is_omitted = key.is_some() && open.form.ends_value(&token.kind);
        let explicit = key.unwrap_or(false);
        let start = token.span.start;
        let lead = if explicit || is_omitted { self.at } else { start };
        let child = self.node_unless(is_omitted, open.place(lead, true), open.form.blocks())?;
        open.key = Some(Key {
            id: child.0,
            explicit,
            is_bare: key.is_none(),
        });
        Ok(Step::Child(child))
    }

    /// Adds a node, or an omitted scalar if `is_omitted` is set.
    fn node_unless(&mut self, is_omitted: bool, place: Place, blocks: Blocks) -> Result<Child, Error> {
        if is_omitted {
            Ok((self.empty(place, Properties::default())?, None))
        } else {
            self.node(place, blocks)
        }
    }

    fn mapping_value(&mut self, open: &mut Open, key: Key) -> Result<Child, Error> {
        let colon = !key.is_bare && self.take(&TokenKind::Value)?;
        let colon_end = self.at;
        let is_omitted = !colon || open.form.ends_value(&self.peek()?.kind);
        let place = open.place(colon_end, false);
        let child = self.node_unless(is_omitted, place, open.form.blocks())?;
        open.entries.push(MapEntry {
            key: key.id,
            value: child.0,
            colon_end,
            colon,
            explicit: key.explicit,
        });
        Ok(child)
    }
}
