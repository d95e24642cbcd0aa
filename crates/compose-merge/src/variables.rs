//! Lists what a file of Terraform's variables sets, and removes variables from such a file.

use std::{collections::BTreeMap, ops::Range};

use compose_yaml::{Cut, Edit, apply};
use hcl_edit::expr::{Expression, ObjectKey};

use super::{
    hcl, identity, json,
    refusal::{Reason, Refusal, TerraformProblem},
    tfvars,
    tree::{Kind, NodeId, Style, Tree},
    value::{Values, normal_number},
};

/// A variable that a file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// The line of its name, from 1.
    pub line: usize,
    /// The value, in a form that allows comparing texts of both syntaxes. Expressions that
    /// Terraform has to evaluate are compared by their text, so equal values may look different,
    /// but different values never look equal.
    pub value: String,
}

/// An assignment with the range to remove it by: its lines and the comments that belong to it, or
/// its bytes with a comma.
type Placed = (Assignment, Range<usize>);

/// Returns whether Terraform reads a file of variables as JSON. That depends on the name alone.
fn is_json(name: &str) -> bool {
    name.ends_with(".json")
}

/// Returns the reason for which an encrypted file of variables is not edited.
fn encrypted(name: &str, bytes: &[u8]) -> Option<Reason> {
    let sops = || {
        let mut values = Values::default();
        let tree = json::parse(bytes, &mut values).ok().filter(|_| is_json(name))?;
        Some(Reason::Whole(identity::find_whole(&[tree])?.1))
    };
    identity::encrypted(bytes).or_else(sops)
}

/// Lists what a file of variables sets, in the order of the file.
///
/// # Errors
///
/// Returns an error if the file cannot be read.
pub fn assignments(name: &str, bytes: &[u8]) -> Result<Vec<Assignment>, Refusal> {
    let (_, _, all) = read(name, bytes)?;
    Ok(all.into_iter().map(|(assignment, _)| assignment).collect())
}

/// Returns a file of variables without some of them, and the lines that were removed. Comments that
/// belong to a variable are removed with it; all other text stays.
///
/// # Errors
///
/// Returns an error if the file cannot be read, if its text cannot be spliced, or if it is
/// encrypted, because an encrypted file that was changed can no longer be decrypted.
pub fn without(name: &str, bytes: &[u8], gone: &[&str]) -> Result<(Vec<u8>, Vec<Cut>), Refusal> {
    if let Some(reason) = encrypted(name, bytes) {
        return Err(reason.into());
    }
    let (bom, text, all) = read(name, bytes)?;
    let is_gone = |assignment: &Assignment| gone.contains(&assignment.name.as_str());
    let last_kept = all.iter().rposition(|(assignment, _)| !is_gone(assignment));
    let mut ranges = Vec::new();
    for (index, (assignment, range)) in all.iter().enumerate() {
        if !is_gone(assignment) {
            continue;
        }
        // In JSON, the comma between a removed variable and a kept one is removed as well.
        ranges.push(match (is_json(name), last_kept) {
            (false, _) => range.clone(),
            (true, Some(last)) if last < index => all[index - 1].1.end..range.end,
            (true, Some(_)) => range.start..all[index + 1].1.start,
            (true, None) => range.start..all.get(index + 1).map_or(range.end, |next| next.1.start),
        });
    }
    let mut cuts = Vec::new();
    let mut lines_gone = 0;
    for range in &ranges {
        let line = 1 + text[..range.start].matches('\n').count();
        let line_start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let begins_line = text[line_start..range.start].trim().is_empty();
        let lines = text[range.clone()].matches('\n').count();
        cuts.push(Cut {
            from: line - lines_gone + usize::from(!begins_line),
            lines,
        });
        lines_gone += lines;
    }
    let cut = |range| Edit {
        range,
        text: String::new(),
    };
    let edited = apply(&text, 0..text.len(), ranges.into_iter().map(cut).collect());
    let bom = if bom { "\u{feff}" } else { "" };
    let edited = format!("{bom}{edited}").into_bytes();
    // The text is spliced at places that a parser reported. It must set the same as before, except
    // for the removed variables.
    let values = |bytes: &[u8]| -> Result<BTreeMap<String, String>, Refusal> {
        let all = assignments(name, bytes)?;
        Ok(all.into_iter().map(|one| (one.name, one.value)).collect())
    };
    let mut expected = values(bytes)?;
    expected.retain(|name, _| !gone.contains(&name.as_str()));
    if values(&edited)? != expected {
        return Err(Reason::ChangedValue.into());
    }
    Ok((edited, cuts))
}

/// Returns whether a file starts with a byte-order mark, its text, and the variables that it sets.
fn read(name: &str, bytes: &[u8]) -> Result<(bool, String, Vec<Placed>), Refusal> {
    if is_json(name) {
        let tree = json::parse(bytes, &mut Values::default())?;
        Ok((tree.bom, tree.text.to_string(), of_json(&tree)?))
    } else {
        let file = hcl::parse(bytes)?;
        let all = of_hcl(&file)?;
        Ok((file.bom, file.text.to_string(), all))
    }
}

fn of_hcl(file: &hcl::File<'_>) -> Result<Vec<Placed>, Refusal> {
    let mut all = Vec::new();
    let mut after = None;
    for structure in &file.body {
        let attribute = tfvars::attribute(file, structure)?;
        let (key, value) = (hcl::span(&attribute.key)?, hcl::span(&attribute.value)?);
        let start = file.line_start(key.start) - file.lead(key.start, after).len();
        let line_end = file.line_end(value.end);
        let end = file.text[line_end..]
            .find('\n')
            .map_or(file.text.len(), |at| line_end + at + 1);
        after = Some(value.end);
        let assignment = Assignment {
            name: attribute.key.as_str().to_owned(),
            line: file.line(key.start),
            value: hcl_value(&attribute.value),
        };
        all.push((assignment, start..end));
    }
    Ok(all)
}

fn of_json(tree: &Tree<'_>) -> Result<Vec<Placed>, Refusal> {
    let Some(map) = tree.root().and_then(|root| tree.map(root)) else {
        return Err(Reason::NotMapping.into());
    };
    let mut all: Vec<Placed> = Vec::new();
    for entry in &map.entries {
        let key = &tree.nodes[entry.key];
        let Kind::Scalar { value: name, .. } = &key.kind else {
            return Err(Reason::NotMapping.into());
        };
        if all.iter().any(|(known, _)| *known.name == **name) {
            let problem = TerraformProblem::VariableTwice(name.to_string());
            return Err(Refusal::new(problem.into(), tree.line_column(key.start)));
        }
        let assignment = Assignment {
            name: name.to_string(),
            line: tree.line(key.start),
            value: json_value(tree, entry.value),
        };
        all.push((assignment, key.start..tree.nodes[entry.value].end));
    }
    Ok(all)
}

/// Formats a text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// Formats an object. The order of keys is not part of its value.
pub(super) fn object(entries: impl Iterator<Item = (String, String)>) -> String {
    let entries: BTreeMap<String, String> = entries.collect();
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    format!("{{{}}}", entries.join(","))
}

/// Formats a number. Terraform has a single type of number.
fn number(text: &str) -> String {
    if text.contains(['.', 'e', 'E']) {
        normal_number(text)
    } else {
        normal_number(&format!("{text}.0"))
    }
}

pub(super) fn json_value(tree: &Tree<'_>, node: NodeId) -> String {
    match &tree.nodes[node].kind {
        Kind::Map(map) => object(map.entries.iter().map(|entry| {
            let value = json_value(tree, entry.value);
            (json_value(tree, entry.key), value)
        })),
        Kind::Sequence { .. } => list(tree.items(node).map(|item| json_value(tree, item))),
        // JSON variables do not have templates: `${` is text.
        Kind::Scalar {
            value,
            style: Style::Quoted,
        } => quoted(value),
        Kind::Scalar { value, .. } if value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            number(value)
        }
        Kind::Scalar { value, .. } => value.to_string(),
        Kind::Alias(_) => unreachable!("JSON has no aliases"),
    }
}

pub(super) fn hcl_value(expression: &Expression) -> String {
    match expression {
        Expression::Null(_) => "null".to_owned(),
        Expression::Bool(bool) => bool.to_string(),
        Expression::Number(it) => number(&it.value().to_string()),
        // An escaped template is text to Terraform, but not the text that is written here.
        Expression::String(string) if !string.contains("${") && !string.contains("%{") => quoted(string),
        Expression::Array(array) => list(array.iter().map(hcl_value)),
        Expression::Object(it) => object(it.iter().map(|(key, value)| {
            let key = match key {
                ObjectKey::Ident(ident) => quoted(ident),
                ObjectKey::Expression(key) => hcl_value(key),
            };
            (key, hcl_value(value.expr()))
        })),
        other => {
            let mut other = other.clone();
            hcl_edit::Decorate::decor_mut(&mut other).clear();
            format!("expression {}", without_space(&other.to_string()))
        }
    }
}

/// Removes the white space of an expression that has no meaning. A text whose white space may have
/// one (templates, heredocs, comments) is returned as it is.
fn without_space(text: &str) -> String {
    if ["${", "%{", "<<", "#", "//", "/*"]
        .iter()
        .any(|sign| text.contains(sign))
    {
        return text.to_owned();
    }
    let (mut out, mut in_text, mut is_escaped) = (String::new(), false, false);
    for c in text.chars() {
        if in_text {
            in_text = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
        } else if c.is_whitespace() {
            // Words that stand beside each other, as in `for x in y`, stay apart.
            if !out.ends_with(' ') {
                out.push(' ');
            }
            continue;
        } else {
            in_text = c == '"';
            if out.ends_with(' ') && !is_between_words(&out, c) {
                out.pop();
            }
        }
        out.push(c);
    }
    out
}

/// Returns whether the space at the end of a text separates two words.
fn is_between_words(text: &str, next: char) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '"');
    is_word(next) && text.trim_end().ends_with(is_word)
}

#[cfg(test)]
mod tests {
    use compose_yaml::original_line;

    use super::*;

    #[test]
    fn values_of_both_syntaxes_are_compared() {
        let of = |name: &str, text: &str| assignments(name, text.as_bytes()).unwrap()[0].value.clone();
        let (hcl, json) = ("x.tfvars", "x.tfvars.json");
        for (one, other) in [
            ("x = 1\n", "{\"x\": 1.0}"),
            ("x = \"a\\n\"\n", "{\"x\": \"\\u0061\\n\"}"),
            ("x = [true, null]\n", "{\"x\": [true, null]}"),
            (
                "x = { b = 1, \"a\" = [2] }\n",
                "{\"x\": {\"a\": [20e-1], \"b\": 1}}",
            ),
        ] {
            assert_eq!(of(hcl, one), of(json, other), "{one}");
        }
        for (one, other) in [
            ("x = \"$${a}\"\n", "{\"x\": \"$${a}\"}"),
            ("x = \"$${a}\"\n", "{\"x\": \"${a}\"}"),
            ("x = \"1\"\n", "{\"x\": 1}"),
            ("x = \"null\"\n", "{\"x\": null}"),
        ] {
            assert_ne!(of(hcl, one), of(json, other), "{one}");
        }
    }

    #[test]
    fn variables_go_with_their_comments_and_lines_are_reported_as_before() {
        let text =
            "# header\n\n# about a\na = 1 # one\nb = <<EOF\na = 2\nEOF\n\n# about c\nc = [\n  3,\n]\nd = 4";
        let (left, cuts) = without("x.tfvars", text.as_bytes(), &["a", "c", "z"]).unwrap();
        let left = String::from_utf8(left).unwrap();
        assert_eq!(left, "# header\n\nb = <<EOF\na = 2\nEOF\n\nd = 4\n");
        for (line, of) in [(1, 1), (3, 5), (7, 13)] {
            assert_eq!(original_line(&cuts, line), of, "{line}");
        }
    }

    #[test]
    fn members_of_json_go_with_their_commas() {
        let text = "{\n  \"a\": 1,\n  \"b\": {\"a\": 2},\n  \"c\": 3,\n  \"d\": 4\n}\n";
        let left = |gone: &[&str]| {
            let (left, cuts) = without("x.tfvars.json", text.as_bytes(), gone).unwrap();
            (String::from_utf8(left).unwrap(), cuts)
        };
        let (text, cuts) = left(&["a", "c"]);
        assert_eq!(text, "{\n  \"b\": {\"a\": 2},\n  \"d\": 4\n}\n");
        assert_eq!((original_line(&cuts, 2), original_line(&cuts, 3)), (3, 5));
        let (text, cuts) = left(&["c", "d"]);
        assert_eq!(text, "{\n  \"a\": 1,\n  \"b\": {\"a\": 2}\n}\n");
        assert_eq!((original_line(&cuts, 3), original_line(&cuts, 4)), (3, 6));
        assert_eq!(left(&["a", "b", "c", "d"]).0, "{\n  \n}\n");
    }

    #[test]
    fn what_terraform_refuses_is_refused() {
        for (name, text) in [
            ("x.tfvars", "a {}\n"),
            ("x.tfvars", "a = 1\na = 2\n"),
            ("x.tfvars.json", "{\"a\": 1, \"\\u0061\": 2}"),
            ("x.tfvars.json", "[]"),
            ("x.tfvars.json", "a = 1"),
        ] {
            assert!(assignments(name, text.as_bytes()).is_err(), "{text}");
        }
    }
}
