//! The config as a user writes it, rightly and wrongly.

mod mistakes;
mod reading;
mod yaml;

use std::sync::Arc;

use compose_model::{Diagnostic, Nesting, SourceSpec, text::escape};

fn parse(text: &str) -> Result<Vec<SourceSpec>, Vec<Diagnostic>> {
    super::parse(
        &Arc::from("dev/bitops.config.yaml"),
        &Arc::from(text),
        Nesting::Root,
    )
}

fn specs(text: &str) -> Vec<SourceSpec> {
    parse(text).unwrap_or_else(|mistakes| panic!("{text}\n{}", render(&mistakes)))
}

/// `line:column «marked» message (hint)`
fn render(mistakes: &[Diagnostic]) -> String {
    let one = |mistake: &Diagnostic| {
        let place = mistake.place.as_ref().map_or(String::new(), |place| {
            let (line, column) = place.line_column();
            format!(
                "{line}:{column} «{}» ",
                escape(&place.text[place.span.clone()], 80)
            )
        });
        let hint = mistake
            .hints
            .first()
            .map_or(String::new(), |hint| format!("\n    ({hint})"));
        format!("{place}{}{hint}", mistake.message)
    };
    mistakes.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn mistakes(text: &str) -> String {
    parse(text).map_or_else(
        |mistakes| render(&mistakes),
        |specs| panic!("{text}\nis accepted: {specs:?}"),
    )
}

/// One entry with these lines beside `repo` and `environment`.
fn entry(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!("default-environments:\n- repo: https://host/r\n  environment: e\n{lines}")
}
