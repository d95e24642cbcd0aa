//! `adopt REPO ENVIRONMENT`: a copied environment becomes a source.

mod all;
mod checkout;
mod proof;
mod stash;

use std::{cmp::Reverse, collections::BTreeSet, fs, path::Path, sync::Arc};

use compose_git::{Glance, blob_id};
use compose_model::{
    Diagnostic, ExitCode, Failure, Filter, Globs, OutlineEntry, Refs, RepoUrl, TreePath, VersionRequest,
    file_name,
    filter::exact_glob,
    text::{counted, escape},
};
use compose_plan::{
    adopt::{Comparison, Files, own_path},
    compose::Composition,
    config::{NewSource, SourceList},
    resolve::{Bounds, all_tags_prefix, spelled, tag_version},
};
use compose_sources::Gatherer;
use serde_json::json;

use super::{
    DONE,
    draft::{Draft, where_to},
    pasted,
};
use crate::{
    cli::{Adopt, Format},
    hidden::Hidden,
    job::Job,
    pipeline::{self, Planned},
    runtime, watch,
};
use checkout::Checkout;
use stash::Stash;

/// The most paths that a message or a list names.
const MOST_LISTED: usize = 20;

/// Adopts one environment, or looks for all.
pub(crate) fn run(args: &Adopt) -> Result<u8, Failure> {
    let pasted = pasted(&args.repo)?;
    if args.all {
        return all::run(args, &pasted.repo);
    }
    let name = args.environment.clone().or(pasted.directory).ok_or_else(|| {
        let repo = shell_words::quote(&args.repo).into_owned();
        Diagnostic::new(ExitCode::Usage, "no environment of the repo is named")
            .hint(format!("list its environments: `bitops-compose search {repo}`"))
            .hint(format!(
                "look for all of them: `bitops-compose adopt {repo} --all`"
            ))
    })?;
    let environment = TreePath::new(name.trim_matches('/')).map_err(|error| {
        let problem = format!("`{}` is not a directory of a repo", escape(&name, 120));
        Diagnostic::new(ExitCode::Usage, problem).because(error)
    })?;
    let draft = Draft::open_or_new(&args.place, args.to.as_deref(), "")?;
    let job = Arc::clone(&draft.job);
    let work = Adoption::prepare(draft, pasted.repo, environment, args);
    let prepared = runtime::run(job.settings.jobs, work);
    let done = prepared.and_then(|mut adoption| {
        if !args.dry_run {
            adoption.apply()?;
        }
        adoption.print(args)
    });
    done.map(|()| DONE).or_else(|failure| {
        job.printer.problems(failure.diagnostics());
        Ok(failure.code().code())
    })
}

/// A version of an environment, compared with a directory.
struct Candidate {
    tag: String,
    version: VersionRequest,
    files: Arc<Files>,
    found: Comparison,
}

/// Compares a directory with an environment at all of its versions, nearest first. Of equally near ones the newest is first.
async fn candidates(
    gatherer: &Gatherer,
    repo: &RepoUrl,
    environment: &TreePath,
    refs: &Refs,
    local: &Files,
) -> Result<Vec<Candidate>, Failure> {
    let of_tag = |(name, entry): (&str, &compose_model::RefEntry)| {
        let version = spelled(environment, name, Bounds::Exact, refs)?;
        Some((name.to_owned(), version, entry.clone()))
    };
    let mut tags: Vec<_> = refs.tags().filter_map(of_tag).collect();
    tags.sort_by_cached_key(|(name, ..)| Reverse(tag_version(environment, name)));
    let glance = |(_, _, entry): &(String, VersionRequest, compose_model::RefEntry)| Glance {
        commit: entry.target,
        refname: Some(entry.name.clone()),
        dir: Some(environment.clone()),
    };
    let glances: Vec<Glance> = tags.iter().map(glance).collect();
    let outlines = gatherer.outlines(repo, &glances).await?;
    let mut all: Vec<Candidate> = Vec::new();
    let mut last = None;
    for ((tag, version, _), outline) in tags.into_iter().zip(outlines) {
        let Some(outline) = outline else { continue };
        // Most versions of a catalog leave an environment as it was.
        let (files, found) = match (all.last(), last == Some(outline.tree)) {
            (Some(same), true) => (Arc::clone(&same.files), same.found.clone()),
            _ => {
                let files = Files::new(outline.entries.iter().cloned());
                let found = Comparison::best(local, &files);
                (Arc::new(files), found)
            }
        };
        last = Some(outline.tree);
        all.push(Candidate {
            tag,
            version,
            files,
            found,
        });
    }
    all.sort_by_key(|one| one.found.distance());
    Ok(all)
}

/// Returns the files of a directory as they are compared: without its lock, and without the config's own list.
fn compared(files: Vec<OutlineEntry>, list: &SourceList) -> Result<Files, Failure> {
    let mut list = list.clone();
    while !list.specs().is_empty() {
        list.remove(0)?;
    }
    let config = blob_id(list.text().as_bytes());
    let own = files
        .into_iter()
        .filter(|file| file.path.as_str() != file_name::LOCK);
    Ok(Files::new(own.map(|file| match file.path.as_str() {
        file_name::CONFIG => OutlineEntry { id: config, ..file },
        _ => file,
    })))
}

/// An adoption that is proved to change nothing, and what it does.
struct Adoption {
    draft: Draft,
    checkout: Checkout,
    repo: RepoUrl,
    environment: TreePath,
    candidates: Vec<Candidate>,
    exclude: Vec<String>,
    /// The files to remove, relative to the operations repo.
    removed: BTreeSet<TreePath>,
    planned: Planned,
    lock: Option<String>,
}

impl Adoption {
    async fn prepare(
        mut draft: Draft,
        repo: RepoUrl,
        environment: TreePath,
        args: &Adopt,
    ) -> Result<Self, Failure> {
        let job = Arc::clone(&draft.job);
        if draft
            .list
            .specs()
            .iter()
            .any(|spec| spec.repo == repo && spec.environment == environment)
        {
            let problem = format!(
                "{environment} of {repo} is a source of {} already",
                job.environment
            );
            return Err(Diagnostic::new(ExitCode::Config, problem)
                .hint("there is nothing to adopt")
                .into());
        }
        let checkout = Checkout::clean(&job.root, &job.environment)?;
        let local = compared(checkout.files()?, &draft.list)?;
        let gatherer = job.gatherer()?;
        let refs = gatherer.refs_of(&repo, &[all_tags_prefix().to_owned()]).await?;
        let candidates = candidates(&gatherer, &repo, &environment, &refs, &local).await?;
        let best = candidates
            .first()
            .filter(|best| !best.found.equal.is_empty())
            .ok_or_else(|| nothing_alike(&job, &repo, &environment, &candidates))?;
        let mut exclude = best.found.exclude(&best.files);
        exclude.extend(args.exclude.iter().cloned());
        let rename = best.found.rename.clone();
        let globs = Globs::new(exclude.clone()).map_err(|error| {
            Diagnostic::new(ExitCode::Usage, "a glob to leave out cannot be read").because(error)
        })?;
        let filter = Filter::new(Globs::default(), globs, true);
        let comes = |path: &&TreePath| {
            let own = own_path(path.as_str(), rename.as_deref());
            TreePath::new(own).is_ok_and(|own| filter.keeps(&own))
        };
        let config = TreePath::new(file_name::CONFIG).ok();
        let is_whole = draft.list.specs().is_empty() && config.iter().all(|config| comes(&config));
        if is_whole && best.found.equal.iter().any(|path| Some(path) == config.as_ref()) {
            // The source brings the rest of the config, too.
            draft.list = SourceList::parse(&job.file, "")?;
        }
        let mut source = NewSource::new(repo.as_str(), environment.as_str()).version(best.version.as_str());
        if let Some(name) = &rename {
            source = source.rename(name);
        }
        if !exclude.is_empty() {
            source = source.exclude(&exclude);
        }
        draft.list.add(&source)?;
        let removed: BTreeSet<TreePath> = best
            .found
            .equal
            .iter()
            .filter(|path| Some(*path) != config.as_ref())
            .filter(comes)
            .map(|path| job.environment.join(path))
            .filter(|path| !job.root.join(path.as_str()).is_symlink())
            .collect();
        let before = pipeline::plan_edited(&job, &|_| false).await?;
        let config_file = (job.environment.environment_config(), draft.list.text());
        let changes = Hidden::new(&job.root, removed.iter().cloned(), config_file);
        let edited = draft.edited().hiding(changes);
        let planned = pipeline::plan_edited(&edited, &|_| false).await?;
        let mut differing = proof::differences(
            (&job, &edited),
            &before,
            &planned,
            &removed,
            (&environment, rename.as_deref()),
        )?;
        let conflicts = planned.composition.conflicts.iter();
        differing.extend(conflicts.map(|one| {
            let own = own_path(&one.path.relative_to(&job.environment), rename.as_deref());
            (one.path.clone(), own)
        }));
        if !differing.is_empty() {
            return Err(not_the_same(args, &repo, &environment, differing).into());
        }
        // Without sources, a composition reads the local config only if it lists everything.
        let listed = pipeline::compose(&job, &before.gathered, pipeline::Local::Listed)?;
        let (was, is) = (deployments(&listed), deployments(&planned.composition));
        if was != is {
            return Err(other_deployments(&job, &was, &is).into());
        }
        Failure::check(pipeline::conflicts(&planned.composition, &planned.gathered))?;
        Ok(Self {
            draft,
            checkout,
            repo,
            environment,
            exclude,
            removed,
            planned,
            lock: None,
            candidates,
        })
    }

    /// Writes the config and the lock, and removes the files. A failure puts everything back; a
    /// signal waits until it is done.
    fn apply(&mut self) -> Result<(), Failure> {
        let job = Arc::clone(&self.draft.job);
        watch::undisturbed(|| {
            let stash = Stash::new(&job.root).map_err(|error| {
                Diagnostic::because_of(format!("the files of {} cannot be moved", job.environment), error)
            })?;
            let stash = stash.take(&self.removed)?;
            match self.draft.write(&self.planned.gathered, true) {
                Ok(lock) => self.lock = lock,
                Err(failure) => return Err(stash.put_back_after(failure)),
            }
            for path in &self.removed {
                remove_empty(&job.root, path, &job.environment);
            }
            Ok(())
        })
    }

    fn print(&self, args: &Adopt) -> Result<(), Failure> {
        let job = &self.draft.job;
        let stat = if args.dry_run {
            String::new()
        } else {
            self.checkout.diff_stat()?
        };
        match args.format {
            Format::Text => job.printer.result(&self.describe(args, &stat)),
            Format::Json => job.printer.json(&self.json(args, &stat)),
        }
    }

    fn describe(&self, args: &Adopt, stat: &str) -> String {
        let job = &self.draft.job;
        let best = &self.candidates[0];
        let mut out = format!("{} is {} of {}\n", job.environment, self.environment, self.repo);
        for (index, one) in self.candidates.iter().take(3).enumerate() {
            let nearest = if index == 0 { "  (nearest)" } else { "" };
            out.push_str(&format!("  {} in {}{nearest}\n", one.found, escape(&one.tag, 60)));
        }
        let removes = if args.dry_run {
            "would be removed"
        } else {
            "removed"
        };
        out.push_str(&format!(
            "{} {removes}: the source brings the same bytes\n",
            counted(self.removed.len(), "file")
        ));
        let lists = [
            ("kept, different from the source's", &best.found.changed),
            ("kept, only yours", &best.found.only_here),
        ];
        for (what, paths) in lists.into_iter().filter(|(_, paths)| !paths.is_empty()) {
            out.push_str(&format!("{} {what}\n", counted(paths.len(), "file")));
            list(&mut out, paths.iter().map(TreePath::as_str));
        }
        if !self.exclude.is_empty() {
            out.push_str("excluded of the source, because you do not have it or keep your own:\n");
            list(&mut out, self.exclude.iter().map(String::as_str));
        }
        out.push_str("the composition is what the directory was\n");
        if args.dry_run {
            return out + "\n" + &self.draft.diff();
        }
        if let Some(lock) = &self.lock {
            out.push_str(&format!("locked in {lock}\n"));
        }
        let environment = shell_words::quote(job.environment.as_str());
        out.push_str(&format!("\n{stat}\nundo: `git checkout -- {environment}`"));
        if !self.draft.exists() {
            out.push_str(&format!(", and remove {}", job.file));
        }
        out + &format!("\nnext: `bitops-compose plan {environment}`, then commit\n")
    }

    fn json(&self, args: &Adopt, stat: &str) -> serde_json::Value {
        let best = &self.candidates[0];
        let paths = |paths: &[TreePath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
        let candidate = |one: &Candidate| json!({"tag": one.tag, "equal": one.found.equal.len(), "of": one.found.total(), "distance": one.found.distance()});
        json!({
            "environment": self.draft.job.environment.as_str(),
            "source": {
                "repo": self.repo.as_str(),
                "environment": self.environment.as_str(),
                "version": best.version.as_str(),
                "tag": best.tag,
                "as": best.found.rename,
                "exclude": self.exclude,
            },
            "candidates": self.candidates.iter().take(3).map(candidate).collect::<Vec<_>>(),
            "equal": paths(&best.found.equal),
            "changed": paths(&best.found.changed),
            "only_here": paths(&best.found.only_here),
            "only_there": paths(&best.found.only_there),
            "removed": self.removed.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "written": !args.dry_run,
            "lock": self.lock,
            "diff": args.dry_run.then(|| self.draft.diff()),
            "diff_stat": (!args.dry_run).then_some(stat),
        })
    }
}

/// Returns the deployments that run, with their plugins, in order.
fn deployments(composition: &Composition) -> Vec<(String, String)> {
    let all = composition.deployments.iter().filter(|one| one.present);
    all.map(|one| (one.name.clone(), one.plugin.clone())).collect()
}

/// Removes directories that hold nothing any more, below the environment.
fn remove_empty(root: &Path, path: &TreePath, environment: &TreePath) {
    let mut dir = path.parent();
    while let Some(empty) = dir.filter(|dir| dir.below(environment).is_some_and(|below| !below.is_empty())) {
        if fs::remove_dir(root.join(empty.as_str())).is_err() {
            break;
        }
        dir = empty.parent();
    }
}

fn list<'a>(out: &mut String, all: impl ExactSizeIterator<Item = &'a str>) {
    let more = all.len().saturating_sub(MOST_LISTED);
    all.take(MOST_LISTED)
        .for_each(|one| out.push_str(&format!("    {one}\n")));
    if more > 0 {
        out.push_str(&format!("    and {more} more\n"));
    }
}

fn nothing_alike(job: &Job, repo: &RepoUrl, environment: &TreePath, candidates: &[Candidate]) -> Diagnostic {
    let problem = if candidates.is_empty() {
        format!("{repo} has no version with an environment `{environment}`")
    } else {
        format!(
            "no version of {environment} of {repo} has a file as it is in {}",
            job.environment
        )
    };
    Diagnostic::new(ExitCode::Config, problem)
        .hint(format!("list its environments: `bitops-compose search {repo}`"))
        .hint(format!(
            "look for all of them: `bitops-compose adopt {repo} --all`"
        ))
}

fn not_the_same(
    args: &Adopt,
    repo: &RepoUrl,
    environment: &TreePath,
    mut differing: Vec<(TreePath, String)>,
) -> Diagnostic {
    differing.sort();
    differing.dedup();
    let mut shown: Vec<String> = differing
        .iter()
        .take(MOST_LISTED)
        .map(|(path, _)| path.to_string())
        .collect();
    if differing.len() > MOST_LISTED {
        shown.push(format!("and {} more", differing.len() - MOST_LISTED));
    }
    let problem = format!(
        "the composition would not be what the directory is; nothing was changed: {}",
        shown.join(", ")
    );
    let mut words = ["bitops-compose", "adopt"].map(str::to_owned).to_vec();
    words.extend([repo.to_string(), environment.to_string()]);
    words.extend(where_to(args.to.as_deref(), &args.place));
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    let globs: BTreeSet<String> = differing.iter().map(|(_, own)| exact_glob(own)).collect();
    args.exclude
        .iter()
        .chain(&globs)
        .for_each(|glob| option("--exclude", glob));
    Diagnostic::new(ExitCode::Config, problem).hint(format!(
        "keep your own files instead of the source's: `{}`",
        shell_words::join(&words)
    ))
}

fn other_deployments(job: &Job, before: &[(String, String)], after: &[(String, String)]) -> Diagnostic {
    let names = |all: &[(String, String)]| {
        all.iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let problem = format!(
        "{} would run other deployments than it does; nothing was changed: {} instead of {}",
        job.environment,
        names(after),
        names(before)
    );
    Diagnostic::new(ExitCode::Config, problem).hint(format!(
        "list them in the order that you want in `bitops.deployments` of {}",
        job.file
    ))
}
