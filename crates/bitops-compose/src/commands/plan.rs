//! `plan`: what would be composed, and from where.

use std::collections::BTreeMap;

use compose_model::{Diagnostic, ExitCode, Failure, StyledText};
use compose_plan::compose::{DeclaredBy, bytes::Bytes, report};

use super::DONE;
use crate::{
    cli::{Format, Graph, Plan},
    job::Job,
    local::DiskTree,
    pipeline::Planned,
    report::deliver,
};

/// Composes without writing anything and prints the result, conflicts included.
pub(crate) fn run(args: &Plan) -> Result<u8, Failure> {
    let (diff, graph, format) = (args.diff, args.graph, args.target.format);
    if graph.is_some() && format == Format::Json {
        return Err(Diagnostic::new(ExitCode::Usage, "a graph is no JSON")
            .hint("leave out one of --graph and --format json")
            .into());
    }
    super::composed(&args.target, move |job, planned| {
        deliver(&job.printer.masks, &planned.composition, &planned.gathered, None);
        match (format, graph) {
            (Format::Text, Some(graph)) => show_graph(job, &planned, graph)?,
            (Format::Text, None) if diff => show_diffs(job, &planned)?,
            (Format::Text, None) => {
                let sources = &planned.gathered.layers.sources;
                let note = assumed(job, &planned);
                let text = report::text::plan_with(&planned.composition, sources, note);
                job.printer.styled(text)?;
                annotate(job, &planned);
            }
            (Format::Json, _) => {
                show_json(job, &planned, diff)?;
                annotate(job, &planned);
            }
        }
        Ok(if planned.composition.conflicts.is_empty() {
            DONE
        } else {
            ExitCode::Config.code()
        })
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

fn show_graph(job: &Job, planned: &Planned, graph: Graph) -> Result<(), Failure> {
    let sources = &planned.gathered.layers.sources;
    let text = match graph {
        Graph::Mermaid => report::graph::mermaid(&planned.composition, sources),
        Graph::Dot => report::graph::dot(&planned.composition, sources),
    };
    job.printer.result(&text)?;
    tell_conflicts(job, planned);
    Ok(())
}

fn show_diffs(job: &Job, planned: &Planned) -> Result<(), Failure> {
    let mut text = StyledText::new();
    for diff in diffs(job, planned)? {
        text.append(&diff.text);
    }
    job.printer.styled(text)?;
    tell_conflicts(job, planned);
    Ok(())
}

fn show_json(job: &Job, planned: &Planned, diff: bool) -> Result<(), Failure> {
    let plan = report::json::plan(&planned.composition, &planned.gathered.layers.sources);
    if !diff {
        return job.printer.json(&plan);
    }
    let mut by_path: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for diff in diffs(job, planned)? {
        by_path
            .entry(diff.path)
            .or_default()
            .push(diff.text.into_string());
    }
    job.printer.json(&plan.with_diffs(by_path))
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

fn conflicts(planned: &Planned) -> Vec<Diagnostic> {
    report::conflicts(&planned.composition, &planned.gathered.layers.sources)
}
