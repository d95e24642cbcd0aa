//! Parses JSON into a [`Tree`]. serde_json finds the texts of keys and values, whose addresses give
//! their places.
//!
//! JSON does not go through the YAML reader, because numbers, escapes, tabs and long keys have a
//! different meaning there.

use std::{borrow::Cow, collections::HashMap, fmt};

use compose_yaml::{Lines, MAX_NODES, Scalar, Utf8};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    limits::MAX_DEPTH,
    refusal::{Reason, Refusal},
    tree::{Kind, Map, MapEntry, Node, NodeId, Style, Tree},
    value::{ValueId, Values},
};

/// Parses one file.
pub(super) fn parse<'t>(bytes: &'t [u8], values: &mut Values) -> Result<Tree<'t>, Refusal> {
    let Utf8 { text, bom } =
        compose_yaml::decode_utf8(bytes).map_err(|error| Refusal::unreadable(error, ""))?;
    let lines = Lines::of_line_feeds(text);
    let root = read::<&RawValue>(text).map_err(|error| refused(error, text, &lines, 0))?;
    let mut builder = JsonBuilder {
        text,
        nodes: Vec::new(),
        ids: Vec::new(),
        lines,
        values,
    };
    builder.value(root.get(), MAX_DEPTH)?;
    let source = compose_yaml::Tree::new(Cow::Borrowed(text), builder.nodes, builder.lines);
    let mut tree = Tree::new(source, builder.ids, bom);
    tree.json_step = Some(step(text));
    Ok(tree)
}

/// Returns the refusal for an error in a piece of text that starts at byte `start`.
fn refused(error: serde_json::Error, text: &str, lines: &Lines, start: usize) -> Refusal {
    // serde_json counts the bytes of a line, including the last one that it read.
    let piece = &text[start..];
    let line_start = match error.line() {
        0 | 1 => 0,
        line => piece
            .match_indices('\n')
            .nth(line - 2)
            .map_or(piece.len(), |(at, _)| at + 1),
    };
    let mut at = (start + line_start + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    Refusal::new(Reason::Json(error), lines.line_column(text, at))
}

/// Returns one level of indentation: the blanks at the start of the first indented line.
fn step(text: &str) -> String {
    let indented = text
        .lines()
        .find(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
    indented
        .map_or("", |line| {
            &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
        })
        .to_owned()
}

struct JsonBuilder<'a, 't> {
    text: &'t str,
    nodes: Vec<Node>,
    /// The value of each node.
    ids: Vec<ValueId>,
    lines: Lines,
    values: &'a mut Values,
}

impl JsonBuilder<'_, '_> {
    /// Returns the first byte of a piece of the text. The piece is a part of the text, because
    /// [`RawValue`] borrows.
    fn start(&self, raw: &str) -> usize {
        raw.as_ptr() as usize - self.text.as_ptr() as usize
    }

    fn read<'r, T: Deserialize<'r>>(&self, raw: &'r str) -> Result<T, Refusal> {
        read(raw).map_err(|error| refused(error, self.text, &self.lines, self.start(raw)))
    }

    /// Adds the node of a piece of the text, and its descendants.
    fn value(&mut self, raw: &str, depth: usize) -> Result<NodeId, Refusal> {
        let id = self.nodes.len();
        let start = self.start(raw);
        let refuse = |reason| Refusal::new(reason, self.lines.line_column(self.text, start));
        if id == MAX_NODES {
            return Err(refuse(Reason::TooManyValues));
        }
        if depth == 0 {
            return Err(refuse(Reason::TooDeep));
        }
        let kind = match raw.as_bytes()[0] {
            b'{' => Kind::Map(Map {
                flow: true,
                indent: 0,
                entries: Vec::new(),
            }),
            b'[' => Kind::Sequence { flow: true },
            b'"' => Kind::Scalar {
                value: self.read::<String>(raw)?.into(),
                style: Style::Quoted,
            },
            _ => Kind::Scalar {
                value: raw.into(),
                style: Style::Plain,
            },
        };
        self.nodes.push(Node {
            lead: start,
            start,
            content: start,
            end: start + raw.len(),
            parent_indent: 0,
            in_sequence: false,
            in_flow: true,
            is_key: false,
            next: id + 1,
            anchor: None,
            tag: None,
            kind,
        });
        self.ids.push(0);
        let value = match raw.as_bytes()[0] {
            b'{' => self.object(id, raw, depth)?,
            b'[' => {
                let Items(items) = self.read(raw)?;
                let nodes = items.iter().map(|item| self.value(item.get(), depth - 1));
                let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
                self.values
                    .sequence(None, nodes.iter().map(|node| self.ids[*node]).collect())
            }
            b'"' => self
                .values
                .scalar(Scalar::String(self.read::<String>(raw)?.into())),
            b't' | b'f' => self.values.scalar(Scalar::Bool(raw == "true")),
            b'n' => self.values.scalar(Scalar::Null),
            _ => self.values.number(raw),
        };
        self.ids[id] = value;
        self.nodes[id].next = self.nodes.len();
        Ok(id)
    }

    fn object(&mut self, id: NodeId, raw: &str, depth: usize) -> Result<ValueId, Refusal> {
        let Members(members) = self.read(raw)?;
        let mut entries = Vec::with_capacity(members.len());
        for (key, value) in members {
            let key = self.value(key.get(), depth - 1)?;
            let value = self.value(value.get(), depth - 1)?;
            let between = self.nodes[key].end..self.nodes[value].start;
            let colon = self.text[between.clone()].find(':').unwrap_or(0);
            let colon_end = between.start + colon + 1;
            entries.push(MapEntry {
                key,
                value,
                colon_end,
                colon: true,
                explicit: false,
            });
        }
        // The last of several entries with the same key counts.
        let pair = |entry: &MapEntry| (self.ids[entry.key], self.ids[entry.value]);
        let pairs: HashMap<ValueId, ValueId> = entries.iter().map(pair).collect();
        let pairs = pairs.into_iter().collect();
        let line = self.lines.start(self.nodes[id].start);
        if let Kind::Map(map) = &mut self.nodes[id].kind {
            map.indent = self.text[line..].bytes().take_while(|byte| *byte == b' ').count();
            map.entries = entries;
        }
        Ok(self.values.map(None, pairs))
    }
}

fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

/// An object's keys and values as they are written, duplicates included.
struct Members<'t>(Vec<(&'t RawValue, &'t RawValue)>);

/// An array's values as they are written.
struct Items<'t>(Vec<&'t RawValue>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(Read).map(Members)
    }
}

impl<'de: 't, 't> Deserialize<'de> for Items<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = seq.next_element()? {
                    all.push(item);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Read).map(Items)
    }
}
