//! Edits of a `bitops.config.yaml` that leave all else as the user wrote it: comments, order, quoting, line ends.
//!
//! Every edit is checked: the result is parsed again and must say what was asked for and nothing else than before.

use std::ops::Range;

use compose_model::{TreePath, text};

use super::yaml::{Document, Node};

/// The path of the mapping that names deployments.
pub(super) const DEPLOYMENTS: [&str; 2] = ["bitops", "deployments"];

/// A deployment as a config declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) plugin: String,
    /// What else stands beside `plugin`.
    pub(super) others: Vec<String>,
    /// Line of the name, from 1.
    pub(super) line: usize,
}

/// Lines that are gone: in the edited text, line `from` and all after it stood `lines` further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) from: usize,
    pub(super) lines: usize,
}

/// The deployments that a config declares, in its order; `None`: it has no list, not even an empty one. `Err`: why they
/// cannot be told.
pub(super) fn declared(text: &str) -> Result<Option<Vec<Declared>>, String> {
    let document = Document::parse(text)?;
    let Some(node) = document.get(&DEPLOYMENTS).filter(|node| !node.is_null()) else {
        return Ok(None);
    };
    let entries = node
        .entries()
        .ok_or_else(|| with_line(text, node, "`deployments` is not a mapping"))?;
    let mut declared: Vec<Declared> = Vec::new();
    for (key, value) in entries {
        let name = key
            .scalar()
            .ok_or_else(|| with_line(text, key, "a deployment's name is not a text"))?;
        check_name(name).map_err(|why| {
            with_line(
                text,
                key,
                &format!("the deployment `{}`: {why}", text::escape(name, 80)),
            )
        })?;
        let value = document.follow(value);
        let plugin = value.and_then(|value| {
            document
                .follow(&value.entries()?[value.find("plugin")?].1)?
                .scalar()
        });
        let plugin = plugin
            .filter(|plugin| check_name(plugin).is_ok())
            .ok_or_else(|| with_line(text, key, &format!("the deployment `{name}` names no plugin")))?;
        let keys = value
            .and_then(Node::entries)
            .unwrap_or_default()
            .iter()
            .filter_map(|(key, _)| key.scalar());
        let others = keys.filter(|key| *key != "plugin").map(str::to_owned).collect();
        // The last of equal names wins, at the place of the first.
        let line = line_of(text, key.span.start);
        let one = Declared {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            others,
            line,
        };
        match declared.iter_mut().find(|earlier| earlier.name == name) {
            Some(earlier) => *earlier = one,
            None => declared.push(one),
        }
    }
    Ok(Some(declared))
}

fn check_name(name: &str) -> Result<(), String> {
    TreePath::new(name).map(drop).map_err(|why| why.to_string())
}

/// The text without every entry at a path, and without what would hold nothing then; `None`: nothing remains.
pub(super) fn remove(text: &str, path: &[&str]) -> Result<Option<(String, Vec<Cut>)>, String> {
    let mut current = text.to_owned();
    let mut cuts = Vec::new();
    loop {
        let document = Document::parse(&current)?;
        let Some(root) = &document.root else {
            return Ok(Some((current, cuts)));
        };
        let mut chain = Vec::new();
        let mut node = root;
        for key in path {
            let Some(index) = node.find(key) else {
                return Ok(Some((current, cuts)));
            };
            chain.push((node, index));
            node = &node.entries().unwrap_or_default()[index].1;
        }
        // An only entry takes its mapping along.
        let holds_more = |(map, _): &&(&Node, usize)| map.entries().is_some_and(|entries| entries.len() > 1);
        let Some((map, index)) = chain.iter().rev().find(holds_more) else {
            return Ok(None);
        };
        let range = entry_range(&current, map, *index)?;
        let whole_lines = current[..range.start].ends_with('\n') || range.start == 0;
        let from = line_of(&current, range.start) + usize::from(!whole_lines);
        cuts.push(Cut {
            from,
            lines: current[range.clone()].matches('\n').count(),
        });
        let edited = format!("{}{}", &current[..range.start], &current[range.end..]);
        current = check(&current, edited, path)?;
    }
}

/// The line of the original text, for a line of the edited one.
pub(super) fn original_line(cuts: &[Cut], line: usize) -> usize {
    cuts.iter().rev().fold(
        line,
        |line, cut| if line >= cut.from { line + cut.lines } else { line },
    )
}

/// The text with exactly these deployments, in this order. Entries that are there already keep their text.
pub(super) fn set_deployments(text: &str, wanted: &[(&str, &str)]) -> Result<String, String> {
    let says = |text: &str| -> Result<bool, String> {
        let declared = declared(text)?.unwrap_or_default();
        Ok(declared
            .iter()
            .map(|one| (one.name.as_str(), one.plugin.as_str()))
            .eq(wanted.iter().copied()))
    };
    if says(text)? {
        return Ok(text.to_owned());
    }
    let document = Document::parse(text)?;
    let edit = Edit {
        text,
        wanted,
        newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
    };
    let edited = match &document.root {
        None => edit.append(),
        Some(root) => edit.document(root)?,
    };
    let edited = check(text, edited, &DEPLOYMENTS)?;
    if says(&edited)? {
        Ok(edited)
    } else {
        Err("its layout is too unusual to add `deployments`".to_owned())
    }
}

/// Nothing but what stands at `path` may have changed.
fn check(before: &str, after: String, path: &[&str]) -> Result<String, String> {
    let rest = |text: &str| -> Result<Option<Node>, String> {
        let root = Document::parse(text)?.root;
        Ok(root.and_then(|mut root| (!root.prune(path)).then_some(root)))
    };
    match rest(&after) {
        Ok(after_rest) if after_rest == rest(before)? => Ok(after),
        _ => Err(format!(
            "its layout is too unusual to change `{}`",
            path.join(".")
        )),
    }
}

struct Edit<'a> {
    text: &'a str,
    wanted: &'a [(&'a str, &'a str)],
    newline: &'static str,
}

impl Edit<'_> {
    /// A text without any node.
    fn append(&self) -> String {
        let gap = if self.text.is_empty() || self.text.ends_with('\n') {
            ""
        } else {
            self.newline
        };
        format!("{}{gap}{}", self.text, self.block(&DEPLOYMENTS, 0, 2))
    }

    fn document(&self, root: &Node) -> Result<String, String> {
        let Some(entries) = root.entries() else {
            return Err("it is not a mapping".to_owned());
        };
        let Some(bitops) = root.find("bitops") else {
            return self.add(root, &DEPLOYMENTS);
        };
        let bitops_node = &entries[bitops].1;
        match bitops_node.entries() {
            None if bitops_node.is_null() => self.fill(root, bitops, &DEPLOYMENTS[1..]),
            None => Err("`bitops` is not a mapping".to_owned()),
            Some([]) => self.fill(root, bitops, &DEPLOYMENTS[1..]),
            Some(entries) => match bitops_node.find("deployments") {
                None => self.add(bitops_node, &DEPLOYMENTS[1..]),
                Some(at)
                    if entries[at].1.entries().is_some_and(|all| !all.is_empty())
                        && !entries[at].1.is_flow() =>
                {
                    self.rebuild(&entries[at].0, &entries[at].1)
                }
                Some(at) => self.fill(bitops_node, at, &[]),
            },
        }
    }

    /// A new last entry of a mapping.
    fn add(&self, map: &Node, keys: &[&str]) -> Result<String, String> {
        let entries = map.entries().unwrap_or_default();
        let Some((key, value)) = entries.last() else {
            // `{}`
            let brace = map.span.end - 1;
            return Ok(self.splice(brace..brace, &self.flow(keys, None)));
        };
        let end = entry_end(self.text, key, value);
        if map.is_flow() {
            return Ok(self.splice(end..end, &format!(", {}", self.flow(keys, None))));
        }
        let column = column(self.text, &entries[0].0)?;
        let end = line_end(self.text, end);
        let gap = if self.text[..end].ends_with('\n') {
            ""
        } else {
            self.newline
        };
        Ok(self.splice(end..end, &format!("{gap}{}", self.block(keys, column, 2))))
    }

    /// A value where there is none yet, or one that is not a block.
    fn fill(&self, parent: &Node, index: usize, keys: &[&str]) -> Result<String, String> {
        let (key, value) = &parent.entries().unwrap_or_default()[index];
        let end = entry_end(self.text, key, value);
        let holds = value.entries().is_some_and(|entries| !entries.is_empty());
        if parent.is_flow() || holds {
            let name = &self.text[key.span.clone()];
            let flow = self.flow(keys, Some(value));
            return Ok(self.splice(key.span.start..end, &format!("{name}: {flow}")));
        }
        let column = column(self.text, key)?;
        let value_start = if value.span.is_empty() {
            end
        } else {
            value.span.start
        };
        let head = self.text[..value_start].trim_end_matches(' ');
        let line = line_end(self.text, end);
        let gap = if self.text[..line].ends_with('\n') {
            ""
        } else {
            self.newline
        };
        let block = self.block(keys, column + 2, 2);
        Ok(format!(
            "{head}{}{gap}{block}{}",
            &self.text[end..line],
            &self.text[line..]
        ))
    }

    /// Entries of a block mapping in another order, with others between. Comment lines belong to what follows.
    fn rebuild(&self, key: &Node, map: &Node) -> Result<String, String> {
        let entries = map.entries().unwrap_or_default();
        let start = line_end(self.text, key.span.end);
        let column = column(self.text, &entries[0].0)?;
        let mut chunks = Vec::new();
        let mut from = start;
        for (name, value) in entries {
            let to = line_end(self.text, entry_end(self.text, name, value));
            chunks.push((name.scalar().unwrap_or_default(), &self.text[from..to]));
            from = to;
        }
        let mut rebuilt = String::new();
        for (name, plugin) in self.wanted {
            match chunks.iter().rfind(|(chunk, _)| chunk == name) {
                Some((_, chunk)) => rebuilt.push_str(chunk),
                None => rebuilt.push_str(&self.entry(name, plugin, column, 2)),
            }
            if !rebuilt.ends_with('\n') {
                rebuilt.push_str(self.newline);
            }
        }
        Ok(self.splice(start..from, &rebuilt))
    }

    fn splice(&self, range: Range<usize>, with: &str) -> String {
        format!("{}{with}{}", &self.text[..range.start], &self.text[range.end..])
    }

    /// The deployments as a block below `keys`, which start at a column.
    fn block(&self, keys: &[&str], column: usize, step: usize) -> String {
        let mut block = String::new();
        for (depth, key) in keys.iter().enumerate() {
            block.push_str(&format!(
                "{:1$}{key}:{2}",
                "",
                column + depth * step,
                self.newline
            ));
        }
        for (name, plugin) in self.wanted {
            block.push_str(&self.entry(name, plugin, column + keys.len() * step, step));
        }
        block
    }

    fn entry(&self, name: &str, plugin: &str, column: usize, step: usize) -> String {
        let newline = self.newline;
        let inner = column + step;
        format!(
            "{:column$}{}:{newline}{:inner$}plugin: {}{newline}",
            "",
            quoted(name),
            "",
            quoted(plugin)
        )
    }

    /// The same in braces. Entries of `old` keep their text where it fits on a line.
    fn flow(&self, keys: &[&str], old: Option<&Node>) -> String {
        let entries = old.and_then(Node::entries).unwrap_or_default();
        let kept = |name: &str| {
            let (key, value) = entries.iter().rfind(|(key, _)| key.scalar() == Some(name))?;
            let text = &self.text[key.span.start..entry_end(self.text, key, value)];
            (!text.contains(['\n', '#'])).then(|| text.to_owned())
        };
        let all: Vec<String> = self
            .wanted
            .iter()
            .map(|(name, plugin)| {
                kept(name).unwrap_or_else(|| format!("{}: {{plugin: {}}}", quoted(name), quoted(plugin)))
            })
            .collect();
        let inner = format!("{{{}}}", all.join(", "));
        let (Some((first, rest)), None) = (keys.split_first(), old) else {
            return keys
                .iter()
                .rev()
                .fold(inner, |inner, key| format!("{{{key}: {inner}}}"));
        };
        format!(
            "{first}: {}",
            rest.iter()
                .rev()
                .fold(inner, |inner, key| format!("{{{key}: {inner}}}"))
        )
    }
}

/// A scalar that PyYAML reads as this text.
fn quoted(value: &str) -> String {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf"];
    let plain = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !WORDS.contains(&value.to_ascii_lowercase().as_str());
    // JSON's strings are YAML's: a double-quoted scalar.
    if plain {
        value.to_owned()
    } else {
        serde_json::Value::from(value).to_string()
    }
}

/// What goes when an entry goes.
fn entry_range(text: &str, map: &Node, index: usize) -> Result<Range<usize>, String> {
    let entries = map.entries().unwrap_or_default();
    let (key, value) = &entries[index];
    let end = entry_end(text, key, value);
    if !map.is_flow() {
        column(text, key)?;
        return Ok(line_start(text, key.span.start)..line_end(text, end));
    }
    Ok(
        match (
            entries.get(index + 1),
            index.checked_sub(1).map(|before| &entries[before]),
        ) {
            (Some((next, _)), _) => key.span.start..next.span.start,
            (None, Some((key, value))) => entry_end(text, key, value)..end,
            (None, None) => key.span.start..end,
        },
    )
}

/// Where an entry's text ends: after its value, or the colon when there is none.
fn entry_end(text: &str, key: &Node, value: &Node) -> usize {
    if !value.span.is_empty() {
        // A block scalar's span reaches into the lines after it.
        return value.span.start + text[value.span.clone()].trim_end().len();
    }
    let rest = &text[key.span.end..];
    let gap = rest.len() - rest.trim_start().len();
    key.span.end + if rest[gap..].starts_with(':') { gap + 1 } else { 0 }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// After the line's newline.
fn line_end(text: &str, at: usize) -> usize {
    // A span may end with the newline itself.
    text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline + 1)
}

/// The column of a block mapping's key, which must be alone on its line.
fn column(text: &str, key: &Node) -> Result<usize, String> {
    let before = text[line_start(text, key.span.start)..key.span.start].trim_start_matches('\u{feff}');
    if before.bytes().all(|byte| byte == b' ') {
        return Ok(before.len());
    }
    Err(with_line(text, key, "the layout is too unusual to edit"))
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn with_line(text: &str, node: &Node, why: &str) -> String {
    format!("line {}: {why}", line_of(text, node.span.start))
}
