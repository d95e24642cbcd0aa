//! JSON to a [`Tree`]: serde_json finds the texts of keys and values, whose addresses are their places.
//!
//! JSON does not go through the YAML reader: numbers, escapes, tabs and long keys mean different things there.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    scalar::{self, Scalar},
    source_text::{self, SourceText},
    tree::{
        Loaded, MAX_DEPTH, MAX_NODES, Map, MapEntry, Node, NodeId, NodeKind, Style, Tree, last_wins,
        line_starts,
    },
    value::{ValueId, Values},
};

/// Parses one file; the error is the reason of an [`Unmergeable`](super::Unmergeable).
pub(super) fn parse<'t>(bytes: &'t [u8], values: &mut Values) -> Result<Tree<'t>, String> {
    let SourceText { text, bom } = source_text::decode(bytes)?;
    let root: &RawValue = serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
    let mut builder = JsonBuilder {
        text,
        nodes: Vec::new(),
        line_starts: line_starts(text),
        values,
    };
    builder.value(root.get(), MAX_DEPTH)?;
    let JsonBuilder {
        nodes, line_starts, ..
    } = builder;
    Ok(Tree {
        json_step: Some(step(text)),
        text: Cow::Borrowed(text),
        nodes,
        body: 0,
        body_end: text.len(),
        comments: Vec::new(),
        flattened: HashMap::new(),
        aliases: HashMap::new(),
        bom,
        line_starts,
    })
}

/// One level of indentation: the blanks at the start of the first indented line.
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
    line_starts: Vec<usize>,
    values: &'a mut Values,
}

impl JsonBuilder<'_, '_> {
    /// Adds the node of a piece of the text, and its descendants.
    fn value(&mut self, raw: &str, depth: usize) -> Result<NodeId, String> {
        let id = self.nodes.len();
        if id == MAX_NODES {
            return Err(format!("more than {MAX_NODES} values"));
        }
        if depth == 0 {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        // `raw` is a part of `text`, because RawValue borrows.
        let start = raw.as_ptr() as usize - self.text.as_ptr() as usize;
        let kind = match raw.as_bytes()[0] {
            b'{' => NodeKind::Map(Map {
                flow: true,
                plain_tag: true,
                indent: 0,
                entries: Vec::new(),
            }),
            b'[' => NodeKind::Sequence { flow: true },
            b'"' => NodeKind::Scalar(Style::Quoted),
            _ => NodeKind::Scalar(Style::Plain),
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
            value: 0,
            kind,
        });
        let value = match raw.as_bytes()[0] {
            b'{' => self.object(id, raw, depth)?,
            b'[' => {
                let Items(items) = read(raw)?;
                let nodes = items.iter().map(|item| self.value(item.get(), depth - 1));
                let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
                self.values
                    .sequence(None, nodes.iter().map(|node| self.nodes[*node].value).collect())
            }
            b'"' => self.values.scalar(Scalar::String(read::<String>(raw)?.into())),
            b't' | b'f' => self.values.scalar(Scalar::Bool(raw == "true")),
            b'n' => self.values.scalar(Scalar::Null),
            _ => self.values.scalar(scalar::json_number(raw)),
        };
        self.nodes[id].value = value;
        self.nodes[id].next = self.nodes.len();
        Ok(id)
    }

    fn object(&mut self, id: NodeId, raw: &str, depth: usize) -> Result<ValueId, String> {
        let Members(members) = read(raw)?;
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
        let key = |entry: &MapEntry| self.nodes[entry.key].value;
        let all = entries.iter().enumerate();
        let loaded = last_wins(all.map(|(at, entry)| Loaded {
            key: key(entry),
            map: id,
            entry: at,
        }));
        let pairs = loaded
            .iter()
            .map(|it| (it.key, self.nodes[entries[it.entry].value].value))
            .collect();
        let start = self.nodes[id].start;
        let line = self.line_starts[self.line_starts.partition_point(|line| *line <= start) - 1];
        if let NodeKind::Map(map) = &mut self.nodes[id].kind {
            map.indent = self.text[line..].bytes().take_while(|byte| *byte == b' ').count();
            map.entries = entries;
        }
        Ok(self.values.map(None, pairs))
    }
}

fn read<'t, T: Deserialize<'t>>(raw: &'t str) -> Result<T, String> {
    serde_json::from_str(raw).map_err(|error| format!("not valid JSON: {error}"))
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
