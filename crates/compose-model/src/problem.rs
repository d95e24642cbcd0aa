//! What ends a run, in the form that a person reads at 3 a.m.: what, why, where, what to do.

use std::error::Error as StdError;

use crate::{Diagnostic, ExitCode, Place, Severity};

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What `causes` are: a chain, or the sides of a conflict.
    pub causes_are: &'static str,
    /// Its causes, outermost first.
    pub causes: Vec<String>,
    /// Where, when it has a place in a file.
    pub place: Option<Place>,
    /// What to do: any one of these.
    pub hints: Vec<String>,
    /// The exit code of a run that it ends.
    pub code: ExitCode,
}

impl Problem {
    /// An error.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            causes_are: "caused by",
            causes: Vec::new(),
            place: None,
            hints: Vec::new(),
            code,
        }
    }

    /// An error with its chain of causes.
    pub fn from_error(code: ExitCode, error: &dyn StdError) -> Self {
        let mut problem = Self::new(code, error.to_string());
        let mut next = error.source();
        while let Some(cause) = next {
            problem.causes.push(cause.to_string());
            next = cause.source();
        }
        // Many libraries repeat their cause in their own message.
        problem.causes.dedup();
        problem
    }

    /// With a cause, after those that it has.
    #[must_use]
    pub fn because(mut self, cause: impl ToString) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// With a remedy, after those that it has.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With its place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

impl From<Diagnostic> for Problem {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            severity: diagnostic.severity,
            place: diagnostic.place,
            hints: diagnostic.hint.into_iter().collect(),
            ..Self::new(ExitCode::Config, diagnostic.message)
        }
    }
}

/// All that is wrong: a run tells every failing source, not just the first.
#[derive(Clone, Debug)]
pub struct Failure(Vec<Problem>);

impl Failure {
    /// `None` when there is no problem.
    pub fn new(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// All of them.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    /// All of them, by value.
    pub fn into_problems(self) -> Vec<Problem> {
        self.0
    }

    /// The exit code of the run.
    pub fn code(&self) -> ExitCode {
        ExitCode::most_telling(self.0.iter().map(|problem| problem.code)).unwrap_or(ExitCode::Bug)
    }
}

impl<P: Into<Problem>> From<P> for Failure {
    fn from(problem: P) -> Self {
        Self(vec![problem.into()])
    }
}

impl<P: Into<Problem>> From<Vec<P>> for Failure {
    fn from(problems: Vec<P>) -> Self {
        Self(problems.into_iter().map(Into::into).collect())
    }
}
