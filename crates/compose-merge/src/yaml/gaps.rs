//! Reads the text between saphyr's events: indicators, comments, tags and anchors, and the real end of a scalar.

use std::ops::Range;

use super::{OpenMap, YamlBuilder};
use crate::tree::Style;

/// The position of a node.
pub(super) struct Position {
    pub(super) lead: usize,
    pub(super) parent_indent: isize,
    pub(super) in_sequence: bool,
    pub(super) in_flow: bool,
    pub(super) key: bool,
    /// Is it a key that is written with `?`?
    pub(super) explicit: bool,
    /// Is there a colon before the value?
    pub(super) colon: bool,
}

impl YamlBuilder<'_> {
    pub(super) fn byte(&self, char: usize) -> usize {
        if self.bytes.is_empty() {
            char.min(self.text.len())
        } else {
            *self.bytes.get(char).unwrap_or(&self.text.len())
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Does a word end at this distance?
    pub(super) fn blank(&self, distance: usize) -> bool {
        self.text
            .as_bytes()
            .get(self.at + distance)
            .is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
    }

    pub(super) fn column(&self, at: usize) -> usize {
        let line = self.line_starts[self.line_starts.partition_point(|start| *start <= at) - 1];
        self.text[line..at].chars().count()
    }

    pub(super) fn line_indent(&self, at: usize) -> usize {
        let line = self.line_starts[self.line_starts.partition_point(|start| *start <= at) - 1];
        self.text[line..].bytes().take_while(|byte| *byte == b' ').count()
    }

    pub(super) fn lost(&self) -> String {
        let line = self.line_starts.partition_point(|start| *start <= self.at);
        format!("line {line}: YAML that is written in an unusual way")
    }

    pub(super) fn expect(&mut self, sign: u8) -> Result<(), String> {
        if self.peek() != Some(sign) {
            return Err(self.lost());
        }
        self.at += 1;
        Ok(())
    }

    /// Skips blanks, line breaks and comments.
    pub(super) fn trivia(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'#' => {
                    let rest = &bytes[self.at..];
                    let mut end = self.at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                    if bytes[end - 1] == b'\r' {
                        end -= 1;
                    }
                    self.comments.push(self.at..end);
                    self.at = end;
                }
                _ => break,
            }
        }
    }

    /// Skips blanks, comments and commas.
    pub(super) fn separators(&mut self) {
        self.trivia();
        while self.peek() == Some(b',') {
            self.at += 1;
            self.trivia();
        }
    }

    pub(super) fn directives(&mut self, explicit: bool) -> Result<(), String> {
        let start = self.at;
        self.trivia();
        while explicit && self.peek() == Some(b'%') {
            if self.text[self.at..].starts_with("%TAG") {
                return Err("a %TAG directive".to_owned());
            }
            let rest = &self.text[self.at..];
            self.at += rest.find('\n').unwrap_or(rest.len());
            self.trivia();
        }
        if !explicit {
            self.comments.clear();
            self.at = start;
            return Ok(());
        }
        if !self.text[self.at..].starts_with("---") {
            return Err(self.lost());
        }
        self.at += 3;
        Ok(())
    }

    /// Skips the indicators before a node.
    pub(super) fn place(&mut self) -> Result<Position, String> {
        let start = self.at;
        let Some(frame) = self.frames.last() else {
            return Ok(Position {
                lead: start,
                parent_indent: -1,
                in_sequence: false,
                in_flow: false,
                key: false,
                explicit: false,
                colon: false,
            });
        };
        let in_flow = frame.flow;
        let mut position = Position {
            lead: start,
            parent_indent: frame.indent as isize,
            in_sequence: frame.map.is_none(),
            in_flow,
            key: frame.map.as_ref().is_some_and(|map| map.key.is_none()),
            explicit: false,
            colon: false,
        };
        match &frame.map {
            None if in_flow => self.separators(),
            None => {
                self.trivia();
                self.expect(b'-')?;
            }
            Some(OpenMap { key: None, .. }) => {
                if in_flow {
                    self.separators();
                } else {
                    self.trivia();
                }
                if self.peek() == Some(b'?') && self.blank(1) {
                    self.at += 1;
                    position.explicit = true;
                }
            }
            Some(OpenMap { key: Some(_), .. }) => {
                let comments = self.comments.len();
                self.trivia();
                if self.peek() == Some(b':') {
                    self.at += 1;
                    position.colon = true;
                } else {
                    self.at = start;
                    self.comments.truncate(comments);
                }
            }
        }
        position.lead = self.at;
        Ok(position)
    }

    /// Reads as many properties as the event has. Returns the start of the node and its anchor.
    pub(super) fn properties(
        &mut self,
        anchor: bool,
        tag: bool,
        in_flow: bool,
    ) -> Result<(usize, Option<Range<usize>>), String> {
        let mut start = None;
        let mut found = None;
        for _ in 0..usize::from(anchor) + usize::from(tag) {
            self.trivia();
            let from = self.at;
            start.get_or_insert(from);
            let word = self.text[from..].find(|c: char| {
                matches!(c, ' ' | '\t' | '\r' | '\n') || in_flow && matches!(c, ',' | '[' | ']' | '{' | '}')
            });
            let mut length = word.unwrap_or(self.text.len() - from);
            match self.peek() {
                Some(b'&') if anchor && found.is_none() => found = Some(from..from + length),
                Some(b'!') if tag => {
                    if self.text[from..].starts_with("!<") {
                        length = self.text[from..].find('>').ok_or_else(|| self.lost())? + 1;
                    } else {
                        // In PyYAML `,` and brackets are part of a tag, in YAML 1.2 they end it.
                        let whole = self.text[from..]
                            .split_ascii_whitespace()
                            .next()
                            .unwrap_or_default();
                        if whole.contains([',', '[', ']', '{', '}']) {
                            return Err(self.lost());
                        }
                    }
                }
                _ => return Err(self.lost()),
            }
            self.at += length;
        }
        Ok((start.unwrap_or(self.at), found))
    }

    /// Does the header of a block scalar have a `+`?
    pub(super) fn header_keeps(&self) -> Result<bool, String> {
        let rest = &self.text[self.at..];
        if !rest.starts_with(['|', '>']) {
            return Err(self.lost());
        }
        Ok(rest
            .bytes()
            .skip(1)
            .take_while(|byte| !byte.is_ascii_whitespace())
            .any(|byte| byte == b'+'))
    }

    /// Records the comment behind the header of a block scalar, which is part of the scalar's text.
    pub(super) fn header_comment(&mut self) {
        let header = self.text[self.at..].lines().next().unwrap_or_default();
        if let Some(comment) = header.find('#') {
            self.comments.push(self.at + comment..self.at + header.len());
        }
    }

    /// The real end of a scalar that starts at `start`; `end` is saphyr's.
    pub(super) fn scalar_end(&self, start: usize, end: usize, style: Style) -> Result<usize, String> {
        let text = self
            .text
            .get(start..end)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.lost())?;
        match style {
            Style::Plain => Ok(start + text.trim_end_matches([' ', '\t', '\r', '\n']).len()),
            // saphyr includes the blanks and the comment behind the quote.
            Style::Quoted => quoted_length(text.as_bytes())
                .map(|length| start + length)
                .ok_or_else(|| self.lost()),
            Style::Block { keep } => {
                // saphyr's end is before the next token, somewhere in its line.
                let line = self.line_starts[self.line_starts.partition_point(|start| *start <= end) - 1];
                let whole = if line > start && self.text[line..end].bytes().all(|byte| byte == b' ') {
                    line
                } else {
                    end
                };
                let text = &self.text[start..whole];
                let text = if keep {
                    text.strip_suffix('\n').unwrap_or(text)
                } else {
                    text.trim_end_matches(['\r', '\n'])
                };
                Ok(start + text.strip_suffix('\r').unwrap_or(text).len())
            }
        }
    }
}

/// The length of a quoted scalar.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let quote = *text.first().filter(|quote| matches!(quote, b'"' | b'\''))?;
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'\\' if quote == b'"' => at += 2,
            sign if *sign == quote && quote == b'\'' && text.get(at + 1) == Some(&quote) => at += 2,
            sign if *sign == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}
