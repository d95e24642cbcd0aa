//! A problem as it is shown, after the masks were applied to all of its texts.

use compose_model::{Diagnostic, Place, Severity, Span, redact};

use super::mask::Masks;

/// A problem whose texts may be shown. Code that prints a problem quotes or escapes these texts.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) severity: Severity,
    pub(super) exit_code: u8,
    pub(super) message: String,
    /// The lines below the message, each with its label.
    pub(super) notes: Vec<(&'static str, String)>,
    pub(super) place: Option<ShownPlace>,
    pub(super) hints: Vec<String>,
}

/// A place in a file.
#[derive(Debug)]
pub(super) struct ShownPlace {
    pub(super) file: String,
    /// The place itself, for positions. Its text and the file's name are not shown.
    pub(super) original: Place,
    /// The text without secrets and the marked range in it; `None` if the text is withheld.
    pub(super) excerpt: Option<(String, Span)>,
}

impl Shown {
    pub(super) fn of(problem: &Diagnostic, masks: &Masks) -> Self {
        let masked = |text: &str| masks.apply(text).into_owned();
        let place = problem.place.as_ref().map(|place| ShownPlace {
            file: masked(&place.file),
            original: place.clone(),
            excerpt: masks.apply_to_marked(&redact(&place.text), &place.span),
        });
        let notes = problem.notes().into_iter();
        Self {
            severity: problem.severity,
            exit_code: problem.code.code(),
            message: masked(&problem.message),
            notes: notes.map(|(label, note)| (label, masked(&note))).collect(),
            place,
            hints: problem.hints.iter().map(|hint| masked(hint)).collect(),
        }
    }

    pub(super) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Returns the name of the level for programs.
    pub(super) fn level(&self) -> &'static str {
        match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}
