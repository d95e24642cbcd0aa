//! The result for people: one line for each check, below the heading of its group.

use compose_model::{StyledText, styled, text::counted};
use unicode_width::UnicodeWidthStr;

use super::check::{Check, Status};

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
    let width = columns.saturating_sub(INDENT).max(LEAST);
    paragraph(out, &check.message, width);
    if let Some(remedy) = &check.remedy {
        out.push(&" ".repeat(INDENT));
        paragraph(out, &format!("hint: {remedy}"), width);
    }
}

/// Adds a text whose first line is begun already. A word that is wider than a line has one of its own.
fn paragraph(out: &mut StyledText, text: &str, width: usize) {
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + word.width() > width {
            out.push(&format!("\n{}", " ".repeat(INDENT)));
            used = 0;
        } else if used > 0 {
            out.push(" ");
            used += 1;
        }
        out.push(word);
        used += word.width();
    }
    out.push("\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_fits_its_width() {
        let mut out = StyledText::new();
        paragraph(&mut out, "one two three https://a.very.long.address/x end", 10);
        let indent = " ".repeat(INDENT);
        let lines = ["one two", "three", "https://a.very.long.address/x", "end"];
        assert_eq!(out.as_str(), lines.join(&format!("\n{indent}")) + "\n");
    }
}
