//! The result for people: one line for each check, below the heading of its group.

use compose_model::{StyledText, styled, text::counted};

use super::check::{Check, Status};
use crate::report::wrap::wrapped;

/// The columns before a message: the longest word for a status, with two spaces on each side.
const INDENT: usize = 11;
/// The fewest columns for messages, however narrow the terminal is.
const LEAST: usize = 24;

/// Adds the checks. `about` is the environment of a group's heading.
pub(super) fn add(out: &mut StyledText, checks: &[Check], about: Option<&str>, columns: usize) {
    let mut last = None;
    for check in checks {
        if last != Some(check.group) {
            if !out.as_str().is_empty() {
                out.push("\n");
            }
            let title = check.group.title();
            let title = about.map_or_else(|| title.to_owned(), |about| format!("{title} of {about}"));
            out.push_line(styled::HEADING, &title);
            last = Some(check.group);
        }
        line(out, check, columns);
    }
}

/// Adds the number of errors and warnings.
pub(super) fn add_summary<'a>(out: &mut StyledText, checks: impl IntoIterator<Item = &'a Check> + Clone) {
    let count = |status| {
        let all = checks.clone().into_iter();
        all.filter(|check| check.status == status).count()
    };
    let (errors, warnings) = (count(Status::Error), count(Status::Warning));
    let text = match (errors, warnings) {
        (0, 0) => "no problems were found".to_owned(),
        (0, warnings) => counted(warnings, "warning"),
        (errors, 0) => counted(errors, "error"),
        (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    out.push(&format!("\n{text}\n"));
}

fn line(out: &mut StyledText, check: &Check, columns: usize) {
    let style = match check.status {
        Status::Ok => styled::ADDED,
        Status::Warning => styled::WARNING,
        Status::Error => styled::ERROR,
    };
    let word = check.status.word();
    out.push("  ");
    out.push_styled(style, word);
    out.push(&" ".repeat(INDENT - 2 - word.len()));
    let indent = " ".repeat(INDENT);
    let columns = columns.max(INDENT + LEAST);
    let message = wrapped(&check.message, &indent, &indent, columns);
    out.push(&format!("{}\n", message.trim_start()));
    if let Some(remedy) = &check.remedy {
        let hint = wrapped(&format!("hint: {remedy}"), &indent, &indent, columns);
        out.push(&format!("{hint}\n"));
    }
}
