//! The summary for the page of a CI run.

use compose_model::text;

use crate::{
    compose::{Composition, Write},
    layer::{Origin, Source},
};

/// A table of the sources: what was asked for, what was deployed, how many files it decides.
pub fn summary(composition: &Composition, sources: &[Source]) -> String {
    let mut out = format!(
        "### bitops-compose: `{}`\n\n| source | requested | resolved | commit | files |\n|---|---|---|---|---:|\n",
        composition.environment
    );
    for (index, source) in sources.iter().enumerate() {
        let files = composition
            .files
            .iter()
            .filter(|file| file.write != Write::Local)
            .filter(|file| {
                file.from
                    .last()
                    .is_some_and(|from| from.origin == Origin::Source(crate::layer::SourceId(index)))
            })
            .count();
        out.push_str(&format!(
            "| {} of {} | {} | {} | `{}` | {files} |\n",
            cell(source.environment.as_str()),
            cell(source.repo.as_str()),
            cell(source.requested.as_str()),
            cell(&source.resolved),
            source.commit.short(),
        ));
    }
    out.push('\n');
    out
}

/// Text that stays in its cell.
fn cell(value: &str) -> String {
    text::escape(value, 120)
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('`', "\\`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_in_its_cell() {
        assert_eq!(cell("a|b\n<img>`"), "a\\|b\\\\n&lt;img>\\`");
    }
}
