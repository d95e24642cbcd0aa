//! Moves pieces of text: their indentation, and the comments that belong to an entry.

use std::ops::Range;

use compose_yaml::Edit;

use super::tree::{Map, MapEntry, NodeId, Tree};

/// Moves all lines but the first by `delta` columns.
///
/// The text moves as a whole, so relative indentation (nesting, block scalars with and without an
/// explicit indentation) keeps its meaning. Lines that are further left than `floor`, the column of
/// their owner, are moved beyond it; continuations in quotes and brackets may be that far left.
/// Comments move as far as they can.
pub(super) fn shift(text: &str, delta: isize, floor: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if index > 0 {
            out.push('\n');
        }
        let spaces = line.bytes().take_while(|byte| *byte == b' ').count();
        let rest = &line[spaces..];
        if index == 0 || line.is_empty() {
            out.push_str(line);
            continue;
        }
        let moved = spaces.saturating_add_signed(delta);
        let hangs = moved < floor && !rest.is_empty() && !rest.starts_with('#');
        let moved = if hangs { floor + 1 } else { moved };
        out.extend(std::iter::repeat_n(' ', moved));
        out.push_str(rest);
    }
    out
}

/// Moves comments at the start of a text that are further right than `indent` to that column. After
/// a block scalar they would become part of it.
pub(super) fn pull_comments(text: &str, indent: usize) -> String {
    let mut leading = true;
    let line = |line: &str| {
        let rest = line.trim_start_matches(' ');
        leading &= rest.starts_with('#') || rest.trim().is_empty();
        match leading && rest.starts_with('#') && line.len() - rest.len() > indent {
            true => format!("{}{rest}", spaces(indent)),
            false => line.to_owned(),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Returns `count` spaces.
pub(super) fn spaces(count: usize) -> String {
    " ".repeat(count)
}

/// Returns the lines of a text without indentation and without blank lines at both ends, for
/// comparing comments.
fn bare_lines(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let first = lines
        .iter()
        .position(|line| !line.is_empty())
        .unwrap_or(lines.len());
    let last = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(first, |last| last + 1);
    lines[first..last].to_vec()
}

/// Returns whether a text already contains a comment.
pub(super) fn contains_comment(text: &str, comment: &str) -> bool {
    let (all, sought) = (bare_lines(text), bare_lines(comment));
    sought.is_empty() || all.windows(sought.len()).any(|lines| lines == sought)
}

impl Tree<'_> {
    /// Returns the comment after a node on its last line.
    pub(super) fn comment_behind(&self, node: NodeId) -> Option<Range<usize>> {
        let end = self.nodes[node].end;
        self.comment_at(end..self.line_end(end))
    }

    /// Returns the comment on the line of an entry's key in a block mapping, or after its value.
    pub(super) fn entry_comment(&self, entry: MapEntry) -> Option<Range<usize>> {
        if self.is_block(entry.value) {
            return self.comment_at(entry.colon_end..self.line_end(entry.colon_end));
        }
        self.comment_behind(entry.value)
    }

    fn comment_at(&self, rest: Range<usize>) -> Option<Range<usize>> {
        self.comments_in(&rest).first().cloned()
    }

    /// Returns the edit that removes an anchor.
    pub(super) fn without_anchor(&self, anchor: Range<usize>) -> Edit {
        let blank = |text: &str| text.len() - text.trim_start_matches(' ').len();
        let end = anchor.end + blank(&self.text[anchor.end..self.line_end(anchor.end)]);
        // If nothing follows the anchor on its line, the blank before it is removed as well.
        let before = if end == self.line_end(end) {
            &self.text[self.line_start(anchor.start)..anchor.start]
        } else {
            ""
        };
        let start = anchor.start - (before.len() - before.trim_end_matches(' ').len());
        Edit {
            range: start..end,
            text: String::new(),
        }
    }

    /// Returns whether the node is a collection without brackets.
    pub(super) fn is_block(&self, node: NodeId) -> bool {
        self.nodes[node].is_block()
    }

    /// Returns the end of the lines that belong to an entry of a block mapping, including the
    /// comments after it that are indented deeper than its key. The last line break is not
    /// included.
    pub(super) fn tail_end(&self, map: &Map, entry: MapEntry) -> usize {
        self.comments_behind(self.line_end(self.nodes[entry.value].end), map.indent + 1)
    }

    /// Returns the place for new entries of a block mapping: after the last entry and the comments
    /// at the mapping's own depth.
    pub(super) fn map_end(&self, map: &Map) -> usize {
        map.entries.last().map_or(0, |last| {
            self.comments_behind(self.line_end(self.nodes[last.value].end), map.indent)
        })
    }

    /// Returns the end of the last comment after a line that is indented by at least `indent`.
    /// Blank lines are skipped.
    pub(super) fn comments_behind(&self, line_end: usize, indent: usize) -> usize {
        let mut end = line_end;
        for start in self.lines.starts_behind(line_end) {
            let line_end = self.line_end(*start);
            let line = &self.text[*start..line_end];
            let rest = line.trim_start_matches([' ', '\t']);
            if rest.starts_with('#') && line.len() - rest.len() >= indent {
                end = line_end;
            } else if !rest.is_empty() {
                break;
            }
        }
        end
    }

    /// Returns the start of the lines that belong to an entry, including the blank lines and
    /// comments before it. It is the key's own start if something else precedes the key on its line
    /// (`- key: value`).
    pub(super) fn lead_start(&self, node: NodeId, index: usize) -> usize {
        let Some(map) = self.map(node) else { return 0 };
        let key = self.nodes[map.entries[index].key].start;
        if !self.starts_line(key) {
            return key;
        }
        let before = match index.checked_sub(1) {
            Some(previous) => self.tail_end(map, map.entries[previous]),
            None if node == 0 => return self.header_end().min(self.line_start(key)),
            None => self.nodes[node].lead,
        };
        let next_line = self.lines.next_start(before).unwrap_or(self.text.len());
        next_line.min(self.line_start(key))
    }

    /// Returns the end of the blank lines after the end of a line.
    pub(super) fn blank_end(&self, line_end: usize) -> usize {
        let next = self.lines.starts_behind(line_end).iter();
        let blank = next.map(|start| (*start, self.line_end(*start)));
        let blank = blank
            .take_while(|(start, end)| *start < self.text.len() && self.text[*start..*end].trim().is_empty());
        blank.last().map_or(line_end, |(_, end)| end)
    }

    /// Returns the end of the file's header: the comments at its top that a blank line separates
    /// from the first key.
    pub(super) fn header_end(&self) -> usize {
        let Some(map) = self.map(0) else { return self.body };
        let Some(first) = map.entries.first() else {
            return self.body;
        };
        let line = self.line_start(self.nodes[first.key].start).max(self.body);
        let mut end = self.header_start().min(line);
        for start in self.lines.starts_from(end) {
            if *start >= line {
                break;
            }
            if *start >= end && self.text[*start..self.line_end(*start)].trim().is_empty() {
                end = self.lines.next_start(*start).unwrap_or(line).min(line);
            }
        }
        end
    }

    /// Returns the start of the first line after `---`, or the start of the file.
    pub(super) fn header_start(&self) -> usize {
        if self.body == 0 {
            0
        } else {
            self.lines.next_start(self.body).unwrap_or(self.body)
        }
    }
}
