//! Writes problems as annotations.

use compose_model::Place;

use super::{
    checkout::Checkout,
    command::{data, property},
};
use crate::report::{mask::Masks, shown::Shown};

/// Returns the workflow command that attaches a problem to the value that causes it.
///
/// A place that is not in a file of the checkout, such as the config of a source, is part of the
/// message.
pub(in crate::report) fn annotate(problem: &Shown, checkout: &Checkout, masks: &Masks) -> String {
    let command = problem.level();
    let mut message = problem.message.clone();
    let place = match &problem.place {
        Some(place) => match checkout.file(&place.original.file) {
            Some(file) => position(&masks.apply(&file), &place.original),
            None => {
                let (line, column) = place.original.line_column();
                message.push_str(&format!("\nin {}:{line}:{column}", place.file));
                String::new()
            }
        },
        None => String::new(),
    };
    for (label, note) in &problem.notes {
        message.push_str(&format!("\n{label}: {note}"));
    }
    for hint in &problem.hints {
        message.push_str(&format!("\nhint: {hint}"));
    }
    format!("::{command} {place}title=bitops-compose::{}\n", data(&message))
}

/// Returns the properties for a place. GitHub accepts columns only if the place begins and ends on
/// the same line.
fn position(file: &str, place: &Place) -> String {
    let (line, column) = place.line_column();
    let mut out = format!("file={},line={line},", property(file));
    let marked = place
        .text
        .get(place.span.start..place.span.end.min(place.text.len()))
        .unwrap_or_default()
        .trim_end();
    match marked.lines().count() {
        0 => out.push_str(&format!("col={column},")),
        1 => {
            let end = column + marked.chars().count();
            out.push_str(&format!("endLine={line},col={column},endColumn={end},"));
        }
        lines => out.push_str(&format!("endLine={},", line + lines - 1)),
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use compose_model::{Diagnostic, ExitCode};

    use super::*;

    fn annotate(problem: &Diagnostic, checkout: &Checkout) -> String {
        let masks = Masks::default();
        super::annotate(&Shown::of(problem, &masks, None), checkout, &masks)
    }

    fn problem(file: &str, text: &str, span: std::ops::Range<usize>) -> Diagnostic {
        Diagnostic::new(ExitCode::Config, "100% wrong").with_place(Place {
            file: Arc::from(file),
            text: Arc::from(text),
            span,
        })
    }

    #[test]
    fn an_annotation_is_one_line_on_the_configs_very_value() {
        let problem = problem("dev/a,b.yaml", "x\ny: é1 # two\n", 5..8).hint("mend it");
        assert_eq!(
            annotate(&problem, &Checkout::everything("")),
            "::error file=dev/a%2Cb.yaml,line=2,endLine=2,col=4,endColumn=6,title=bitops-compose::100%25 wrong%0Ahint: mend it\n"
        );
        assert!(
            annotate(&problem, &Checkout::everything("operations"))
                .starts_with("::error file=operations/dev/a%2Cb.yaml,line=2,")
        );
    }

    #[test]
    fn several_lines_have_no_columns_and_an_empty_place_no_end() {
        let checkout = Checkout::everything("");
        let several = problem("a", "x\ny: 1\nz: 2\n", 2..12);
        assert!(annotate(&several, &checkout).starts_with("::error file=a,line=2,endLine=3,title="));
        let empty = problem("a", "x\n", 2..2);
        assert!(annotate(&empty, &checkout).starts_with("::error file=a,line=2,col=1,title="));
    }

    #[test]
    fn a_place_in_no_file_of_the_checkout_stands_in_the_message() {
        let problem = problem(
            "https://host/c @ 1.0.0 : eks/bitops.config.yaml",
            "x\ny: 1\n",
            2..3,
        );
        assert_eq!(
            annotate(&problem, &Checkout::default()),
            "::error title=bitops-compose::100%25 wrong%0Ain https://host/c @ 1.0.0 : eks/bitops.config.yaml:2:1\n"
        );
    }
}
