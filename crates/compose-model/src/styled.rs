//! Text with styles, for whoever looks at a terminal.
//!
//! A report says which part of it has which style when it writes that part. The same text without styles goes to files,
//! pipes and logs, so that nothing may be said by a style alone.

use std::{fmt, ops::Range};

use anstyle::{AnsiColor, Style};

/// The head of a part.
pub const HEADING: Style = Style::new().bold();
/// What is wrong.
pub const ERROR: Style = AnsiColor::Red.on_default();
/// What deserves a look.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// What comes in.
pub const ADDED: Style = AnsiColor::Green.on_default();
/// What goes.
pub const REMOVED: Style = AnsiColor::Red.on_default();
/// What takes another's place.
pub const REPLACED: Style = AnsiColor::Yellow.on_default();
/// What is made of several, or stands beside another.
pub const COMBINED: Style = AnsiColor::Cyan.on_default();
/// Where in a file a change is.
pub const POSITION: Style = AnsiColor::Cyan.on_default();

/// A text, parts of which have a style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StyledText {
    text: String,
    /// Bytes of `text`, ascending, without overlap.
    spans: Vec<(Range<usize>, Style)>,
}

impl StyledText {
    /// Nothing yet.
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

    /// Adds a line in a style; its end has none.
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

    /// The text without styles.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same, by value.
    pub fn into_string(self) -> String {
        self.text
    }

    /// Puts other texts in place of these parts (bytes, ascending, without overlap). They have the style of what was at
    /// their start.
    pub fn replace(&mut self, parts: &[(Range<usize>, String)]) {
        let mut text = String::with_capacity(self.text.len());
        let mut from = 0;
        for (part, new) in parts {
            text.push_str(&self.text[from..part.start]);
            text.push_str(new);
            from = part.end;
        }
        text.push_str(&self.text[from..]);
        // Where a position of the old text is in the new one: within a part at the end of what replaced it.
        let moved = |at: usize| {
            let (mut old, mut new) = (0, 0);
            for (part, with) in parts.iter().take_while(|(part, _)| part.start < at) {
                new += part.start - old + with.len();
                if at <= part.end {
                    return new;
                }
                old = part.end;
            }
            new + (at - old)
        };
        let spans = self.spans.iter();
        let spans = spans
            .map(|(span, style)| (moved(span.start)..moved(span.end), *style))
            .filter(|(span, _)| !span.is_empty())
            .collect();
        (self.text, self.spans) = (text, spans);
    }

    /// The text with the escape sequences of its styles.
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

/// The text without styles.
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
    fn styles_change_no_text() {
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
    fn replaced_parts_keep_their_style_and_move_what_follows() {
        let mut text = sample();
        text.replace(&[(7..13, "*".to_owned()), (23..29, "***".to_owned())]);
        assert_eq!(
            text.to_ansi(),
            "\x1b[1mhead\x1b[0m\na * and \x1b[32mmore ***s\x1b[0m\n"
        );
        // From one style into the next.
        let mut text = sample();
        text.replace(&[(2..22, "[all]".to_owned())]);
        assert_eq!(text.to_ansi(), "\x1b[1mhe[all]\x1b[0m\x1b[32m secrets\x1b[0m\n");
        let mut text = sample();
        text.replace(&[(0..30, String::new())]);
        assert_eq!(text.to_ansi(), "\n");
    }
}
