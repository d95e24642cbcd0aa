//! A problem as text: `error:`, the marked line, `caused by:`, `hint:`.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use compose_model::{Diagnostic, Place, Severity};
use serde::Serialize;

/// For people. Ends with an empty line.
pub(crate) fn text(problem: &Diagnostic, colour: bool) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let masked = problem.place.as_ref().map(|place| mask_secrets(&place.text));
    let mut group = match (&problem.place, &masked) {
        (Some(place), Some(text)) => {
            let span = place.span.start.min(text.len())..place.span.end.min(text.len());
            Group::with_title(level.primary_title(problem.message.as_str())).element(
                Snippet::source(text.as_str())
                    .path(&*place.file)
                    .annotation(AnnotationKind::Primary.span(span)),
            )
        }
        _ => Group::with_title(level.primary_title(problem.message.as_str())),
    };
    for (label, note) in problem.notes() {
        group = group.element(Level::NOTE.with_name(label).message(note));
    }
    for hint in &problem.hints {
        group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
    }
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut out = renderer.render(&[group]);
    out.push_str("\n\n");
    out
}

/// For machines: one JSON object a line.
pub(crate) fn json(problem: &Diagnostic) -> String {
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
        causes: Vec<String>,
        hints: &'a [String],
        exit_code: u8,
    }
    let at = problem.place.as_ref().map(Place::line_column);
    let line = Line {
        level: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: &problem.message,
        file: problem.place.as_ref().map(|place| &*place.file),
        line: at.map(|(line, _)| line),
        column: at.map(|(_, column)| column),
        causes: problem.notes().into_iter().map(|(_, note)| note).collect(),
        hints: &problem.hints,
        exit_code: problem.code.code(),
    };
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text
}

/// Stars out what stands between `://` and `@` in each line, byte for byte, so that places stay right: a marked
/// line must not show the password that the error is about.
fn mask_secrets(text: &str) -> String {
    let mut out = text.to_owned();
    let mut from = 0;
    while let Some(at) = out[from..].find("://") {
        let start = from + at + 3;
        let end = out[start..]
            .find(|c: char| c.is_whitespace() || "/'\"".contains(c))
            .map_or(out.len(), |at| start + at);
        if let Some(length) = out[start..end].rfind('@') {
            out.replace_range(start..start + length, &"*".repeat(length));
        }
        from = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use compose_model::ExitCode;

    use super::*;

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
        let text = text(&problem, false);
        assert!(text.contains("--> dev/bitops.config.yaml:2:9"), "{text}");
        assert!(text.contains("https://************@host/repo"), "{text}");
        assert!(text.contains("hint: take it out"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
