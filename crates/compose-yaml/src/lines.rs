//! The lines of a text, and replacements of text.

use std::ops::Range;

/// The lines of a text.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The first byte of each line.
    starts: Vec<usize>,
}

impl Lines {
    /// Finds the lines that end with `\n` or `\r\n`, as in JSON and HCL. An empty text is one empty
    /// line.
    pub fn of_line_feeds(text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            starts: std::iter::once(0).chain(starts).collect(),
        }
    }

    /// Finds the lines of YAML 1.1, which end with `\n`, `\r\n`, `\r`, U+0085, U+2028 or U+2029.
    pub fn new(text: &str) -> Self {
        let mut starts = vec![0];
        let mut characters = text.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let is_break = match c {
                '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => true,
                '\r' => characters.peek().is_none_or(|(_, next)| *next != '\n'),
                _ => false,
            };
            if is_break {
                starts.push(at + c.len_utf8());
            }
        }
        Self { starts }
    }

    /// Returns the line of a byte, counted from 1.
    pub fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// Returns the line and the column of a byte, both from 1. The column counts characters. `text`
    /// is the text that these lines belong to.
    pub fn line_column(&self, text: &str, at: usize) -> (usize, usize) {
        (self.line(at), text[self.start(at)..at].chars().count() + 1)
    }

    /// Returns the byte at a line and a column, both from 1. This is the inverse of
    /// [`line_column`](Self::line_column). A column beyond the end of the line yields the end of
    /// the line.
    pub fn at_line_column(&self, text: &str, line: usize, column: usize) -> usize {
        let Some(start) = self.starts.get(line - 1) else {
            return text.len();
        };
        let end = self.end(text, *start);
        let mut characters = text[*start..end].char_indices();
        characters.nth(column - 1).map_or(end, |(at, _)| start + at)
    }

    /// Returns the first byte of the line of a byte.
    pub fn start(&self, at: usize) -> usize {
        self.starts[self.line(at) - 1]
    }

    /// Returns the first byte of the line after that of a byte, or `None` on the last line.
    pub fn next_start(&self, at: usize) -> Option<usize> {
        self.starts.get(self.line(at)).copied()
    }

    /// Returns the end of the line of a byte, without its line break. `text` is the text that these
    /// lines belong to.
    pub fn end(&self, text: &str, at: usize) -> usize {
        let Some(next) = self.next_start(at) else {
            return text.len();
        };
        let line = &text[..next];
        let end = line.strip_suffix("\r\n").map_or_else(
            || next - line.chars().next_back().map_or(0, char::len_utf8),
            str::len,
        );
        // A byte between `\r` and `\n` is after the end.
        end.max(self.start(at))
    }

    /// Returns the starts of the lines after that of a byte.
    pub fn starts_behind(&self, at: usize) -> &[usize] {
        &self.starts[self.line(at)..]
    }

    /// Returns the starts of the line of a byte and of all lines after it.
    pub fn starts_from(&self, at: usize) -> &[usize] {
        &self.starts[self.line(at) - 1..]
    }
}

/// Returns the blanks at the start of a line.
pub fn leading(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Returns the line break for a text: that of Windows if the text contains any.
pub fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// A replacement for a range of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that are replaced; empty for an insertion.
    pub range: Range<usize>,
    /// The text that replaces them.
    pub text: String,
}

impl Edit {
    /// Returns an edit that inserts a text.
    pub fn insert(at: usize, text: String) -> Self {
        Self { range: at..at, text }
    }
}

/// Applies edits to a region of a text. Edits outside of the region are ignored. If two overlap,
/// the outer one, which starts first, is applied.
pub fn apply(text: &str, region: Range<usize>, mut edits: Vec<Edit>) -> String {
    // The sort is stable, so insertions in the same place stay in order. An insertion precedes a
    // replacement of the bytes after it.
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut out = String::with_capacity(region.len());
    let mut at = region.start;
    for edit in edits {
        if edit.range.start >= at && edit.range.end <= region.end {
            out.push_str(&text[at..edit.range.start]);
            out.push_str(&edit.text);
            at = edit.range.end;
        }
    }
    out.push_str(&text[at..region.end]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_break_of_yaml_1_1_ends_a_line() {
        let text = "a\nb\r\nc\rd\u{85}e\u{2028}f\u{2029}g";
        let lines = Lines::new(text);
        for (index, (at, c)) in text
            .char_indices()
            .filter(|(_, c)| c.is_ascii_lowercase())
            .enumerate()
        {
            assert_eq!(lines.line(at), index + 1, "{c}");
            assert_eq!(lines.start(at), at);
            assert_eq!(lines.end(text, at), at + 1, "{c}");
        }
        assert_eq!(lines.next_start(0), Some(2));
        assert_eq!(lines.next_start(text.len()), None);
        assert_eq!(Lines::new("").end("", 0), 0);
        let text = "ä: b\n日x";
        let lines = Lines::new(text);
        for (at, _) in text.char_indices() {
            let (line, column) = lines.line_column(text, at);
            assert_eq!(lines.at_line_column(text, line, column), at);
        }
        assert_eq!(lines.at_line_column(text, 1, 99), 5);
        assert_eq!(lines.at_line_column(text, 9, 1), text.len());
    }
}
