//! Edits that leave all other text as the user wrote it: comments, order, quotes and line breaks.
//!
//! Every edit is checked: the result is parsed again, and its content outside of the edited place
//! must be the same as before.
//!
//! | module | holds |
//! |---|---|
//! | `path` | paths into a document, and all messages about edits |
//! | `value` | new values as text |
//! | `splice` | the places of insertions and the ranges of removals |
//! | `write` | values and entries that are written |
//! | `outline` | the check that nothing else has changed |

mod outline;
mod path;
mod splice;
mod value;
mod write;

use self::{
    outline::outline_of,
    path::{chain, follow, is_vacant, layout, shown},
    splice::{dash_column, new_lines, removed, spliced},
    write::{put, rebuilt},
};
pub use self::{
    path::{EditError, Step},
    value::NewValue,
};
use crate::{
    lines::{Edit, line_break},
    quote::{double_quote, quote},
    scalar::{Scalar, load},
    tree::{Kind, NodeId, Style, Tree},
};

/// Lines that were removed. In the original text, line `from` of the edited text and all lines
/// after it were `lines` further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// A line of the edited text, counted from 1.
    pub from: usize,
    /// The number of removed lines.
    pub lines: usize,
}

/// A text that is being edited.
///
/// ```
/// use compose_yaml::{Editor, NewValue, Step};
///
/// let mut editor = Editor::parse("sources:\n- repo: a\n  version: '1.0' # pinned\n").unwrap();
/// editor.set(&[Step::Key("sources"), Step::Item(0), Step::Key("version")], "1.10").unwrap();
/// editor.push(&[Step::Key("sources")], &NewValue::Map(vec![("repo".into(), NewValue::Text("b".into()))])).unwrap();
/// assert_eq!(editor.text(), "sources:\n- repo: a\n  version: '1.10' # pinned\n- repo: b\n");
/// ```
#[derive(Clone, Debug)]
pub struct Editor {
    text: String,
}

impl Editor {
    /// Parses a text.
    pub fn parse(text: &str) -> Result<Self, EditError> {
        read(text)?;
        Ok(Self {
            text: text.to_owned(),
        })
    }

    /// Returns the text with all edits.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether there is something at a path. Aliases and merge keys are not followed.
    pub fn has(&self, path: &[Step<'_>]) -> bool {
        read(&self.text).is_ok_and(|tree| follow(&tree, path).is_some())
    }

    /// Replaces a scalar, which keeps its quotes. A plain text stays plain where every reader takes the new one for
    /// text as well: `1.2.0` in place of `1.0.0`, but `"1.2"`.
    pub fn set(&mut self, path: &[Step<'_>], value: &str) -> Result<(), EditError> {
        let tree = read(&self.text)?;
        let id = follow(&tree, path).ok_or_else(|| EditError::Missing(shown(path)))?;
        let node = &tree.nodes[id];
        let edit = match &node.kind {
            Kind::Alias(_) => Edit {
                range: node.span(),
                text: quote(value),
            },
            Kind::Scalar { .. } if node.content == node.end => {
                Edit::insert(node.end, format!(" {}", quote(value)))
            }
            Kind::Scalar {
                style: Style::Block { .. },
                ..
            }
            | Kind::Map(_)
            | Kind::Sequence { .. } => {
                return Err(layout(&tree, node.start));
            }
            Kind::Scalar { .. } => {
                let is_simple = !value.chars().any(char::is_control);
                let written = &tree.text[node.content..node.end];
                let scalar = match written.get(..1).unwrap_or_default() {
                    "'" if is_simple => format!("'{}'", value.replace('\'', "''")),
                    "'" | "\"" => double_quote(value),
                    _ if stays_plain(written, value) => value.to_owned(),
                    _ => quote(value),
                };
                Edit {
                    range: node.content..node.end,
                    text: scalar,
                }
            }
        };
        let edited = spliced(&tree, edit);
        self.replace(edited, path, Some(path))
    }

    /// Writes the value of a key. Missing mappings on the path are added, and a missing key is
    /// added as the last one. An existing value is replaced.
    pub fn put(&mut self, path: &[Step<'_>], value: &NewValue) -> Result<(), EditError> {
        let tree = read(&self.text)?;
        let edited = put(&tree, path, value, None)?;
        self.replace(edited, path, Some(path))
    }

    /// Adds an item at the end of a sequence. A missing sequence is added.
    pub fn push(&mut self, path: &[Step<'_>], value: &NewValue) -> Result<(), EditError> {
        let tree = read(&self.text)?;
        let list = follow(&tree, path).filter(|id| !is_vacant(&tree, *id));
        let Some(list) = list else {
            let edited = put(&tree, path, &NewValue::List(vec![value.clone()]), None)?;
            return self.replace(edited, path, Some(path));
        };
        let Kind::Sequence { flow } = tree.nodes[list].kind else {
            return Err(EditError::NotList(shown(path)));
        };
        let items: Vec<NodeId> = tree.items(list).collect();
        let last = &tree.nodes[*items
            .last()
            .ok_or_else(|| layout(&tree, tree.nodes[list].start))?];
        let edit = if flow {
            Edit::insert(last.end, format!(", {}", value.flow()))
        } else {
            let column = dash_column(&tree, &tree.nodes[items[0]])?;
            let lines = NewValue::List(vec![value.clone()]).block(column, line_break(&tree.text));
            new_lines(&tree, last.end, lines)
        };
        let edited = spliced(&tree, edit);
        let mut added = path.to_vec();
        added.push(Step::Item(items.len()));
        self.replace(edited, &[], Some(&added))
    }

    /// Gives a mapping exactly these entries, in this order. Entries that already exist keep their
    /// text and the comments above them.
    pub fn arrange(&mut self, path: &[Step<'_>], entries: &[(String, NewValue)]) -> Result<(), EditError> {
        let tree = read(&self.text)?;
        let old = follow(&tree, path).filter(|id| !is_vacant(&tree, *id));
        let edited = match old.and_then(|id| tree.map(id)) {
            Some(map) if !map.flow => rebuilt(&tree, path, map, entries)?,
            map => put(&tree, path, &NewValue::Map(entries.to_vec()), map)?,
        };
        self.replace(edited, path, Some(path))
    }

    /// Removes what is at a path (every entry of a key) and the collections that would become
    /// empty. Returns the removed lines. Returns `None` if nothing would remain; the text is
    /// unchanged then.
    pub fn remove(&mut self, path: &[Step<'_>]) -> Result<Option<Vec<Cut>>, EditError> {
        let mut cuts = Vec::new();
        loop {
            let tree = read(&self.text)?;
            let Some(chain) = chain(&tree, path) else {
                return Ok(Some(cuts));
            };
            // A collection is removed together with its only entry.
            let holds_more = |(_, collection): &(usize, NodeId)| match &tree.nodes[*collection].kind {
                Kind::Map(map) => map.entries.len() > 1,
                _ => tree.items(*collection).count() > 1,
            };
            let Some((depth, collection)) = chain.into_iter().enumerate().rev().find(holds_more) else {
                return Ok(None);
            };
            let range = removed(&tree, collection, path[depth])?;
            let whole_lines = range.start == 0 || tree.lines.start(range.start) == range.start;
            cuts.push(Cut {
                from: tree.lines.line(range.start) + usize::from(!whole_lines),
                lines: tree.text[range.clone()].matches('\n').count(),
            });
            let edited = spliced(
                &tree,
                Edit {
                    range,
                    text: String::new(),
                },
            );
            let is_item = matches!(path.last(), Some(Step::Item(_)));
            self.replace(edited, path, (!is_item).then_some(path))?;
            if is_item {
                return Ok(Some(cuts));
            }
        }
    }

    /// Accepts the edited text if its content is the same as before, except for what is at `before`
    /// in the old text and at `after` in the new one.
    fn replace(
        &mut self,
        edited: String,
        before: &[Step<'_>],
        after: Option<&[Step<'_>]>,
    ) -> Result<(), EditError> {
        let path = after.unwrap_or(before);
        let is_same = match Tree::parse(edited.as_str()) {
            Ok(tree) => outline_of(&read(&self.text)?, Some(before)) == outline_of(&tree, after),
            Err(_) => false,
        };
        if !is_same {
            return Err(EditError::Unsafe(shown(path)));
        }
        self.text = edited;
        Ok(())
    }
}

/// Returns the line of the original text for a line of the edited one.
pub fn original_line(cuts: &[Cut], line: usize) -> usize {
    cuts.iter().rev().fold(
        line,
        |line, cut| if line >= cut.from { line + cut.lines } else { line },
    )
}

/// Returns whether a value can stand where a plain text was, as plain as that one. No reader of YAML may take it for a
/// number.
fn stays_plain(before: &str, value: &str) -> bool {
    let is_text = |text: &str| matches!(load(text, None, true), Scalar::String(_));
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".+^~_-".contains(&byte);
    let is_number = value.parse::<f64>().is_ok() || value.starts_with("0o");
    let can_start = value.len() > 1 && value.starts_with(|c: char| c.is_ascii_digit() || "^~".contains(c));
    can_start && value.bytes().all(is_fine) && !is_number && is_text(before) && is_text(value)
}

fn read(text: &str) -> Result<Tree<'_>, EditError> {
    Tree::parse(text).map_err(|error| EditError::Unreadable(error.with_line(text)))
}

#[cfg(test)]
mod tests {
    use super::{Step::*, *};

    fn edited(text: &str, edit: impl FnOnce(&mut Editor) -> Result<(), EditError>) -> String {
        let mut editor = Editor::parse(text).unwrap();
        edit(&mut editor).unwrap_or_else(|error| panic!("{error}\n{text}"));
        editor.text().to_owned()
    }

    fn source(repo: &str, version: &str) -> NewValue {
        let text = |text: &str| NewValue::Text(text.to_owned());
        NewValue::Map(vec![
            ("repo".to_owned(), text(repo)),
            ("version".to_owned(), text(version)),
        ])
    }

    #[test]
    fn a_scalar_keeps_its_quotes_and_its_comment() {
        for (text, expected) in [
            ("a: 1.0 # c\r\nb: 2\r\n", "a: \"1.10\" # c\r\nb: 2\r\n"),
            ("a: '1.0'\n", "a: '1.10'\n"),
            ("{\"a\": \"1.0\", b: 2}", "{\"a\": \"1.10\", b: 2}"),
            ("a: !!str x # c\n", "a: !!str \"1.10\" # c\n"),
            ("a:\nb: 2\n", "a: \"1.10\"\nb: 2\n"),
            ("b: &x 2\na: *x\n", "b: &x 2\na: \"1.10\"\n"),
            ("a: one\n  two\nb: 2\n", "a: \"1.10\"\nb: 2\n"),
        ] {
            assert_eq!(edited(text, |editor| editor.set(&[Key("a")], "1.10")), expected);
        }
        for (text, value, expected) in [
            ("a: 1.0.0 # c\n", "1.2.0", "a: 1.2.0 # c\n"),
            ("{a: ^1.2, b: 2}", "^2.0", "{a: ^2.0, b: 2}"),
            ("a: 1.x\n", "2.x", "a: 2.x\n"),
            ("a: 1.0.0\n", "1.1", "a: \"1.1\"\n"),
            ("a: 1.0.0\n", "1e3", "a: \"1e3\"\n"),
            ("a: 1.0.0\n", "0o7", "a: \"0o7\"\n"),
            ("a: 1.0.0\n", "~", "a: \"~\"\n"),
            ("a: 1.0.0\n", ">=1, <2", "a: \">=1, <2\"\n"),
            ("a: &x 1.0.0\n", "1.2.0", "a: &x 1.2.0\n"),
        ] {
            assert_eq!(edited(text, |editor| editor.set(&[Key("a")], value)), expected);
        }
        let mut editor = Editor::parse("a: &x 1\nb: *x\nc: |\n  t\n").unwrap();
        assert_eq!(editor.set(&[Key("c")], "x"), Err(EditError::Layout(3)));
        assert_eq!(
            editor.set(&[Key("d")], "x"),
            Err(EditError::Missing("`d`".to_owned()))
        );
        assert_eq!(editor.text(), "a: &x 1\nb: *x\nc: |\n  t\n");
    }

    #[test]
    fn an_item_is_added_in_the_style_of_its_list() {
        let push = |text: &str| edited(text, |editor| editor.push(&[Key("l")], &source("b", "1.x")));
        let item = "- repo: b\n  version: \"1.x\"\n";
        let item = item.replace("\"1.x\"", &quote("1.x"));
        assert_eq!(push(""), format!("l:\n{item}"));
        assert_eq!(push("a: 1\n"), format!("a: 1\nl:\n{item}"));
        assert_eq!(push("l: # c\na: 1\n"), format!("l: # c\n{item}a: 1\n"));
        assert_eq!(push("l: []\na: 1"), format!("l:\n{item}a: 1"));
        assert_eq!(
            push("l:\n# one\n- repo: a # x\n# end\n"),
            format!("l:\n# one\n- repo: a # x\n{item}# end\n")
        );
        let deep = item.replace("- ", "  - ").replace("\n  v", "\n    v");
        assert_eq!(
            push("l:\n  - repo: a\na: 1\n"),
            format!("l:\n  - repo: a\n{deep}a: 1\n")
        );
        assert_eq!(
            push("l: [{repo: a}] # c\n"),
            format!("l: [{{repo: a}}, {{repo: b, version: {}}}] # c\n", quote("1.x"))
        );
        assert_eq!(
            push("l:\r\n- a\r\n"),
            format!("l:\n- a\n{item}").replace('\n', "\r\n")
        );
    }

    #[test]
    fn an_item_is_taken_out_of_its_list() {
        let remove = |text: &str, item| {
            let mut editor = Editor::parse(text).unwrap();
            editor
                .remove(&[Key("l"), Item(item)])
                .unwrap()
                .map(|_| editor.text().to_owned())
        };
        assert_eq!(
            remove("l:\n- a: 1\n  b: 2 # c\n- d\n", 0).as_deref(),
            Some("l:\n- d\n")
        );
        assert_eq!(
            remove("l: [a, {b: c}, d] # c\n", 1).as_deref(),
            Some("l: [a, d] # c\n")
        );
        assert_eq!(remove("l: [a, b]\n", 1).as_deref(), Some("l: [a]\n"));
        assert_eq!(remove("l:\n- a\nb: 1\n", 0).as_deref(), Some("b: 1\n"));
        let without_key = |text: &str| {
            let mut editor = Editor::parse(text).unwrap();
            editor.remove(&[Key("l"), Item(0), Key("a")]).unwrap();
            editor.text().to_owned()
        };
        assert_eq!(without_key("l:\n  - a: 1 # c\n    b: 2\n"), "l:\n  - b: 2\n");
        assert_eq!(without_key("l:\n- b: 2\n  a: 1\n- c\n"), "l:\n- b: 2\n- c\n");
        assert_eq!(remove("l:\n- a\n", 0), None);
        assert_eq!(remove("l: [a]\nb: 1\n", 7).as_deref(), Some("l: [a]\nb: 1\n"));
    }

    #[test]
    fn a_key_is_added_below_an_item() {
        let put = |text: &str| {
            edited(text, |editor| {
                editor.put(&[Key("l"), Item(1), Key("x")], &NewValue::Text("z".to_owned()))
            })
        };
        assert_eq!(
            put("l:\n- a\n- b: 1 # c\n# end\n"),
            "l:\n- a\n- b: 1 # c\n  x: z\n# end\n"
        );
        assert_eq!(put("l: [a, {b: 1}]\n"), "l: [a, {b: 1, x: z}]\n");
        assert_eq!(put("l: [a, {x: 1, b: 1}]\n"), "l: [a, {x: z, b: 1}]\n");
    }
}
