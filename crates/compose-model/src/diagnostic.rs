//! A mistake, its place and its remedy.

use std::{ops::Range, sync::Arc};

/// A range of bytes in a config's text.
pub type Span = Range<usize>;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The run ends.
    Error,
    /// The run goes on.
    Warning,
}

/// Where in a text. The text is shared, so that a place can show its line without reading the file again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the user would name it: a path, or `repo @ tag : path` for a source's config.
    pub file: Arc<str>,
    /// The whole text of the file.
    pub text: Arc<str>,
    /// Bytes of `text`.
    pub span: Span,
}

impl Place {
    /// Line and column, both from 1; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let start = self.span.start.min(self.text.len());
        let before = &self.text[..self.text.floor_char_boundary_stable(start)];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        (line, column)
    }
}

trait FloorCharBoundary {
    fn floor_char_boundary_stable(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_stable(&self, at: usize) -> usize {
        (0..=at.min(self.len()))
            .rev()
            .find(|at| self.is_char_boundary(*at))
            .unwrap_or(0)
    }
}

/// One thing to tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where, when it has a place in a file.
    pub place: Option<Place>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            hint: None,
        }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// With its place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// With a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
