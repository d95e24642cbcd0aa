//! Provides what Terraform's files share: parsing with places, and values that can be compared.

use std::{borrow::Cow, ops::Range};

use hcl_edit::{
    Span,
    expr::{Expression, ObjectKey},
    structure::{BlockLabel, Body, Structure},
};

use compose_yaml::{Lines, Scalar, Utf8};

use super::{
    comments::Comment,
    refusal::{Reason, Refusal},
    value::{ValueId, Values},
};

/// A parsed file.
pub(super) struct File<'t> {
    /// The text, with a line break at its end.
    pub text: Cow<'t, str>,
    pub bom: bool,
    pub body: Body,
    lines: Lines,
}

/// Parses a file.
pub(super) fn parse(bytes: &[u8]) -> Result<File<'_>, Refusal> {
    let Utf8 { text, bom } =
        compose_yaml::decode_utf8(bytes).map_err(|error| Refusal::unreadable(error, ""))?;
    let text = if text.is_empty() || text.ends_with('\n') {
        Cow::Borrowed(text)
    } else {
        format!("{text}\n").into()
    };
    let body = hcl_edit::parser::parse_body(&text).map_err(|error| {
        let place = (error.location().line(), error.location().column());
        Refusal::new(Reason::Hcl(error), place)
    })?;
    Ok(File {
        lines: Lines::of_line_feeds(&text),
        text,
        bom,
        body,
    })
}

impl File<'_> {
    /// Returns the refusal for a reason at a part of the file.
    pub(super) fn refuse(&self, reason: impl Into<Reason>, part: &impl Span) -> Refusal {
        match part.span() {
            Some(span) => Refusal::new(reason.into(), self.lines.line_column(&self.text, span.start)),
            None => reason.into().into(),
        }
    }

    /// Returns the line number of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.lines.line(at)
    }

    /// Returns the first byte of a byte's line.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.lines.start(at)
    }

    /// Returns the end of a byte's line, without its line break.
    pub(super) fn line_end(&self, at: usize) -> usize {
        self.lines.end(&self.text, at)
    }

    /// Returns all comments, including those in blocks and values, each with the variable or the block
    /// that it is in, behind or above.
    pub(super) fn all_comments(&self) -> Vec<Comment<'_>> {
        let mut owners = self.body.iter().filter_map(|part| {
            let end = self.line_end(part.span()?.end);
            let owner = match part {
                Structure::Attribute(attribute) => attribute.key.as_str().to_owned(),
                Structure::Block(block) => {
                    let labels = block.labels.iter().map(BlockLabel::as_str);
                    let names: Vec<_> = std::iter::once(block.ident.as_str()).chain(labels).collect();
                    names.join(" ")
                }
            };
            Some((end, owner))
        });
        let mut owner = owners.next();
        let mut all = Vec::new();
        for comment in comments(&self.text) {
            while owner.as_ref().is_some_and(|(end, _)| *end <= comment.start) {
                owner = owners.next();
            }
            all.push(Comment {
                line: self.line(comment.start),
                owner: owner.as_ref().map(|(_, owner)| owner.clone()).unwrap_or_default(),
                text: &self.text[comment],
            });
        }
        all
    }

    /// Returns the comment after a byte on its line.
    pub(super) fn comment_behind(&self, at: usize) -> Option<&str> {
        Some(self.text[at..self.line_end(at)].trim()).filter(|rest| rest.starts_with(['#', '/']))
    }

    /// Returns the comments and blank lines directly above a byte's line, back to the line that
    /// `after` ends on. Above the file's first definition, only the comments that no blank line
    /// separates from it are returned; the rest is the file's header.
    pub(super) fn lead(&self, at: usize, after: Option<usize>) -> &str {
        let end = self.line_start(at);
        let start = match after {
            Some(after) => self.lines.next_start(after).unwrap_or(end).min(end),
            None => {
                let above = &self.text[..end];
                let blank = above.rmatch_indices("\n\n").map(|(at, gap)| at + gap.len());
                let blank = blank
                    .chain(above.rmatch_indices("\n\r\n").map(|(at, gap)| at + gap.len()))
                    .max();
                blank.unwrap_or(0)
            }
        };
        self.text[start..end].trim_start_matches(['\r', '\n'])
    }

    /// Returns the file's line break.
    pub(super) fn line_break(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }
}

/// Returns the byte range of a part of a file.
pub(super) fn span(part: &impl Span) -> Result<Range<usize>, Refusal> {
    part.span().ok_or_else(|| Reason::UnknownPlace.into())
}

/// Returns the value of an expression: literals by value, objects without the order of their keys,
/// everything else by its text.
pub(super) fn value(expression: &Expression, values: &mut Values) -> ValueId {
    match expression {
        Expression::Null(_) => values.scalar(Scalar::Null),
        Expression::Bool(bool) => values.scalar(Scalar::Bool(**bool)),
        Expression::Number(number) => {
            // Terraform has a single number type.
            let text = number.value().to_string();
            let text = if text.contains(['.', 'e', 'E']) {
                text
            } else {
                format!("{text}.0")
            };
            values.number(&text)
        }
        Expression::String(string) => values.scalar(Scalar::String(string.as_str().into())),
        Expression::Array(array) => {
            let items = array.iter().map(|item| value(item, values)).collect();
            values.sequence(None, items)
        }
        Expression::Object(object) => {
            let entries = object.iter().map(|(key, it)| {
                let key = match key {
                    ObjectKey::Ident(ident) => values.scalar(Scalar::String(ident.as_str().into())),
                    ObjectKey::Expression(key) => value(key, values),
                };
                (key, value(it.expr(), values))
            });
            let entries = entries.collect::<Vec<_>>();
            values.map(None, entries)
        }
        other => {
            let mut other = other.clone();
            hcl_edit::Decorate::decor_mut(&mut other).clear();
            values.scalar(Scalar::Tagged("hcl".into(), other.to_string().into()))
        }
    }
}

/// Returns the byte ranges of all comments, with their markers, in text order. The HCL library must
/// have accepted the text.
fn comments(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    // For each open template (`"…${`, `%{`), the number of braces that are open in it.
    let mut templates: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        if rest.starts_with('#') || rest.starts_with("//") {
            let end = at + rest.find('\n').unwrap_or(rest.len());
            found.push(at..end);
            at = end;
        } else if rest.starts_with("/*") {
            let end = at + rest.find("*/").map_or(rest.len(), |end| end + 2);
            found.push(at..end);
            at = end;
        } else if let Some(end) = heredoc(rest) {
            at += end;
        } else if bytes[at] == b'"' {
            at = quoted(bytes, at + 1, &mut templates);
        } else if bytes[at] == b'}' && templates.last() == Some(&0) {
            templates.pop();
            at = quoted(bytes, at + 1, &mut templates);
        } else {
            match (bytes[at], templates.last_mut()) {
                (b'{', Some(open)) => *open += 1,
                (b'}', Some(open)) => *open -= 1,
                _ => {}
            }
            // Names may be in any script.
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// Returns the end of a quoted text, or of its part before a template. The template is then opened.
fn quoted(bytes: &[u8], mut at: usize, templates: &mut Vec<usize>) -> usize {
    loop {
        match bytes.get(at..) {
            None | Some([]) => return bytes.len(),
            Some([b'"', ..]) => return at + 1,
            Some([b'\\', ..]) => at += 2,
            Some([b'$', b'$', b'{', ..] | [b'%', b'%', b'{', ..]) => at += 3,
            Some([b'$' | b'%', b'{', ..]) => {
                templates.push(0);
                return at + 2;
            }
            Some(_) => at += 1,
        }
    }
}

/// Returns the length of a heredoc at the start of a text, including the line of its end marker.
fn heredoc(text: &str) -> Option<usize> {
    let mark = text.strip_prefix("<<")?;
    let (mark, body) = mark.strip_prefix('-').unwrap_or(mark).split_once('\n')?;
    let mark = mark.trim_end_matches('\r');
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if mark.is_empty() || !mark.chars().all(is_name) {
        return None;
    }
    let mut end = text.len() - body.len();
    for line in body.split_inclusive('\n') {
        end += line.len();
        if line.trim() == mark {
            break;
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_distinguished_from_texts_that_look_like_them() {
        let text = "# a\na = \"# no ${f(\"// no\", { x = 1 } /* b */)} // no\" // c\nb = <<-EOF\n  # no\n  EOF\nc = [ # d\n  1,\n]\n/* e\n e */\nd = \"$${ # no\" # f";
        let found: Vec<_> = comments(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["# a", "/* b */", "// c", "# d", "/* e\n e */", "# f"]);
    }

    #[test]
    fn names_of_any_script_are_read_over() {
        let text = "r\u{e9}gion = 1 # a\n\u{540d}\u{524d} = \"\u{e9}\" // b\ne\u{301}t\u{e9} = {}";
        assert!(text.parse::<hcl_edit::structure::Body>().is_ok());
        let found: Vec<_> = comments(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["# a", "// b"]);
    }
}
