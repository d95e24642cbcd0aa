//! Finds what is wrong with the spaces of a config that is not YAML.
//!
//! A reader of YAML notices a wrong indentation late, and names a consequence of it. This module
//! looks at the text as a person does: the keys of an entry begin in one column, and so do the
//! entries.

use super::{
    LIST,
    keys::{self, Key},
};

/// A line of the list, seen without parsing it.
struct Line<'a> {
    /// The number, from 1.
    number: usize,
    /// The white space at the beginning.
    indent: &'a str,
    /// Whether the first character behind it is the dash of an entry.
    has_dash: bool,
    /// The column of the key, from 1.
    column: usize,
    /// The text behind the dash, or behind the indentation.
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn of(number: usize, text: &'a str) -> Self {
        let rest = text.trim_start_matches([' ', '\t']);
        let indent = &text[..text.len() - rest.len()];
        let behind = rest.strip_prefix('-');
        let has_dash = behind.is_some_and(|behind| behind.starts_with([' ', '\t']));
        let rest = if has_dash {
            behind.unwrap_or(rest).trim_start()
        } else {
            rest
        };
        Self {
            number,
            indent,
            has_dash,
            column: text.chars().count() - rest.chars().count() + 1,
            rest,
        }
    }

    /// Returns the key of an entry at the beginning of the line, with what stands behind it.
    fn key(&self) -> Option<(&'static Key, &'a str)> {
        keys::SOURCE.iter().find_map(|key| {
            let behind = self.rest.strip_prefix(key.name)?;
            behind.starts_with(':').then_some((key, behind))
        })
    }
}

/// Returns a hint for the place where a reader of YAML gave up, if the cause is in the spaces of an
/// entry.
pub(super) fn hint(text: &str, at: usize) -> Option<String> {
    let before = text.get(..at)?;
    let number = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    let lines: Vec<Line> = lines
        .zip(1..)
        .take(number)
        .skip_while(|(line, _)| !line.trim_start().starts_with(LIST))
        .map(|(line, number)| Line::of(number, line))
        .filter(|line| !line.rest.is_empty() && !line.rest.starts_with('#'))
        .collect();
    let (last, above) = lines.split_last()?;
    if last.indent.contains('\t') {
        return Some(format!(
            "line {} begins with a tab: write spaces instead",
            last.number
        ));
    }
    // The reader gives up at the wrong line or at the one behind it.
    let near = [Some(last), above.last()];
    if let Some(hint) = near.into_iter().flatten().find_map(missing_space) {
        return Some(hint);
    }
    let entry = above.iter().rev().find(|line| line.has_dash)?;
    if last.has_dash {
        let place = |line: &Line| (line.number, line.indent.len());
        let ((line, spaces), (first, right)) = (place(last), place(entry));
        return (spaces != right).then(|| {
            format!(
                "line {line} has {} before its `-`, line {first} has {right}: entries begin in one column",
                counted(spaces)
            )
        });
    }
    let (key, _) = last.key()?;
    let (first, _) = entry.key()?;
    (last.column != entry.column).then(|| {
        differs(
            key.name,
            (last.number, last.column),
            first.name,
            (entry.number, entry.column),
        )
    })
}

/// Returns the hint that a key is not in the column of its entry's first key. Places are lines and
/// columns.
pub(super) fn differs(key: &str, found: (usize, usize), first_key: &str, first: (usize, usize)) -> String {
    format!(
        "line {} has {} before `{key}`, line {} has {} before `{first_key}`: the keys of an entry begin in one column",
        found.0,
        counted(found.1 - 1),
        first.0,
        first.1 - 1,
    )
}

fn counted(spaces: usize) -> String {
    match spaces {
        1 => "1 space".to_owned(),
        many => format!("{many} spaces"),
    }
}

/// Returns the hint that a space is missing, behind the dash of an entry or behind the colon of a
/// key.
fn missing_space(line: &Line) -> Option<String> {
    let number = line.number;
    if let Some(behind) = line.rest.strip_prefix('-')
        && !line.has_dash
    {
        let line = Line::of(number, behind);
        let (key, _) = line.key()?;
        return Some(format!(
            "line {number} needs a space behind `-`: `- {}: …`",
            key.name
        ));
    }
    let (key, behind) = line.key()?;
    let value = behind.strip_prefix(':')?;
    let has_space = value.is_empty() || value.starts_with([' ', '\t']);
    (!has_space).then(|| format!("line {number} needs a space behind `{0}:`: `{0}: …`", key.name))
}
