//! Text with styles for terminals.
//!
//! A report sets the style of each part when it writes the part. Files, pipes and logs get the same
//! text without styles, so a style alone must not carry information.

use std::{fmt, ops::Range};

use anstyle::{AnsiColor, Style};

/// A heading.
pub const HEADING: Style = Style::new().bold();
/// An error.
pub const ERROR: Style = AnsiColor::Red.on_default();
/// A warning.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// Something added.
pub const ADDED: Style = AnsiColor::Green.on_default();
/// Something removed.
pub const REMOVED: Style = AnsiColor::Red.on_default();
/// Something that replaces something else.
pub const REPLACED: Style = AnsiColor::Yellow.on_default();
/// Something combined from several parts, or kept beside another.
pub const COMBINED: Style = AnsiColor::Cyan.on_default();
/// The position of a change in a file.
pub const POSITION: Style = AnsiColor::Cyan.on_default();

/// A text with styles for some of its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StyledText {
    text: String,
    /// Ranges of bytes in `text`, ascending and without overlap.
    spans: Vec<(Range<usize>, Style)>,
}

impl StyledText {
    /// Creates an empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds text without a style.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds text in a style.
    pub fn push_styled(&mut self, style: Style, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        if !text.is_empty() && style != Style::new() {
            self.spans.push((start..self.text.len(), style));
        }
    }

    /// Adds a line in a style, which does not include the line break.
    pub fn push_line(&mut self, style: Style, line: &str) {
        self.push_styled(style, line);
        self.text.push('\n');
    }

    /// Adds another text with its styles.
    pub fn append(&mut self, other: &Self) {
        let start = self.text.len();
        self.text.push_str(&other.text);
        let spans = other.spans.iter();
        self.spans
            .extend(spans.map(|(span, style)| (span.start + start..span.end + start, *style)));
    }

    /// Returns the text without styles.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the text without styles, by value.
    pub fn into_string(self) -> String {
        self.text
    }

    /// Replaces parts of the text (ranges of bytes, ascending and without overlap). Each new text has
    /// the style at the start of the part that it replaces.
    pub fn replace(&mut self, parts: &[(Range<usize>, String)]) {
        let mut text = String::with_capacity(self.text.len());
        let mut from = 0;
        for (part, new) in parts {
            text.push_str(&self.text[from..part.start]);
            text.push_str(new);
            from = part.end;
        }
        text.push_str(&self.text[from..]);
        // Converts a position in the old text to one in the new text. A position inside a replaced
        // part becomes the end of its replacement.
        let moved = |position: usize| {
            let (mut old, mut new) = (0, 0);
            for (part, replacement) in parts.iter().take_while(|(part, _)| part.start < position) {
                new += part.start - old + replacement.len();
                if position <= part.end {
                    return new;
                }
                old = part.end;
            }
            new + (position - old)
        };
        let spans = self.spans.iter();
        let spans = spans
            .map(|(span, style)| (moved(span.start)..moved(span.end), *style))
            .filter(|(span, _)| !span.is_empty())
            .collect();
        (self.text, self.spans) = (text, spans);
    }

    /// Returns the text with the escape sequences of its styles.
    pub fn to_ansi(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + 10 * self.spans.len());
        let mut from = 0;
        for (span, style) in &self.spans {
            out.push_str(&self.text[from..span.start]);
            out.push_str(&format!("{style}{}{style:#}", &self.text[span.clone()]));
            from = span.end;
        }
        out.push_str(&self.text[from..]);
        out
    }
}

/// Displays the text without styles.
impl fmt::Display for StyledText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for StyledText {
    fn from(text: String) -> Self {
        Self {
            text,
            spans: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> StyledText {
        let mut text = StyledText::new();
        text.push_line(HEADING, "head");
        text.push("a secret and ");
        text.push_styled(ADDED, "more secrets");
        text.push("\n");
        text
    }

    #[test]
    fn styles_do_not_change_the_text() {
        let text = sample();
        assert_eq!(text.as_str(), "head\na secret and more secrets\n");
        assert_eq!(
            text.to_ansi(),
            "\x1b[1mhead\x1b[0m\na secret and \x1b[32mmore secrets\x1b[0m\n"
        );
        let mut twice = StyledText::from("- ".to_owned());
        twice.append(&text);
        assert_eq!(
            twice.to_ansi(),
            "- \x1b[1mhead\x1b[0m\na secret and \x1b[32mmore secrets\x1b[0m\n"
        );
    }

    #[test]
    fn replaced_parts_keep_their_style_and_move_later_styles() {
        let mut text = sample();
        text.replace(&[(7..13, "*".to_owned()), (23..29, "***".to_owned())]);
        assert_eq!(
            text.to_ansi(),
            "\x1b[1mhead\x1b[0m\na * and \x1b[32mmore ***s\x1b[0m\n"
        );
        // The replaced part spans two styles.
        let mut text = sample();
        text.replace(&[(2..22, "[all]".to_owned())]);
        assert_eq!(text.to_ansi(), "\x1b[1mhe[all]\x1b[0m\x1b[32m secrets\x1b[0m\n");
        let mut text = sample();
        text.replace(&[(0..30, String::new())]);
        assert_eq!(text.to_ansi(), "\n");
    }
}
