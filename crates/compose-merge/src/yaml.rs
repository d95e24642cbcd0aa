//! Parses YAML into a [`Tree`]: the reader's nodes with their values, and the reasons for which a
//! file is not merged although PyYAML reads it.

use std::{borrow::Cow, collections::HashMap};

use compose_yaml::Decoded;

use super::{
    limits::MAX_DEPTH,
    refusal::{Expansion, KeyProblem, Reason, Refusal},
    tree::{Kind, Map, Node, NodeId, Style, Tree, has_plain_tag},
    value::{ValueId, Values},
};

/// Parses one file that holds one document.
pub(super) fn parse<'t>(bytes: &'t [u8], values: &mut Values) -> Result<Tree<'t>, Refusal> {
    let Decoded { text, bom } =
        compose_yaml::decode(bytes).map_err(|error| Refusal::unreadable(error, ""))?;
    let source = read(closed(text)?)?;
    if source.has_tag_directive {
        return Err(Reason::TagDirective.into());
    }
    let ids = Loader::new(&source, values).load()?;
    Ok(Tree::new(source, ids, bom))
}

fn read(text: Cow<'_, str>) -> Result<compose_yaml::Tree<'_>, Refusal> {
    compose_yaml::Tree::parse(text.clone()).map_err(|error| Refusal::unreadable(error, &text))
}

/// Returns a text whose last line has a line break, because text may be spliced in after it. The
/// break is part of the value of a block scalar, so the scalar's header must then strip it.
fn closed(text: Cow<'_, str>) -> Result<Cow<'_, str>, Refusal> {
    if text.is_empty() || text.ends_with('\n') {
        return Ok(text);
    }
    let whole = format!("{text}\n");
    let tree = read(Cow::Borrowed(&whole))?;
    let Some(header) = tree.nodes.last().filter(|last| {
        let is_block = matches!(
            last.kind,
            Kind::Scalar {
                style: Style::Block { .. },
                ..
            }
        );
        // Lines of blanks after the block scalar are not part of it.
        is_block && whole[last.end..].trim().is_empty()
    }) else {
        return Ok(Cow::Owned(whole));
    };
    let content = header.content;
    let last = text.rfind('\n').map_or(0, |at| at + 1);
    if text[last..].trim().is_empty() {
        // Indentation is not content, so the line break before it is the last one.
        return match is_content(&text[content..last], &text[last..]) {
            true => Err(Refusal::new(Reason::TrailingBlanks, tree.line_column(last))),
            false => Ok(Cow::Owned(text[..last].to_owned())),
        };
    }
    let mut stripped = whole.clone();
    let signs = stripped[content + 1..]
        .bytes()
        .take_while(|byte| matches!(byte, b'+' | b'-' | b'1'..=b'9'));
    let range = content + 1..content + 1 + signs.count();
    let indentation: String = stripped[range.clone()]
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    stripped.replace_range(range, &format!("{indentation}-"));
    Ok(Cow::Owned(stripped))
}

/// Returns whether a last line of blanks can be content of the block scalar that it ends, beyond
/// its indentation. When in doubt, returns `true`.
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

/// Assigns every node its value, children before their collection.
struct Loader<'a, 't> {
    source: &'a compose_yaml::Tree<'t>,
    values: &'a mut Values,
    ids: Vec<ValueId>,
    /// The nesting below each node, aliases followed.
    depths: Vec<usize>,
}

impl<'a, 't> Loader<'a, 't> {
    fn new(source: &'a compose_yaml::Tree<'t>, values: &'a mut Values) -> Self {
        Self {
            ids: vec![0; source.nodes.len()],
            depths: vec![1; source.nodes.len()],
            source,
            values,
        }
    }

    fn load(mut self) -> Result<Vec<ValueId>, Refusal> {
        let mut open: Vec<NodeId> = Vec::new();
        for (id, node) in self.source.nodes.iter().enumerate() {
            match &node.kind {
                Kind::Map(_) | Kind::Sequence { .. } => open.push(id),
                Kind::Alias(target) if open.contains(target) => {
                    return Err(self.refuse(Reason::RecursiveAlias, id));
                }
                Kind::Alias(target) => {
                    self.ids[id] = self.ids[*target];
                    self.depths[id] = self.depths[*target];
                }
                Kind::Scalar { value, style } => {
                    let scalar = compose_yaml::load(value, node.tag.as_deref(), *style == Style::Plain);
                    self.ids[id] = self.values.scalar(scalar);
                }
            }
            while let Some(last) = open.pop_if(|last| self.source.nodes[*last].next == id + 1) {
                self.close(last)?;
            }
        }
        Ok(self.ids)
    }

    fn refuse(&self, reason: impl Into<Reason>, node: NodeId) -> Refusal {
        let place = self.source.line_column(self.source.nodes[node].start);
        Refusal::new(reason.into(), place)
    }

    fn close(&mut self, id: NodeId) -> Result<(), Refusal> {
        let node = &self.source.nodes[id];
        let children = std::iter::successors((id + 1 < node.next).then_some(id + 1), |child| {
            Some(self.source.nodes[*child].next).filter(|next| *next < node.next)
        });
        let deepest = children.map(|child| self.depths[child]).max().unwrap_or(0);
        self.depths[id] = deepest + 1;
        if deepest + 1 > MAX_DEPTH {
            return Err(self.refuse(Reason::TooDeepAliases, id));
        }
        let tag = node.tag.as_deref();
        self.ids[id] = match &node.kind {
            Kind::Map(map) => self.map(id, node, map)?,
            _ => {
                let items = self.source.items(id).map(|item| self.ids[item]).collect();
                self.values.sequence(tag, items)
            }
        };
        Ok(())
    }

    fn map(&mut self, id: NodeId, node: &Node, map: &Map) -> Result<ValueId, Refusal> {
        for entry in &map.entries {
            self.check_key(entry.key)?;
            if self.source.is_merge_key(entry) {
                self.check_merge(entry.value)?;
            }
        }
        let mut written = HashMap::new();
        for loaded in self.source.flattened(id) {
            let value = self.ids[self.source.entry(loaded).key];
            if *written.entry(self.values.key(value)).or_insert(value) != value {
                return Err(self.refuse(KeyProblem::TwoTypes, self.source.entry(loaded).key));
            }
        }
        let loaded = self.source.loaded(id);
        if self.source.is_exhausted() {
            return Err(self.refuse(Expansion::MergeKeys, id));
        }
        let pair = |loaded: &compose_yaml::Loaded| {
            let entry = self.source.entry(*loaded);
            (self.values.key(self.ids[entry.key]), self.ids[entry.value])
        };
        let pairs = loaded.iter().map(pair).collect();
        let tag = node.tag.as_deref().filter(|_| !has_plain_tag(node));
        Ok(self.values.map(tag, pairs))
    }

    /// Refuses keys whose text cannot be moved with the same meaning to every place.
    fn check_key(&self, key: NodeId) -> Result<(), Refusal> {
        let node = &self.source.nodes[key];
        let problem = if self.source.value(key).is_none() {
            KeyProblem::Collection
        } else if node.content == node.end {
            KeyProblem::Empty
        } else if self.source.text[node.span()].contains('\n') {
            KeyProblem::Lines
        } else {
            return Ok(());
        };
        Err(self.refuse(problem, key))
    }

    fn check_merge(&self, value: NodeId) -> Result<(), Refusal> {
        let value = self.source.resolve(value);
        let mut parts: Vec<NodeId> = self.source.items(value).collect();
        if !matches!(self.source.nodes[value].kind, Kind::Sequence { .. }) {
            parts.push(value);
        }
        let is_map = |part: &NodeId| matches!(self.source.node(*part).kind, Kind::Map(_));
        if parts.iter().all(is_map) {
            Ok(())
        } else {
            Err(self.refuse(Reason::MergeKey, value))
        }
    }
}
