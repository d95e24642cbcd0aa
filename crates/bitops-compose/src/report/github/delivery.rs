//! The results of a run: the plan on the run's page and the outputs of the step, or the errors that
//! made it fail.

use std::{path::Path, sync::Arc};

use compose_model::{Overview, text};
use compose_plan::compose::{
    Composition, Write, report,
    report::markdown::{Page, code, plain, preformatted},
};

use super::{checkout::Checkout, files};
use compose_sources::Gathered;

use crate::report::{
    mask::Masks,
    shown::{Shown, ShownOverview},
};

/// Writes the plan to the run's page and sets the outputs of the step. `manifest` is the path of
/// the manifest that the run itself has written, if any.
pub(crate) fn deliver(
    masks: &Masks,
    composition: &Composition,
    gathered: &Gathered,
    manifest: Option<&Path>,
) {
    if masks.is_unreadable() {
        return;
    }
    let sources = &gathered.layers.sources;
    files::summary(|| {
        let page = Page { composition, sources };
        masks.apply_to_markdown(&page.render())
    });
    if !files::wants_outputs() || !composition.conflicts.is_empty() {
        return;
    }
    let own = report::json::manifest(composition, sources);
    let json = |value: serde_json::Result<String>| match value {
        Ok(text) => text,
        // A map of strings can always be written as JSON.
        Err(error) => error.to_string(),
    };
    let files = composition
        .files
        .iter()
        .filter(|file| file.write != Write::Local)
        .count();
    let kept = files::keep_manifest(composition.environment.as_str(), &json(masks.to_json(&own)));
    let manifest = kept.as_deref().or(manifest);
    files::outputs(&[
        ("sources", &json(masks.to_json_line(&own.sources))),
        ("composed-files", &files.to_string()),
        ("changed", if files > 0 { "true" } else { "false" }),
        (
            "manifest",
            &manifest.map_or_else(String::new, |path| path.to_string_lossy().into_owned()),
        ),
    ]);
}

/// Writes the errors to the run's page. Warnings alone leave it unchanged.
pub(in crate::report) fn failures(masks: &Masks, checkout: &Checkout, problems: &[Shown]) {
    let mut errors: Vec<&Shown> = problems.iter().filter(|problem| problem.is_error()).collect();
    if errors.is_empty() {
        return;
    }
    files::summary(|| {
        let mut out = String::from("### bitops-compose: failed\n\n");
        // Conflicts are laid out together.
        let mut overviews: Vec<&Arc<Overview>> = errors
            .iter()
            .filter_map(|error| error.overview.as_ref())
            .collect();
        overviews.dedup_by(|one, other| Arc::ptr_eq(one, other));
        errors.retain(|error| error.overview.is_none());
        for overview in overviews {
            let shown = ShownOverview::of(overview, masks, None);
            out.push_str(&format!(
                "**{}**\n\n{}",
                plain(&shown.message),
                preformatted(shown.text.as_str())
            ));
            for hint in &shown.hints {
                out.push_str(&format!("- hint: {}\n", plain(&text::escape(hint, 2000))));
            }
        }
        for problem in errors.iter().take(MOST) {
            out.push_str(&item(problem, checkout, masks));
        }
        if errors.len() > MOST + 1 {
            out.push_str(&format!("- and {} more\n", errors.len() - MOST - 1));
        }
        // It may count what is not listed at all.
        if let Some(last) = errors.get(MOST..).and_then(<[_]>::last) {
            out.push_str(&item(last, checkout, masks));
        }
        out.push('\n');
        out
    });
}

/// The maximum number of problems on the page. The log has all of them.
const MOST: usize = 50;

fn item(problem: &Shown, checkout: &Checkout, masks: &Masks) -> String {
    // A message may have several lines; each text is escaped on its own.
    let cut = |value: &str| text::escape(value, 2000);
    let mut out = format!("- **{}**", plain(&cut(&problem.message)));
    if let Some(place) = &problem.place {
        let (line, column) = place.original.line_column();
        let file = checkout
            .file(&place.original.file)
            .map_or_else(|| place.file.clone(), |file| masks.apply(&file).into_owned());
        out.push_str(&format!(" in {}", code(&format!("{file}:{line}:{column}"))));
    }
    out.push('\n');
    for (label, note) in problem.notes.iter().take(MOST) {
        out.push_str(&format!("  - {label}: {}\n", plain(&cut(note))));
    }
    for hint in &problem.hints {
        out.push_str(&format!("  - hint: {}\n", plain(&cut(hint))));
    }
    out
}
