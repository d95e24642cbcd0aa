//! Renders a problem as text: `error:`, the marked line, `caused by:`, `hint:`.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use compose_model::Severity;
use serde::Serialize;

use super::{
    shown::{Shown, ShownOverview},
    wrap::wrapped,
};

/// The columns before the label of a note: ` = `.
const BEFORE_A_NOTE: usize = 3;

/// Renders a problem for people, or all mistakes of one entry as one message, with lines that fit the terminal if there is
/// one. The text ends with an empty line.
pub(super) fn for_people(problems: &[Shown], colour: bool, columns: Option<usize>) -> String {
    let [first, others @ ..] = problems else {
        return String::new();
    };
    let level = match first.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = match others.len() {
        0 => first.message.clone(),
        others => format!("{} mistakes in one entry", others + 1),
    };
    // The renderer puts what follows a line break below the beginning of the text.
    let fit = |text: &str, before: usize| match columns {
        Some(columns) => wrapped(text, "", "", columns.saturating_sub(before)),
        None => text.to_owned(),
    };
    let title = fit(&title, first.level().len() + ": ".len());
    let mut group = Group::with_title(level.primary_title(title));
    // Line numbers stand before all that is below the title.
    let numbers = problems.iter().filter_map(|problem| problem.place.as_ref());
    let number = numbers.map(|place| place.original.line_column().0).max();
    let margin = BEFORE_A_NOTE + number.map_or(0, |number| number.to_string().len());
    if let Some(place) = &first.place
        && let Some((text, _)) = &place.excerpt
    {
        let marked = problems.iter().filter_map(|problem| {
            let (_, span) = problem.place.as_ref()?.excerpt.as_ref()?;
            let mark = AnnotationKind::Primary.span(span.clone());
            // A single message is the title.
            Some(mark.label((!others.is_empty()).then_some(problem.message.as_str())))
        });
        let snippet = Snippet::source(text.as_str()).path(place.file.as_str());
        group = group.element(snippet.annotations(marked));
    }
    for (label, note) in problems.iter().flat_map(|problem| &problem.notes) {
        let note = fit(note, margin + label.len() + ": ".len());
        group = group.element(Level::NOTE.with_name(*label).message(note));
    }
    for hint in problems.iter().flat_map(|problem| &problem.hints) {
        let hint = fit(hint, margin + "hint: ".len());
        group = group.element(Level::HELP.with_name("hint").message(hint));
    }
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = match columns {
        Some(columns) => renderer.term_width(columns),
        None => renderer,
    };
    let mut out = renderer.render(&[group]);
    out.push_str("\n\n");
    out
}

/// Renders an overview of several errors for people. The text ends with an empty line.
pub(super) fn overview(overview: &ShownOverview, colour: bool) -> String {
    let group = Group::with_title(Level::ERROR.primary_title(overview.message.as_str()));
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut out = renderer.render(&[group]).trim_end().to_owned();
    out.push('\n');
    let text = if colour {
        overview.text.to_ansi()
    } else {
        overview.text.as_str().to_owned()
    };
    out.push_str(&text);
    if !overview.hints.is_empty() {
        out.push('\n');
    }
    for hint in &overview.hints {
        out.push_str(&format!("hint: {hint}\n"));
    }
    out.push('\n');
    out
}

/// Renders a problem for programs, as one JSON object on a line.
pub(super) fn json(problem: &Shown) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        level: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        column: Option<usize>,
        causes: Vec<&'a str>,
        hints: &'a [String],
        exit_code: u8,
    }
    let position = problem.place.as_ref().map(|place| place.original.line_column());
    let line = Line {
        level: problem.level(),
        message: &problem.message,
        file: problem.place.as_ref().map(|place| place.file.as_str()),
        line: position.map(|(line, _)| line),
        column: position.map(|(_, column)| column),
        causes: problem.notes.iter().map(|(_, note)| note.as_str()).collect(),
        hints: &problem.hints,
        exit_code: problem.exit_code,
    };
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use compose_model::{Diagnostic, ExitCode, Place};

    use super::*;
    use crate::report::mask::Masks;

    #[test]
    fn the_line_is_marked_and_the_secret_is_not_shown() {
        let source = "default-environments:\n- repo: https://user:hunter2@host/repo\n  enviroment: eks\n";
        let start = source.find("https").unwrap();
        let place = Place {
            file: Arc::from("dev/bitops.config.yaml"),
            text: Arc::from(source),
            span: start..start + 31,
        };
        let problem = Diagnostic::new(ExitCode::Config, "the address contains a password")
            .with_place(place)
            .hint("take it out");
        let text = for_people(&[Shown::of(&problem, &Masks::default(), None)], false, None);
        assert!(text.contains("--> dev/bitops.config.yaml:2:9"), "{text}");
        assert!(text.contains("https://************@host/repo"), "{text}");
        assert!(text.contains("hint: take it out"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
