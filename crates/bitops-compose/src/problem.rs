//! What ends a run, in the form that a person reads at 3 a.m.: what, why, where, what to do.

use std::error::Error as StdError;

use compose_model::{Diagnostic, ExitCode, Place, Severity};

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) message: String,
    /// What `causes` are: a chain, or the sides of a conflict.
    pub(crate) causes_are: &'static str,
    pub(crate) causes: Vec<String>,
    pub(crate) place: Option<Place>,
    /// What to do: any one of these.
    pub(crate) hints: Vec<String>,
    pub(crate) code: ExitCode,
}

impl Problem {
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
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
    pub(crate) fn from_error(code: ExitCode, error: &dyn StdError) -> Self {
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

    pub(crate) fn because(mut self, cause: impl ToString) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
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

impl From<compose_plan::compose::report::Described> for Problem {
    fn from(conflict: compose_plan::compose::report::Described) -> Self {
        Self {
            causes_are: "in",
            causes: conflict.sides,
            place: conflict.place,
            hints: conflict.remedies,
            ..Self::new(ExitCode::Config, conflict.message)
        }
    }
}

impl From<compose_git::Error> for Problem {
    fn from(error: compose_git::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&compose_git::Error> for Problem {
    fn from(error: &compose_git::Error) -> Self {
        let mut problem = Self::from_error(error.exit_code(), error);
        problem.hints.extend(error.hint());
        problem
    }
}

impl From<compose_tree::Error> for Problem {
    fn from(error: compose_tree::Error) -> Self {
        let mut problem = Self::from_error(ExitCode::CannotWrite, &error);
        problem.hints.extend(error.hint());
        problem
    }
}

/// All that is wrong: a run tells every failing source, not just the first.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Vec<Problem>);

impl Failure {
    /// `None` when there is no problem.
    pub(crate) fn new(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    pub(crate) fn problems(&self) -> &[Problem] {
        &self.0
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.0
    }

    pub(crate) fn code(&self) -> ExitCode {
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
