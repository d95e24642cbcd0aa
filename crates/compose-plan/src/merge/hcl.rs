//! What Terraform's files have in common: parsing with places, and values that can be compared.

use std::borrow::Cow;

use hcl_edit::{
    Span,
    expr::{Expression, ObjectKey},
    structure::Body,
};

use super::{
    scalar::{Scalar, json_number},
    tree::{MAX_BYTES, line_starts},
    value::{ValueId, Values},
};

/// A parsed file.
pub(super) struct File<'t> {
    /// With a line break at its end.
    pub text: Cow<'t, str>,
    pub bom: bool,
    pub body: Body,
    line_starts: Vec<usize>,
}

/// Parses a file; the error is the reason of an [`Unmergeable`](super::Unmergeable).
pub(super) fn parse(bytes: &[u8]) -> Result<File<'_>, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("larger than {} MiB", MAX_BYTES >> 20));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    let (text, bom) = text
        .strip_prefix('\u{feff}')
        .map_or((text, false), |rest| (rest, true));
    let text = if text.is_empty() || text.ends_with('\n') {
        Cow::Borrowed(text)
    } else {
        format!("{text}\n").into()
    };
    let body = hcl_edit::parser::parse_body(&text).map_err(|error| {
        let at = error.location();
        format!(
            "not valid HCL: line {}, column {}: {}",
            at.line(),
            at.column(),
            error.message()
        )
    })?;
    let line_starts = line_starts(&text);
    Ok(File {
        text,
        bom,
        body,
        line_starts,
    })
}

impl File<'_> {
    /// The line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    /// The first byte of a byte's line.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.line_starts[self.line(at) - 1]
    }

    /// The end of a byte's line, without its break.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = &self.text[at..];
        let end = at + rest.find('\n').unwrap_or(rest.len());
        if end > at && self.text.as_bytes()[end - 1] == b'\r' {
            end - 1
        } else {
            end
        }
    }

    /// The comment behind a byte on its line.
    pub(super) fn comment_behind(&self, at: usize) -> Option<&str> {
        Some(self.text[at..self.line_end(at)].trim()).filter(|rest| rest.starts_with(['#', '/']))
    }

    /// Comments and blank lines directly above a byte's line, down to the line `after` ends on. Of those above the
    /// file's first definition only what no blank line sets off: the rest is the file's header.
    pub(super) fn lead(&self, at: usize, after: Option<usize>) -> &str {
        let end = self.line_start(at);
        let start = match after {
            Some(after) => self
                .line_starts
                .get(self.line(after))
                .copied()
                .unwrap_or(end)
                .min(end),
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

    /// The file's line break.
    pub(super) fn line_break(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }
}

/// The bytes of a part of a file.
pub(super) fn span(part: &impl Span) -> Result<std::ops::Range<usize>, String> {
    part.span()
        .ok_or_else(|| "HCL that is written in an unusual way".to_owned())
}

/// What an expression is worth: literals by value, objects without the order of their keys, the rest by its text.
pub(super) fn value(expression: &Expression, values: &mut Values) -> ValueId {
    match expression {
        Expression::Null(_) => values.scalar(Scalar::Null),
        Expression::Bool(bool) => values.scalar(Scalar::Bool(**bool)),
        Expression::Number(number) => {
            // Terraform has one type of number.
            let text = number.value().to_string();
            let text = if text.contains(['.', 'e', 'E']) {
                text
            } else {
                format!("{text}.0")
            };
            values.scalar(json_number(&text))
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
