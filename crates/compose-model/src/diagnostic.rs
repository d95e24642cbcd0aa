//! Errors and warnings for the user: message, cause, exit code, place and hints.
//!
//! An error type that can end a run implements [`Cause`]: it knows the exit code and the hint. `?`
//! converts it into a [`Diagnostic`]; other diagnostics are constructed where the mistake is found.
//! No caller chooses an exit code for an error that it passes on.

use std::{error::Error, fmt, io, ops::Range, path::PathBuf, sync::Arc};

use crate::{ExitCode, StyledText};

/// A range of bytes in a config's text.
pub type Span = Range<usize>;

/// How severe a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The run ends.
    Error,
    /// The run continues.
    Warning,
}

/// A place in a file. It shares the file's text, so that its line can be shown without reading the
/// file again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name for the user: a path, or `repo @ tag : path` for a source's config.
    pub file: Arc<str>,
    /// The whole text of the file.
    pub text: Arc<str>,
    /// The range of bytes in `text`.
    pub span: Span,
}

impl Place {
    /// Returns the line and the column, both counted from 1; columns are characters.
    pub fn line_column(&self) -> (usize, usize) {
        let start = self.span.start.min(self.text.len());
        let before = &self.text[..self.text.floor_char_boundary_stable(start)];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        (line, column)
    }
}

trait FloorCharBoundary {
    /// Returns the last character boundary at or before `index`. The standard library's
    /// `floor_char_boundary` is newer than the oldest Rust that this workspace supports.
    fn floor_char_boundary_stable(&self, index: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_stable(&self, index: usize) -> usize {
        (0..=index.min(self.len()))
            .rev()
            .find(|index| self.is_char_boundary(*index))
            .unwrap_or(0)
    }
}

/// An error that knows the exit code of a run that it ends, and a remedy.
///
/// Both are properties of the error and do not depend on the caller. An error that wraps another
/// `Cause` returns the inner one's.
pub trait Cause: Error + Send + Sync + 'static {
    /// Returns the exit code of a run that this error ends.
    fn exit_code(&self) -> ExitCode;

    /// Returns a remedy for the user.
    fn hint(&self) -> Option<String> {
        None
    }
}

impl<C: Cause + ?Sized> Cause for Arc<C> {
    fn exit_code(&self) -> ExitCode {
        (**self).exit_code()
    }

    fn hint(&self) -> Option<String> {
        (**self).hint()
    }
}

/// An error while reading a file that the user named. A file that does not exist, or is not text, is
/// the user's mistake ([`ExitCode::Config`]); everything else (a directory in its place, permissions,
/// a broken disk, too many open files) is a failure of this machine ([`ExitCode::CannotWrite`]).
impl Cause for io::Error {
    fn exit_code(&self) -> ExitCode {
        match self.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput => ExitCode::Config,
            _ => ExitCode::CannotWrite,
        }
    }
}

/// A file of this machine that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl ReadError {
    /// Returns a function for `map_err` that adds the file's path.
    pub fn of(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self { path, source }
    }
}

impl Cause for ReadError {
    fn exit_code(&self) -> ExitCode {
        self.source.exit_code()
    }
}

/// The lines below a message that do not come from the error's chain of sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// No lines.
    #[default]
    None,
    /// The reasons.
    Reasons(Vec<String>),
    /// The layers in conflict, lowest first.
    Parties(Vec<String>),
    /// The chains of sources that request the failed source.
    AskedForBy(Vec<String>),
    /// The existing paths that prevent the operation.
    InTheWay(Vec<String>),
}

impl Background {
    fn label(&self) -> &'static str {
        match self {
            Self::None | Self::Reasons(_) => "caused by",
            Self::Parties(_) => "in",
            Self::AskedForBy(_) => "requested by",
            Self::InTheWay(_) => "there is",
        }
    }

    fn lines(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::Reasons(lines) | Self::Parties(lines) | Self::AskedForBy(lines) | Self::InTheWay(lines) => {
                lines
            }
        }
    }
}

/// An error or a warning.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// The exit code of a run that this ends; the cause's if there is one.
    pub code: ExitCode,
    /// The message: one sentence without a full stop.
    pub message: String,
    /// The error that this reports, or that caused it.
    source: Option<Arc<dyn Error + Send + Sync>>,
    /// Further lines below the message.
    pub background: Background,
    /// The place in a file, if there is one.
    pub place: Option<Place>,
    /// Alternative remedies.
    pub hints: Vec<String>,
    /// The part of the file, such as an entry of a list, of which the place is a detail. Mistakes
    /// of one part are shown to people as one message.
    pub within: Option<Span>,
    /// A text that people read in place of this diagnostic and of all others that share it.
    pub overview: Option<Arc<Overview>>,
}

/// A text that shows several diagnostics together. Programs read the diagnostics themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The message: one sentence without a full stop.
    pub message: String,
    /// The lines below the message.
    pub text: StyledText,
    /// Remedies for all of them.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// Creates an error that ends the run with this code.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            source: None,
            background: Background::None,
            place: None,
            hints: Vec::new(),
            within: None,
            overview: None,
        }
    }

    /// Creates an error about a config, or about something that it names.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Config, message)
    }

    /// Creates a warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::error(message).into_warning()
    }

    /// Creates an error with the exit code and the hint of `cause` but a different message. The
    /// message of `cause` becomes the first cause.
    pub fn because_of(message: impl Into<String>, cause: impl Cause) -> Self {
        let hint = cause.hint();
        let mut diagnostic = Self::new(cause.exit_code(), message).because(cause);
        diagnostic.hints.extend(hint);
        diagnostic
    }

    /// Turns this into a warning.
    #[must_use]
    pub fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Sets the error that caused this, and keeps the exit code.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Adds a reason that is not an error.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        match &mut self.background {
            Background::Reasons(reasons) => reasons.push(reason.into()),
            other => *other = Background::Reasons(vec![reason.into()]),
        }
        self
    }

    /// Sets the place.
    #[must_use]
    pub fn with_place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Sets the place unless there is one.
    #[must_use]
    pub fn or_place(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    /// Adds a hint after the existing ones.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Returns the underlying error; `None` if there is none or it has a different type.
    pub fn source<E: Error + 'static>(&self) -> Option<&E> {
        self.source.as_deref().and_then(|source| source.downcast_ref())
    }

    /// Returns the chain of causes below the message, outermost first. A cause is left out if the
    /// text before it ends with it, because many errors repeat their cause in their own message.
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = self.source.as_deref().map(|source| source as _);
        while let Some(cause) = next {
            let text = cause.to_string();
            let text = match cause.downcast_ref() {
                Some(error) => system_reason(error, text),
                None => text,
            };
            if !causes.last().unwrap_or(&self.message).ends_with(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }

    /// Returns the lines between the message and the hints, each with its label.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        let causes = self.causes().into_iter().map(|cause| ("caused by", cause));
        let label = self.background.label();
        let lines = self.background.lines().iter();
        causes.chain(lines.map(|line| (label, line.clone()))).collect()
    }
}

/// Returns the message of an I/O error without the name of a temporary file. `tempfile` appends it to
/// the system's reason, where it is of no use.
pub fn without_temporary_path(error: &io::Error) -> String {
    system_reason(error, error.to_string())
}

fn system_reason(error: &io::Error, mut text: String) -> String {
    if error.get_ref().is_some()
        && let Some(path) = text.rfind(" at path \"")
    {
        text.truncate(path);
    }
    text
}

/// Diagnostics are equal if they are displayed alike and end the run with the same code.
impl PartialEq for Diagnostic {
    fn eq(&self, other: &Self) -> bool {
        self.severity == other.severity
            && self.code == other.code
            && self.message == other.message
            && self.notes() == other.notes()
            && self.place == other.place
            && self.hints == other.hints
    }
}

impl Eq for Diagnostic {}

impl<C: Cause> From<C> for Diagnostic {
    fn from(cause: C) -> Self {
        Self::because_of(cause.to_string(), cause)
    }
}

/// All diagnostics of a failed run. A run reports every failing source, not just the first.
#[derive(Clone, Debug)]
pub struct Failure(Vec<Diagnostic>);

impl Failure {
    /// Returns a failure with these diagnostics; `None` if there are none.
    pub fn new(diagnostics: Vec<Diagnostic>) -> Option<Self> {
        (!diagnostics.is_empty()).then_some(Self(diagnostics))
    }

    /// Returns `Ok` if there are no diagnostics.
    pub fn check(diagnostics: Vec<Diagnostic>) -> Result<(), Self> {
        Self::new(diagnostics).map_or(Ok(()), Err)
    }

    /// Returns the diagnostics in the order in which they are reported.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0
    }

    /// Returns the diagnostics, to be reported together with others.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.0
    }

    /// Returns the exit code of a run that this ends.
    pub fn code(&self) -> ExitCode {
        ExitCode::most_telling(self.0.iter().map(|diagnostic| diagnostic.code)).unwrap_or(ExitCode::Bug)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<&str> = self.0.iter().map(|one| one.message.as_str()).collect();
        f.write_str(&messages.join("; "))
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self(diagnostics)
    }
}

impl<C: Cause> From<C> for Failure {
    fn from(cause: C) -> Self {
        Diagnostic::from(cause).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the lamp is off")]
    struct Off {
        source: io::Error,
    }

    impl Cause for Off {
        fn exit_code(&self) -> ExitCode {
            self.source.exit_code()
        }

        fn hint(&self) -> Option<String> {
            Some("switch it on".to_owned())
        }
    }

    fn off(kind: io::ErrorKind) -> Off {
        Off { source: kind.into() }
    }

    #[test]
    fn an_error_keeps_its_code_its_hint_and_its_type() {
        let diagnostic = Diagnostic::from(off(io::ErrorKind::PermissionDenied));
        assert_eq!(diagnostic.code, ExitCode::CannotWrite);
        assert_eq!(diagnostic.message, "the lamp is off");
        assert_eq!(diagnostic.causes(), ["permission denied"]);
        assert_eq!(diagnostic.hints, ["switch it on"]);
        assert!(diagnostic.source::<Off>().is_some());
        assert!(diagnostic.source::<io::Error>().is_none());

        let diagnostic = Diagnostic::because_of("it is dark", off(io::ErrorKind::NotFound));
        assert_eq!(diagnostic.code, ExitCode::Config);
        assert_eq!(diagnostic.causes(), ["the lamp is off", "entity not found"]);
    }

    #[test]
    fn the_name_of_a_temporary_file_is_left_out() {
        let text = "No such file or directory (os error 2) at path \"/a/.tmpX1y2\"";
        let error = io::Error::new(io::ErrorKind::NotFound, text);
        let diagnostic = Diagnostic::error("it is dark").because(error);
        assert_eq!(diagnostic.causes(), ["No such file or directory (os error 2)"]);
    }

    #[test]
    fn a_cause_that_is_passed_on_is_reported_once() {
        let wrapped = Arc::new(io::Error::other(off(io::ErrorKind::NotFound)));
        let diagnostic = Diagnostic::error("it is dark").because(wrapped);
        assert_eq!(diagnostic.causes(), ["the lamp is off", "entity not found"]);
    }
}
