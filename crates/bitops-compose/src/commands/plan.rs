//! `plan`: what would be composed, and from where.

use std::{collections::BTreeMap, io::stdout, sync::Arc};

use compose_model::{Diagnostic, ExitCode, Failure, StyledText};
use compose_plan::compose::{ComposedFile, DeclaredBy, Write, bytes::Bytes, report};
use compose_sources::blocking;

use super::{
    DONE,
    against::{self, DIFFERS, conflicts},
    each::{Answer, each},
};
use crate::{
    cli::{Format, Graph, Plan},
    job::Job,
    local::DiskTree,
    pipeline::{self, Planned},
    report::{deliver, table},
};

/// Composes without writing anything and prints the result, conflicts included.
pub(crate) fn run(args: &Plan) -> Result<u8, Failure> {
    let (diff, graph, format) = (args.diff, args.graph, args.targets.format);
    if graph.is_some() && format == Format::Json {
        return Err(Diagnostic::new(ExitCode::Usage, "a graph is no JSON")
            .hint("leave out one of --graph and --format json")
            .into());
    }
    let shown = Shown {
        format,
        graph,
        diff,
        files: args.files,
        exit_code: args.exit_code,
    };
    each(&args.targets.place, args.targets.asked(), format, move |job| {
        let against = args.against.clone();
        async move {
            if let Some(against) = against {
                return against::answer(job, against, format, shown.exit_code).await;
            }
            let planned = pipeline::plan(Arc::clone(&job)).await?;
            blocking(move || answer(&job, &planned, shown)).await
        }
    })
}

/// What is shown of a plan, and how.
#[derive(Clone, Copy)]
struct Shown {
    format: Format,
    graph: Option<Graph>,
    diff: bool,
    files: bool,
    exit_code: bool,
}

fn answer(job: &Job, planned: &Planned, shown: Shown) -> Result<Answer, Failure> {
    deliver(&job.printer.masks, &planned.composition, &planned.gathered, None);
    let is_own = |file: &ComposedFile| file.write == Write::Local;
    let code = if !planned.composition.conflicts.is_empty() {
        ExitCode::Config.code()
    } else if shown.exit_code && !planned.composition.files.iter().all(is_own) {
        DIFFERS
    } else {
        DONE
    };
    let sources = &planned.gathered.layers.sources;
    let text = match (shown.format, shown.graph) {
        (Format::Json, _) => {
            annotate(job, planned);
            return json(job, planned, shown.diff, code);
        }
        (Format::Text, Some(graph)) => {
            tell_conflicts(job, planned);
            match graph {
                Graph::Mermaid => report::graph::mermaid(&planned.composition, sources).into(),
                Graph::Dot => report::graph::dot(&planned.composition, sources).into(),
            }
        }
        (Format::Text, None) if shown.diff => {
            tell_conflicts(job, planned);
            let mut text = StyledText::new();
            diffs(job, planned)?
                .iter()
                .for_each(|diff| text.append(&diff.text));
            text
        }
        (Format::Text, None) => {
            annotate(job, planned);
            let mut text = report::text::plan_with(
                &planned.composition,
                sources,
                assumed(job, planned),
                table::columns_before_masks(&stdout()),
            );
            if shown.files {
                text.append(&report::text::files(&planned.composition, sources));
            }
            text
        }
    };
    Ok(if shown.graph.is_some() || shown.diff {
        Answer::verbatim(text, code)
    } else {
        Answer::for_people(text, code)
    })
}

/// Returns a note that the deployments are those of an image that is not here, if any deployment is
/// an image's.
fn assumed(job: &Job, planned: &Planned) -> Option<&'static str> {
    let mut deployments = planned.composition.deployments.iter();
    let is_used = deployments.any(|one| one.by != DeclaredBy::Local);
    (job.image_assumed && is_used).then_some(
        "assumes the deployments of BitOps' omnibus image; --image-config FILE names another image's",
    )
}

fn json(job: &Job, planned: &Planned, diff: bool, code: u8) -> Result<Answer, Failure> {
    let plan = report::json::plan(&planned.composition, &planned.gathered.layers.sources);
    if !diff {
        return Answer::json(job, &plan, code);
    }
    let mut by_path: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for diff in diffs(job, planned)? {
        by_path
            .entry(diff.path)
            .or_default()
            .push(diff.text.into_string());
    }
    Answer::json(job, &plan.with_diffs(by_path), code)
}

fn diffs(job: &Job, planned: &Planned) -> Result<Vec<report::diff::FileDiff>, Failure> {
    let local = DiskTree::of(job);
    let bytes = Bytes::new(&planned.gathered.layers, &planned.gathered, &local);
    let sources = &planned.gathered.layers.sources;
    Ok(report::diff::diffs(&planned.composition, sources, &bytes)?)
}

/// Reports the conflicts on stderr, where the result has no room for them.
fn tell_conflicts(job: &Job, planned: &Planned) {
    job.printer.problems(&conflicts(planned));
}

/// Annotates what the plan reports, for CI to show on the config's lines.
fn annotate(job: &Job, planned: &Planned) {
    let warnings = planned.composition.warnings.iter().cloned();
    let mut problems = conflicts(planned);
    problems.extend(warnings);
    job.printer.annotations(&problems);
}
