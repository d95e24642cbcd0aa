//! Reads mappings by the table of keys, and reports unknown, repeated and missing keys and wrong
//! types.

use std::{collections::HashMap, ops::Range, sync::Arc};

use compose_model::{
    Diagnostic, Place,
    text::{did_you_mean, escape},
};
use compose_yaml::{Kind, Node, NodeId, Scalar, Style, Tree};

use super::{
    indentation,
    keys::{Key, MAX_GLOBS, Shape},
};

/// The number of mistakes that are reported. A text with more was not written by a person.
const MAX_MISTAKES: usize = 100;

/// Collects mistakes with their places.
pub(crate) struct Mistakes {
    file: Arc<str>,
    /// The text to show, without credentials.
    shown: Arc<str>,
    found: Vec<Diagnostic>,
    /// Whether there were more mistakes than are reported.
    for_own_arguments: bool,
    /// The bytes that further globs of this text may have.
    globs: usize,
    /// The entry that is being read.
    entry: Option<Range<usize>>,
    /// The keys of entries that stand at the root of the file instead, with their places.
    outside: Vec<(String, Range<usize>)>,
}

impl Mistakes {
    pub(crate) fn new(file: &Arc<str>, shown: Arc<str>) -> Self {
        Self {
            file: Arc::clone(file),
            shown,
            found: Vec::new(),
            for_own_arguments: false,
            globs: MAX_GLOBS,
            entry: None,
            outside: Vec::new(),
        }
    }

    /// Begins an entry: the mistakes that follow are about it. `None` ends the last one.
    pub(super) fn begin(&mut self, entry: Option<Range<usize>>) {
        self.entry = entry;
    }

    /// Sets the keys of entries that stand at the root of the file.
    pub(super) fn set_outside(&mut self, keys: Vec<(String, Range<usize>)>) {
        self.outside = keys;
    }

    /// Returns a hint for an entry without a key, if the key stands at the root of the file behind
    /// it, and so outside of the entry.
    pub(super) fn outside(&self, key: &str, head: &Range<usize>) -> Option<String> {
        let mut outside = self.outside.iter();
        let (_, found) = outside.find(|(name, span)| name == key && span.start > head.start)?;
        let first_key = self.shown.get(head.clone())?.split(':').next()?;
        let at = |span| self.place(span).line_column();
        Some(indentation::differs(
            key,
            at(found),
            &escape(first_key, 60),
            at(head),
        ))
    }

    /// Subtracts the length of a glob from what the globs of the text may have together. Returns
    /// `false` if it is too long.
    pub(super) fn spend_globs(&mut self, length: usize) -> bool {
        let left = self.globs.checked_sub(length);
        self.globs = left.unwrap_or(0);
        left.is_some()
    }

    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        Place {
            file: Arc::clone(&self.file),
            text: Arc::clone(&self.shown),
            span: span.clone(),
        }
    }

    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.place(span).line_column().0
    }

    pub(crate) fn add(&mut self, span: &Range<usize>, message: impl Into<String>, hint: Option<String>) {
        if self.is_full() {
            self.for_own_arguments = true;
            return;
        }
        let mut mistake = Diagnostic::error(message).with_place(self.place(span));
        mistake.within.clone_from(&self.entry);
        self.found.push(match hint {
            Some(hint) => mistake.hint(hint),
            None => mistake,
        });
    }

    /// Returns whether further mistakes are dropped, because they would not help.
    fn is_full(&self) -> bool {
        self.found.len() >= MAX_MISTAKES
    }

    /// Reports only this mistake, because the others that were found stem from it.
    pub(crate) fn only(&mut self, message: &str, hint: &str) {
        (self.found, self.for_own_arguments) = (Vec::new(), false);
        self.add(&(0..0), message, Some(hint.into()));
    }

    /// Returns all mistakes in the order of the text.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found
            .sort_by_key(|mistake| mistake.place.as_ref().map(|place| place.span.start));
        if self.for_own_arguments {
            self.found.push(Diagnostic::error(format!(
                "… and more mistakes in {}",
                escape(&self.file, 200)
            )));
        }
        self.found
    }
}

/// A value with its place.
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A value of one of the shapes in the table.
pub(crate) enum Value {
    Text(String),
    Texts(Vec<Spanned<String>>),
    Flag(bool),
    Choice(&'static str),
    Mapping(Fields),
    Mappings(Vec<Fields>),
}

/// The keys of one mapping. A key that is present with a wrong value holds `None`.
pub(crate) struct Fields {
    values: HashMap<&'static str, Option<Spanned<Value>>>,
    /// The range to mark for the mapping as a whole: its beginning.
    pub(crate) head: Range<usize>,
}

impl Fields {
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(crate) fn text(&self, key: &str) -> Option<Spanned<&str>> {
        match self.values.get(key)?.as_ref()? {
            Spanned {
                value: Value::Text(text),
                span,
            } => Some(Spanned {
                value: text,
                span: span.clone(),
            }),
            _ => None,
        }
    }

    pub(crate) fn texts(&self, key: &str) -> &[Spanned<String>] {
        match self.values.get(key) {
            Some(Some(Spanned {
                value: Value::Texts(texts),
                ..
            })) => texts,
            _ => &[],
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.values.get(key)?.as_ref()?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    pub(crate) fn choice(&self, key: &str) -> Option<&'static str> {
        match self.values.get(key)?.as_ref()?.value {
            Value::Choice(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn mappings(&self, key: &str) -> &[Fields] {
        match self.values.get(key) {
            Some(Some(Spanned {
                value: Value::Mappings(all),
                ..
            })) => all,
            _ => &[],
        }
    }

    pub(crate) fn mapping(&self, key: &str) -> Option<&Fields> {
        match &self.values.get(key)?.as_ref()?.value {
            Value::Mapping(fields) => Some(fields),
            _ => None,
        }
    }
}

/// Reads a mapping. `what` is its name in messages, such as `a source` or `verify`.
pub(crate) fn read(
    tree: &Tree,
    id: NodeId,
    table: &'static [Key],
    what: &str,
    mistakes: &mut Mistakes,
) -> Option<Fields> {
    let node = tree.node(id);
    let Some(pairs) = tree.pairs(id) else {
        if !tree.is_exhausted() {
            let names: Vec<&str> = table
                .iter()
                .filter(|key| key.required)
                .map(|key| key.name)
                .collect();
            let hint = format!("write keys and values, such as `{}: …`", names.join(": …`, `"));
            mistakes.add(
                &node.span(),
                format!("{what} must be a mapping, not {}", describe(node)),
                Some(hint),
            );
        }
        return None;
    };
    let head = head(tree, node, &pairs, mistakes);
    let mut fields = Fields {
        values: HashMap::new(),
        head,
    };
    let mut places: HashMap<&'static str, Range<usize>> = HashMap::new();
    // Keys that are there under a misspelt name.
    let mut meant = Vec::new();
    for (key_id, value_id) in pairs {
        if mistakes.is_full() {
            return None;
        }
        let key_node = tree.node(key_id);
        let Some(name) = tree.value(key_id) else {
            mistakes.add(&key_node.span(), format!("a key of {what} must be text"), None);
            continue;
        };
        let Some(key) = table.iter().find(|key| key.name == name) else {
            let near = did_you_mean(name, table.iter().map(|key| key.name));
            meant.extend(near);
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys are {}", list(table.iter().map(|key| key.name))),
            };
            mistakes.add(
                &key_node.span(),
                format!("unknown key `{}` in {what}", escape(name, 60)),
                Some(hint),
            );
            continue;
        };
        if let Some(first) = places.get(key.name) {
            let line = mistakes.line(first);
            let message = format!("`{}` stands twice in {what}, first on line {line}", key.name);
            mistakes.add(&key_node.span(), message, Some("keep one of the two".into()));
            continue;
        }
        places.insert(key.name, key_node.span());
        let value = shaped(tree, value_id, key, mistakes);
        let empty = tree.node(value_id).span().is_empty();
        let span = if empty {
            key_node.span()
        } else {
            tree.node(value_id).span()
        };
        fields
            .values
            .insert(key.name, value.map(|value| Spanned { value, span }));
    }
    let missing = |key: &&Key| key.required && !fields.has(key.name) && !meant.contains(&key.name);
    for key in table.iter().filter(missing) {
        let example = key.examples.first();
        let example = example.map(|example| format!("for example `{}: {example}`", key.name));
        let hint = mistakes.outside(key.name, &fields.head).or(example);
        mistakes.add(
            &fields.head.clone(),
            format!("{what} has no `{}`", key.name),
            hint,
        );
    }
    Some(fields)
}

/// Returns the first pair if it is on one line, else the first key. Marking a whole mapping would
/// mark pages.
fn head(tree: &Tree, node: &Node, pairs: &[(NodeId, NodeId)], mistakes: &Mistakes) -> Range<usize> {
    let own = |id: NodeId| node.span().contains(&tree.node(id).start);
    let Some((key, value)) = pairs.iter().find(|(key, _)| own(*key)) else {
        return node.start..node.start;
    };
    let (key, value) = (tree.node(*key), tree.node(*value));
    let end = if value.start > key.end && !mistakes.shown[key.start..value.end].contains('\n') {
        value.end
    } else {
        key.end
    };
    key.start..end
}

fn shaped(tree: &Tree, id: NodeId, key: &Key, mistakes: &mut Mistakes) -> Option<Value> {
    match key.shape {
        Shape::Text => text_value(tree, id, key.name, mistakes).map(Value::Text),
        Shape::Texts => texts(tree, id, key, mistakes).map(Value::Texts),
        Shape::Flag => {
            if let Some(Scalar::Bool(flag)) = tree.scalar(id) {
                return Some(Value::Flag(flag));
            }
            let written = text_value(tree, id, key.name, mistakes)?;
            let hint = match compose_yaml::load(&written, None, true) {
                Scalar::Bool(flag) => Some(format!(
                    "write it without quotes and tags: `{}: {flag}`",
                    key.name
                )),
                _ => None,
            };
            let message = format!("`{}` is neither `true` nor `false`", key.name);
            mistakes.add(&tree.node(id).span(), message, hint);
            None
        }
        Shape::Choice(words) => {
            let word = text_value(tree, id, key.name, mistakes)?;
            let found = words.iter().find(|known| **known == word);
            if found.is_none() {
                let message = format!("`{}` cannot be `{}`", key.name, escape(&word, 60));
                mistakes.add(
                    &tree.node(id).span(),
                    message,
                    Some(format!("it is one of {}", list(words.iter().copied()))),
                );
            }
            found.map(|word| Value::Choice(word))
        }
        Shape::Mapping(table) => {
            read(tree, id, table, &format!("`{}`", key.name), mistakes).map(Value::Mapping)
        }
        Shape::Mappings(table) => {
            let what = format!("an item of `{}`", key.name);
            items(tree, id, key, mistakes, |item, mistakes| {
                read(tree, item, table, &what, mistakes)
            })
            .map(Value::Mappings)
        }
    }
}

fn texts(tree: &Tree, id: NodeId, key: &Key, mistakes: &mut Mistakes) -> Option<Vec<Spanned<String>>> {
    let what = format!("an item of {}", key.name);
    items(tree, id, key, mistakes, |item, mistakes| {
        let value = text_value(tree, item, &what, mistakes)?;
        Some(Spanned {
            value,
            span: tree.node(item).span(),
        })
    })
}

/// Returns the items of a list, or `None` if the node is not a list or one of the items is wrong.
fn items<T>(
    tree: &Tree,
    id: NodeId,
    key: &Key,
    mistakes: &mut Mistakes,
    mut read: impl FnMut(NodeId, &mut Mistakes) -> Option<T>,
) -> Option<Vec<T>> {
    let node = tree.node(id);
    let Kind::Sequence { .. } = node.kind else {
        let hint = key
            .examples
            .first()
            .map(|example| format!("write a list: `{}: [{example}]`", key.name));
        mistakes.add(
            &node.span(),
            format!("`{}` must be a list, not {}", key.name, describe(node)),
            hint,
        );
        return None;
    };
    if !plain_tag(node, "seq", key.name, mistakes) {
        return None;
    }
    let mut all = Vec::new();
    let mut is_whole = true;
    for item in tree.items(tree.resolve(id)) {
        let found = if tree.is_exhausted() {
            None
        } else {
            read(item, mistakes)
        };
        is_whole &= found.is_some();
        all.extend(found);
    }
    is_whole.then_some(all)
}

/// Returns the text of a scalar on one line, exactly as written.
fn text_value(tree: &Tree, id: NodeId, what: &str, mistakes: &mut Mistakes) -> Option<String> {
    let node = tree.node(id);
    let Kind::Scalar { value: text, style } = &node.kind else {
        mistakes.add(
            &node.span(),
            format!("`{what}` must be text, not {}", describe(node)),
            None,
        );
        return None;
    };
    if !plain_tag(node, "str", what, mistakes) {
        return None;
    }
    if let Style::Block { .. } = style {
        let hint = "write it behind the colon, plain or in quotes";
        mistakes.add(
            &(node.start..tree.line_end(node.content)),
            format!("`{what}` must be text on one line"),
            Some(hint.into()),
        );
        return None;
    }
    if text.is_empty() || node.is_null() {
        mistakes.add(&node.span(), format!("`{what}` has no value"), None);
        return None;
    }
    tree.spend(text.len()).then(|| text.to_string())
}

/// Returns whether a node has no tag, or one that states the type it has anyway, such as `!!str`.
/// Any other tag could mean anything.
fn plain_tag(node: &Node, core: &str, what: &str, mistakes: &mut Mistakes) -> bool {
    let Some(tag) = node.tag.as_deref() else {
        return true;
    };
    if tag == "!" || tag.strip_prefix("tag:yaml.org,2002:") == Some(core) {
        return true;
    }
    let hint = "put the value in quotes instead";
    mistakes.add(
        &node.span(),
        format!(
            "`{what}` has the tag `{}`, which is not allowed here",
            escape(tag, 60)
        ),
        Some(hint.into()),
    );
    false
}

/// Describes the type of a node, for messages.
pub(crate) fn describe(node: &Node) -> &'static str {
    match node.kind {
        Kind::Scalar { .. } if node.is_null() => "nothing",
        Kind::Scalar { .. } | Kind::Alias(_) => "text",
        Kind::Sequence { .. } => "a list",
        Kind::Map(_) => "a mapping",
    }
}

/// Formats a list of words: `a`, `b`, `c`.
fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
