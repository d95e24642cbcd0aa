//! What is wrong: the message, the cause, the exit code, the place and the remedies.
//!
//! An error type knows by itself how a run ends that it ends, and what to do about it: it is a [`Cause`]. A
//! [`Diagnostic`] is made from one with `?`, or written out where the mistake is found. No caller chooses a code for
//! an error that it passes on.

use std::{error::Error, fmt, io, ops::Range, path::PathBuf, sync::Arc};

use crate::ExitCode;

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

/// An error that knows the exit code of the run that it ends, and its remedy.
///
/// Both are properties of the error, wherever it is met. An error that wraps another one passes on what that one says.
pub trait Cause: Error + Send + Sync + 'static {
    /// The exit code of a run that this error ends.
    fn exit_code(&self) -> ExitCode;

    /// What to do about it.
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

/// An error of reading what somebody named. A file that is not there, or is not text, is a mistake in what was named
/// ([`ExitCode::Config`]); everything else (permissions, a broken disk, too many open files) is this machine's
/// ([`ExitCode::CannotWrite`]).
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
    /// For `map_err`: says which file could not be read.
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

/// Lines below a message that no error's chain of sources holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// None.
    #[default]
    None,
    /// Why it is so.
    Reasons(Vec<String>),
    /// The parties of a conflict, lowest first.
    Parties(Vec<String>),
    /// The chains of sources that ask for what failed.
    AskedForBy(Vec<String>),
    /// Paths that are in the way.
    InTheWay(Vec<String>),
}

impl Background {
    fn label(&self) -> &'static str {
        match self {
            Self::None | Self::Reasons(_) => "caused by",
            Self::Parties(_) => "in",
            Self::AskedForBy(_) => "asked for by",
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

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The exit code of a run that this ends. It is the cause's where there is one.
    pub code: ExitCode,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The error that it is about, or that caused it.
    source: Option<Arc<dyn Error + Send + Sync>>,
    /// What else stands below the message.
    pub background: Background,
    /// Where, when it has a place in a file.
    pub place: Option<Place>,
    /// What to do about it: any one of these.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// An error that ends the run with this code.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            source: None,
            background: Background::None,
            place: None,
            hints: Vec::new(),
        }
    }

    /// A mistake in a config, or in what it names.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Config, message)
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::error(message).into_warning()
    }

    /// A message of its own for an error, whose code and hint it keeps. The error's own message is the first cause.
    pub fn because_of(message: impl Into<String>, cause: impl Cause) -> Self {
        let hint = cause.hint();
        let mut diagnostic = Self::new(cause.exit_code(), message).because(cause);
        diagnostic.hints.extend(hint);
        diagnostic
    }

    /// The same as a warning.
    #[must_use]
    pub fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// With the error that caused it, for causes that have no say in the code.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// With a reason that is no error.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        match &mut self.background {
            Background::Reasons(reasons) => reasons.push(reason.into()),
            other => *other = Background::Reasons(vec![reason.into()]),
        }
        self
    }

    /// With its place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// With this place, unless it has one.
    #[must_use]
    pub fn or_at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    /// With a remedy, after those that it has.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The error behind it, of the type that it had; `None`: there is none, or it has another type.
    pub fn source<E: Error + 'static>(&self) -> Option<&E> {
        self.source.as_deref().and_then(|source| source.downcast_ref())
    }

    /// The chain of causes below the message, outermost first. Many libraries repeat their cause in their own message:
    /// what was said is not said again.
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = self.source.as_deref().map(|source| source as _);
        while let Some(cause) = next {
            let text = cause.to_string();
            if text != *causes.last().unwrap_or(&self.message) {
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }

    /// Everything between the message and the hints, each line with the word that it is shown under.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        let causes = self.causes().into_iter().map(|cause| ("caused by", cause));
        let label = self.background.label();
        let lines = self.background.lines().iter();
        causes.chain(lines.map(|line| (label, line.clone()))).collect()
    }
}

/// Diagnostics are equal when they read the same and end the run in the same way.
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

/// All that is wrong: a run reports every failing source, not just the first.
#[derive(Clone, Debug)]
pub struct Failure(Vec<Diagnostic>);

impl Failure {
    /// `None` when there is nothing wrong.
    pub fn new(diagnostics: Vec<Diagnostic>) -> Option<Self> {
        (!diagnostics.is_empty()).then_some(Self(diagnostics))
    }

    /// `Ok` when there is nothing wrong.
    pub fn check(diagnostics: Vec<Diagnostic>) -> Result<(), Self> {
        Self::new(diagnostics).map_or(Ok(()), Err)
    }

    /// What is wrong, in the order in which it is reported.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0
    }

    /// What is wrong, to be reported with more.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.0
    }

    /// The code of a run that this ends.
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
    fn what_is_only_passed_on_is_said_once() {
        let wrapped = Arc::new(io::Error::other(off(io::ErrorKind::NotFound)));
        let diagnostic = Diagnostic::error("it is dark").because(wrapped);
        assert_eq!(diagnostic.causes(), ["the lamp is off", "entity not found"]);
    }
}
