//! `remove SOURCE`: a source less in an environment's config.

use std::{collections::BTreeSet, sync::Arc};

use compose_model::{Diagnostic, Failure, SourceSpec, TreePath};
use compose_plan::compose::Composition;
use serde_json::json;

use super::{
    DONE,
    draft::{Draft, by_directory},
};
use crate::{
    cli::{Format, Remove},
    job::Job,
    pipeline, runtime,
};

/// The most paths that are listed.
const MOST_LISTED: usize = 20;

/// Removes the source, and says what leaves the composition with it.
pub(crate) fn run(args: &Remove) -> Result<u8, Failure> {
    let draft = Draft::open(&args.place, args.from.as_deref())?;
    let job = Arc::clone(&draft.job);
    let done = runtime::run(job.settings.jobs, remove(draft, args));
    done.and_then(|removed| removed.print(&job, args))
        .or_else(|failure| {
            job.printer.problems(failure.diagnostics());
            Ok(failure.code().code())
        })
}

struct Removed {
    spec: SourceSpec,
    /// The composed files that are no longer there, relative to the environment. `None` if the composition with the
    /// source is not known.
    left: Option<Vec<String>>,
    /// The deployments of terraform that lose files.
    terraform: Vec<String>,
    lock: Option<String>,
    diff: Option<String>,
}

async fn remove(mut draft: Draft, args: &Remove) -> Result<Removed, Failure> {
    let index = draft.find(&args.source)?;
    let spec = draft.list.specs()[index].clone();
    // The source may be gone, which is a reason to remove it.
    let before = pipeline::plan_edited(&draft.job, &|_| false).await;
    draft.list.remove(index)?;
    let after = pipeline::plan_edited(&draft.edited(), &|_| false).await?;
    Failure::check(pipeline::conflicts(&after.composition, &after.gathered))?;
    let (left, terraform) = match before {
        Ok(before) => {
            let gone = gone(&draft.job, &before.composition, &after.composition);
            let terraform = of_terraform(&before.composition, &gone);
            let environment = &before.composition.environment;
            let left = gone
                .iter()
                .map(|path| path.relative_to(environment).into_owned())
                .collect();
            (Some(left), terraform)
        }
        Err(failure) => {
            let problems = failure.into_diagnostics().into_iter();
            draft
                .job
                .warn(&problems.map(Diagnostic::into_warning).collect::<Vec<_>>());
            (None, Vec::new())
        }
    };
    let (lock, diff) = if args.dry_run {
        (None, Some(draft.diff()))
    } else {
        (draft.write(&after.gathered, true)?, None)
    };
    Ok(Removed {
        spec,
        left,
        terraform,
        lock,
        diff,
    })
}

/// Returns the composed files that only the composition before has, but for those that are the user's own.
fn gone(job: &Job, before: &Composition, after: &Composition) -> Vec<TreePath> {
    let there: BTreeSet<&TreePath> = after.files.iter().map(|file| &file.path).collect();
    let is_gone = |path: &&TreePath| !there.contains(path) && !job.root.join(path.as_str()).exists();
    before
        .files
        .iter()
        .map(|file| &file.path)
        .filter(is_gone)
        .cloned()
        .collect()
}

/// Returns the deployments of terraform in whose directories files are gone.
fn of_terraform(before: &Composition, gone: &[TreePath]) -> Vec<String> {
    let is_in = |path: &TreePath, name: &str| {
        let inside = path.relative_to(&before.environment);
        inside.split_once('/').is_some_and(|(dir, _)| dir == name)
    };
    let deployments = before.deployments.iter().filter(|one| one.plugin == "terraform");
    deployments
        .filter(|one| gone.iter().any(|path| is_in(path, &one.name)))
        .map(|one| one.name.clone())
        .collect()
}

impl Removed {
    fn print(&self, job: &Job, args: &Remove) -> Result<u8, Failure> {
        match args.format {
            Format::Text => job.printer.result(&self.describe(job))?,
            Format::Json => job.printer.json(&json!({
                "environment": job.environment.as_str(),
                "file": &*job.file,
                "written": self.diff.is_none(),
                "lock": self.lock,
                "source": {
                    "repo": self.spec.repo.as_str(),
                    "environment": self.spec.environment.as_str(),
                    "requested": self.spec.requested.as_str(),
                },
                "files": self.left,
                "terraform": self.terraform,
                "diff": self.diff,
            }))?,
        }
        Ok(DONE)
    }

    fn describe(&self, job: &Job) -> String {
        let spec = &self.spec;
        let did = if self.diff.is_some() {
            "would remove"
        } else {
            "removed"
        };
        let mut out = format!("{}: {did} {} of {}\n", job.file, spec.environment, spec.repo);
        match self.left.as_deref() {
            None => out.push_str("  what leaves the composition is not known\n"),
            Some([]) => out.push_str("  no file leaves the composition\n"),
            Some(left) => {
                let paths: Vec<TreePath> = left
                    .iter()
                    .filter_map(|path| TreePath::new(path.trim_start_matches("../")).ok())
                    .collect();
                let verb = if left.len() == 1 {
                    "file leaves"
                } else {
                    "files leave"
                };
                out.push_str(&format!(
                    "  {} {verb} the composition: {}\n",
                    left.len(),
                    by_directory(&paths)
                ));
                left.iter()
                    .take(MOST_LISTED)
                    .for_each(|path| out.push_str(&format!("    {path}\n")));
                if left.len() > MOST_LISTED {
                    out.push_str(&format!("    and {} more\n", left.len() - MOST_LISTED));
                }
            }
        }
        for name in &self.terraform {
            out.push_str(&format!(
                "  {name}: the next `terraform apply` destroys what these files made\n"
            ));
        }
        if let Some(lock) = &self.lock {
            out.push_str(&format!("  {lock} follows\n"));
        }
        match &self.diff {
            Some(diff) => out + "\n" + diff,
            None => out,
        }
    }
}
