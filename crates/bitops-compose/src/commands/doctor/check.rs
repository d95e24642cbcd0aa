//! One thing that was looked at, and what is wrong with it.

use std::sync::Arc;

use compose_model::{Diagnostic, ExitCode, Severity, redact, text::escape};
use serde::Serialize;

use crate::report::Printer;

/// The most characters of a message or a remedy.
const LONGEST: usize = 2000;

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Group {
    Place,
    Home,
    Cache,
    BitOps,
    Programs,
    Network,
    Settings,
    Sources,
}

impl Group {
    /// Returns the heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Place => "Place",
            Self::Home => "Home",
            Self::Cache => "Cache",
            Self::BitOps => "BitOps",
            Self::Programs => "Programs",
            Self::Network => "Network",
            Self::Settings => "Settings",
            Self::Sources => "Sources",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warning,
    Error,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The result of a check. Its texts hold no secrets and can be printed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    pub(super) group: Group,
    /// A name for programs, which stays the same.
    pub(super) name: &'static str,
    pub(super) status: Status,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    /// The exit code of an error.
    #[serde(skip)]
    pub(super) code: Option<ExitCode>,
}

/// The checks of one group.
#[derive(Debug)]
pub(super) struct Checks {
    group: Group,
    pub(super) all: Vec<Check>,
}

impl Checks {
    pub(super) fn new(group: Group) -> Self {
        Self {
            group,
            all: Vec::new(),
        }
    }

    pub(super) fn ok(&mut self, name: &'static str, message: impl AsRef<str>) {
        self.push(name, Status::Ok, message.as_ref(), None, None);
    }

    pub(super) fn warning(&mut self, name: &'static str, message: impl AsRef<str>, remedy: impl AsRef<str>) {
        self.push(
            name,
            Status::Warning,
            message.as_ref(),
            Some(remedy.as_ref()),
            None,
        );
    }

    pub(super) fn error(
        &mut self,
        name: &'static str,
        code: ExitCode,
        message: impl AsRef<str>,
        remedy: impl AsRef<str>,
    ) {
        self.push(
            name,
            Status::Error,
            message.as_ref(),
            Some(remedy.as_ref()),
            Some(code),
        );
    }

    /// Adds a problem with its place, its causes and its hints.
    pub(super) fn problem(&mut self, name: &'static str, printer: &Printer, problem: &Diagnostic) {
        let mut message = String::new();
        if let Some(place) = &problem.place {
            let (line, column) = place.line_column();
            message.push_str(&format!("{}:{line}:{column}: ", place.file));
        }
        message.push_str(&problem.message);
        for (label, note) in problem.notes() {
            match label {
                "caused by" => message.push_str(&format!(": {note}")),
                label => message.push_str(&format!("; {label} {note}")),
            }
        }
        let hints = printer.hints(problem).join("; ");
        let (status, code) = match problem.severity {
            Severity::Error => (Status::Error, Some(problem.code)),
            Severity::Warning => (Status::Warning, None),
        };
        self.push(name, status, &message, Some(hints.as_str()), code);
    }

    /// Adds each problem as a check of its own.
    pub(super) fn problems<'a>(
        &mut self,
        name: &'static str,
        printer: &Printer,
        problems: impl IntoIterator<Item = &'a Diagnostic>,
    ) {
        for problem in problems {
            self.problem(name, printer, problem);
        }
    }

    fn push(
        &mut self,
        name: &'static str,
        status: Status,
        message: &str,
        remedy: Option<&str>,
        code: Option<ExitCode>,
    ) {
        let shown = |text: &str| escape(&redact(&Arc::from(text)), LONGEST);
        self.all.push(Check {
            group: self.group,
            name,
            status,
            message: shown(message),
            remedy: remedy.filter(|remedy| !remedy.is_empty()).map(shown),
            code,
        });
    }
}

/// Returns the exit code that says most about what is wrong.
pub(super) fn exit_code<'a>(checks: impl IntoIterator<Item = &'a Check>) -> u8 {
    let codes = checks.into_iter().filter_map(|check| check.code);
    ExitCode::most_telling(codes).map_or(super::super::DONE, ExitCode::code)
}
