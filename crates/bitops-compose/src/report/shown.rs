//! A problem as it is shown, after the masks were applied to all of its texts.

use std::sync::Arc;

use compose_model::{Diagnostic, Overview, Place, Severity, Span, StyledText, redact};

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
    /// The part of the file that it is about, if it may be shown together with others of that part.
    pub(super) within: Option<Span>,
    /// What people read in place of it. Its texts are not masked; see [`ShownOverview`].
    pub(super) overview: Option<Arc<Overview>>,
}

/// What people read in place of several problems.
#[derive(Debug)]
pub(super) struct ShownOverview {
    pub(super) message: String,
    pub(super) text: StyledText,
    pub(super) hints: Vec<String>,
}

impl ShownOverview {
    pub(super) fn of(overview: &Overview, masks: &Masks, about: Option<&str>) -> Self {
        let mut text = overview.text.clone();
        masks.apply_to_styled(&mut text);
        let hints = overview.hints.iter();
        Self {
            message: masks.apply(&overview.message).into_owned(),
            text,
            hints: hints.map(|hint| shown_hint(hint, masks, about)).collect(),
        }
    }
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
    /// Returns the problem as it is shown. `about` are the words that a command in a hint needs to be about the same
    /// environment.
    pub(super) fn of(problem: &Diagnostic, masks: &Masks, about: Option<&str>) -> Self {
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
            hints: problem
                .hints
                .iter()
                .map(|hint| shown_hint(hint, masks, about))
                .collect(),
            within: problem.within.clone(),
            overview: problem.overview.clone(),
        }
    }

    /// Returns whether two problems are shown as one: they share an overview, or are mistakes of one part of a file and
    /// show the same text of it.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        fn shown(problem: &Shown) -> Option<(&Span, &str, &str)> {
            let place = problem.place.as_ref()?;
            let (text, _) = place.excerpt.as_ref()?;
            Some((problem.within.as_ref()?, &place.file, text))
        }
        if let (Some(one), Some(other)) = (&self.overview, &other.overview) {
            return Arc::ptr_eq(one, other);
        }
        self.severity == other.severity && shown(self).is_some_and(|one| shown(other) == Some(one))
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

fn shown_hint(hint: &str, masks: &Masks, about: Option<&str>) -> String {
    masks.apply(&whole_commands(hint, about)).into_owned()
}

/// The commands about an environment, as hints write them without it: the code that writes a hint does not know how the
/// environment was named.
const ABOUT_AN_ENVIRONMENT: [&str; 4] = ["lock", "outdated", "plan", "update"];

/// Returns a hint whose commands work when they are pasted.
fn whole_commands(hint: &str, about: Option<&str>) -> String {
    let Some(about) = about else {
        return hint.to_owned();
    };
    let mut whole = hint.to_owned();
    for command in ABOUT_AN_ENVIRONMENT {
        for (end, new_end) in [("`", "`"), (" --", " --")] {
            let bare = format!("`bitops-compose {command}{end}");
            if !hint.contains(&format!("{bare}all")) {
                whole = whole.replace(&bare, &format!("`bitops-compose {command} {about}{new_end}"));
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_hints_name_their_environment() {
        for (hint, whole) in [
            (
                "run `bitops-compose lock`, and commit the lock",
                "run `bitops-compose lock dev`, and commit the lock",
            ),
            (
                "`bitops-compose plan --format json` lists all",
                "`bitops-compose plan dev --format json` lists all",
            ),
            (
                "`bitops-compose outdated --all` lists them",
                "`bitops-compose outdated --all` lists them",
            ),
            (
                "`bitops-compose lock prod` or `lock`",
                "`bitops-compose lock prod` or `lock`",
            ),
        ] {
            assert_eq!(whole_commands(hint, Some("dev")), whole);
            assert_eq!(whole_commands(hint, None), hint);
        }
    }
}
