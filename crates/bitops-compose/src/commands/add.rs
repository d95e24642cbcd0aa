//! `add REPO ENVIRONMENT[@VERSION]`: a source more in an environment's config.

use std::sync::Arc;

use compose_model::{
    Diagnostic, ExitCode, Failure, Overview, Refs, RepoUrl, Requested, SourceSpec, TreePath, VersionRequest,
    text::{self, counted},
};
use compose_plan::{
    config::{NewSource, schema_id},
    resolve::{Bounds, Resolver, all_tags_prefix, spelled},
};
use serde_json::json;

use super::{
    DONE,
    draft::{Draft, by_directory, files_of, source_of, where_to},
    pasted,
};
use crate::{
    cli::{self, Add, Format},
    job::Job,
    pipeline::{self, Planned},
    runtime,
};

/// The most paths that are proposed to be left out one by one.
const MOST_EXCLUDED: usize = 4;

/// What the command line asks to be added.
struct Wanted {
    repo: RepoUrl,
    environment: TreePath,
    /// A version or a ref; the newest stable version without any.
    requested: Option<Requested>,
    /// The ref in a page's address, which may be the tag of a version.
    pasted: Option<String>,
}

/// Adds the source, or changes it in place, if the result can be composed.
pub(crate) fn run(args: &Add) -> Result<u8, Failure> {
    let wanted = wanted(args)?;
    let first = if args.modeline {
        format!("# yaml-language-server: $schema={}\n", schema_id())
    } else {
        String::new()
    };
    let draft = Draft::open_or_new(&args.place, args.to.as_deref(), &first)?;
    let job = Arc::clone(&draft.job);
    let done = runtime::run(job.settings.jobs, add(draft, wanted, args));
    done.and_then(|added| added.print(&job, args)).or_else(|failure| {
        job.printer.problems(failure.diagnostics());
        Ok(failure.code().code())
    })
}

fn wanted(args: &Add) -> Result<Wanted, Diagnostic> {
    let pasted = pasted(&args.repo)?;
    let (name, version) = match args
        .environment
        .as_deref()
        .map(|word| word.rsplit_once('@').unwrap_or((word, "")))
    {
        Some((name, version)) => (Some(name.to_owned()), version),
        None => (None, ""),
    };
    let name = name.or(pasted.directory).ok_or_else(|| {
        Diagnostic::new(ExitCode::Usage, "no environment of the repo is named")
            .hint(format!(
                "list its environments: `bitops-compose search {}`",
                shell_words::quote(&args.repo)
            ))
            .hint(format!(
                "name one: `bitops-compose add {} ENVIRONMENT`",
                args.repo
            ))
    })?;
    let environment = TreePath::new(name.trim_matches('/')).map_err(|error| {
        let problem = format!("`{}` is not a directory of a repo", text::escape(&name, 120));
        Diagnostic::new(ExitCode::Usage, problem).because(error)
    })?;
    let requested = match (&args.reference, version) {
        (Some(_), version) if !version.is_empty() => {
            return Err(
                Diagnostic::new(ExitCode::Usage, "both a version and --ref are named")
                    .hint("leave out one of them"),
            );
        }
        (Some(reference), _) => Some(Requested::Ref(reference.clone())),
        (None, "") => None,
        // What is no version can only be a branch, a tag or a commit.
        (None, version) => Some(
            VersionRequest::parse(version)
                .map_or_else(|_| Requested::Ref(version.to_owned()), Requested::Version),
        ),
    };
    Ok(Wanted {
        repo: pasted.repo,
        environment,
        requested,
        pasted: pasted.reference,
    })
}

/// The source as it was added, or would be.
struct Added {
    planned: Planned,
    spec: SourceSpec,
    /// Whether an entry was changed instead.
    was_there: bool,
    /// The name of the lock, if it was written.
    lock: Option<String>,
    /// The change of the config, with `--dry-run`.
    diff: Option<String>,
    has_lock: bool,
}

async fn add(mut draft: Draft, wanted: Wanted, args: &Add) -> Result<Added, Failure> {
    let requested = requested(&draft.job, &wanted, args).await?;
    let mut source = NewSource::new(wanted.repo.as_str(), wanted.environment.as_str());
    source = match &requested {
        Requested::Version(version) => source.version(version.as_str()),
        Requested::Ref(name) => source.reference(name),
    };
    let with = |mut source: NewSource, rename: Option<&str>, exclude: &[String]| {
        if let Some(name) = rename {
            source = source.rename(name);
        }
        if !exclude.is_empty() {
            source = source.exclude(exclude);
        }
        source
    };
    let is_it = |spec: &SourceSpec| spec.repo == wanted.repo && spec.environment == wanted.environment;
    let there = draft.list.specs().iter().position(is_it);
    let unchanged = draft.list.clone();
    let put = |draft: &mut Draft, source: &NewSource| match there {
        Some(index) => draft.list.change(index, source).map(|()| index),
        None => draft.list.add(source),
    };
    let index = put(
        &mut draft,
        &with(source.clone(), args.rename.as_deref(), &args.exclude),
    )?;
    let planned = pipeline::plan_edited(&draft.edited(), &|_| false).await?;
    let mut conflicts = pipeline::conflicts(&planned.composition, &planned.gathered);
    if !conflicts.is_empty() {
        let mut hints = Vec::new();
        for (rename, exclude) in proposals(&planned, args, &draft, index) {
            draft.list = unchanged.clone();
            put(&mut draft, &with(source.clone(), rename.as_deref(), &exclude))?;
            let tried = pipeline::plan_edited(&draft.edited(), &|_| false).await;
            if tried.is_ok_and(|tried| tried.composition.conflicts.is_empty()) {
                let command = command(args, &wanted, &requested, rename.as_deref(), &exclude);
                hints.push(format!("add it without these conflicts: `{command}`"));
            }
        }
        give_hints(&mut conflicts, &hints);
        return Err(conflicts.into());
    }
    draft.job.warn(&planned.gathered.warnings);
    draft.job.warn(&planned.composition.warnings);
    let (lock, diff) = if args.dry_run {
        (None, Some(draft.diff()))
    } else {
        (draft.write(&planned.gathered, !args.no_lock)?, None)
    };
    Ok(Added {
        spec: draft.list.specs()[index].clone(),
        was_there: there.is_some(),
        has_lock: draft.job.lock_file().path().exists(),
        planned,
        lock,
        diff,
    })
}

/// Returns what the entry asks for: what the command line says, else the newest stable version.
async fn requested(job: &Job, wanted: &Wanted, args: &Add) -> Result<Requested, Failure> {
    let bounds = match args.bounds {
        cli::Bounds::Exact => Bounds::Exact,
        cli::Bounds::Minor => Bounds::Minor,
        cli::Bounds::Major => Bounds::Major,
    };
    if let Some(requested) = &wanted.requested {
        return Ok(bounded(requested, bounds));
    }
    let refs = job
        .gatherer()?
        .refs_of(&wanted.repo, &[all_tags_prefix().to_owned()])
        .await?;
    if let Some(pasted) = &wanted.pasted {
        let version = spelled(&wanted.environment, pasted, bounds, &refs);
        return Ok(version.map_or_else(|| Requested::Ref(pasted.clone()), Requested::Version));
    }
    let tag = Resolver::new(&refs)
        .newest(&wanted.environment, false)
        .ok_or_else(|| no_version(wanted, &refs))?;
    let version = spelled(&wanted.environment, &tag, bounds, &refs);
    Ok(version.map_or(Requested::Ref(tag), Requested::Version))
}

/// Returns the range that the bounds make of an exact version.
fn bounded(requested: &Requested, bounds: Bounds) -> Requested {
    let operator = match bounds {
        Bounds::Exact => return requested.clone(),
        Bounds::Minor => "~",
        Bounds::Major => "^",
    };
    let range = match requested {
        Requested::Version(version) => {
            let bare = version.as_str().trim_start_matches('v');
            let is_exact = matches!(version.kind(), compose_model::version::VersionKind::Exact(_));
            is_exact
                .then(|| VersionRequest::parse(&format!("{operator}{bare}")).ok())
                .flatten()
        }
        Requested::Ref(_) => None,
    };
    range.map_or_else(|| requested.clone(), Requested::Version)
}

fn no_version(wanted: &Wanted, refs: &Refs) -> Diagnostic {
    let (repo, environment) = (&wanted.repo, &wanted.environment);
    let problem = Diagnostic::new(
        ExitCode::Config,
        format!("{repo} has no tag that is a stable version of `{environment}`"),
    );
    match Resolver::new(refs).newest(environment, true) {
        Some(tag) => problem.hint(format!(
            "the newest pre-release: `bitops-compose add {repo} {environment} --ref {tag}`"
        )),
        None => problem.hint(format!(
            "follow its default branch: `bitops-compose add {repo} {environment} --ref HEAD`"
        )),
    }
}

/// Adds hints about all conflicts.
fn give_hints(conflicts: &mut [Diagnostic], hints: &[String]) {
    if let Some(last) = conflicts.last_mut() {
        last.hints.extend_from_slice(hints);
    }
    let overview = conflicts.first().and_then(|first| first.overview.clone());
    if let Some(overview) = overview {
        let mut overview = Overview::clone(&overview);
        overview.hints.extend_from_slice(hints);
        let overview = Arc::new(overview);
        for conflict in conflicts {
            conflict.overview = Some(Arc::clone(&overview));
        }
    }
}

/// Returns changes of the entry that may settle the conflicts: an `as`, and globs to leave out.
fn proposals(
    planned: &Planned,
    args: &Add,
    draft: &Draft,
    index: usize,
) -> Vec<(Option<String>, Vec<String>)> {
    let composition = &planned.composition;
    let mut paths: Vec<String> = composition
        .conflicts
        .iter()
        .map(|conflict| conflict.path.relative_to(&composition.environment).into_owned())
        .filter(|path| !path.starts_with("../"))
        .collect();
    paths.sort();
    paths.dedup();
    let mut all = Vec::new();
    if args.rename.is_none() {
        let spec = &draft.list.specs()[index];
        let name = spec.environment.as_str().rsplit('/').next().unwrap_or_default();
        all.push((Some(name.to_owned()), args.exclude.clone()));
    }
    if !paths.is_empty() && paths.len() <= MOST_EXCLUDED {
        let exclude = args.exclude.iter().cloned().chain(paths).collect();
        all.push((args.rename.clone(), exclude));
    }
    all
}

/// Returns the command line with other options for the entry.
fn command(
    args: &Add,
    wanted: &Wanted,
    requested: &Requested,
    rename: Option<&str>,
    exclude: &[String],
) -> String {
    let mut words = vec![
        "bitops-compose".to_owned(),
        "add".to_owned(),
        wanted.repo.to_string(),
    ];
    match requested {
        Requested::Version(version) => words.push(format!("{}@{}", wanted.environment, version.as_str())),
        Requested::Ref(name) => {
            words.extend([wanted.environment.to_string(), "--ref".to_owned(), name.clone()]);
        }
    }
    words.extend(where_to(args.to.as_deref(), &args.place));
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    rename.iter().for_each(|name| option("--as", name));
    exclude.iter().for_each(|glob| option("--exclude", glob));
    shell_words::join(&words)
}

impl Added {
    fn print(&self, job: &Job, args: &Add) -> Result<u8, Failure> {
        let files = source_of(&self.planned.gathered, &self.spec)
            .map(|(id, _)| files_of(&self.planned.gathered, id))
            .unwrap_or_default();
        let (line, _) = self.spec.place.line_column();
        match args.format {
            Format::Text => job.printer.result(&self.describe(job, line, &files))?,
            Format::Json => {
                let source = source_of(&self.planned.gathered, &self.spec).map(|(_, source)| source);
                let hooks: Vec<_> = files
                    .iter()
                    .filter(|(_, hook)| *hook)
                    .map(|(path, _)| path.as_str())
                    .collect();
                job.printer.json(&json!({
                    "environment": job.environment.as_str(),
                    "file": &*job.file,
                    "line": line,
                    "changed": self.was_there,
                    "written": self.diff.is_none(),
                    "lock": self.lock,
                    "source": {
                        "repo": self.spec.repo.as_str(),
                        "environment": self.spec.environment.as_str(),
                        "requested": self.spec.requested.as_str(),
                        "resolved": source.map(|source| source.resolved.name.as_str()),
                        "commit": source.map(|source| source.resolved.commit.to_string()),
                    },
                    "files": files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
                    "hooks": hooks,
                    "diff": self.diff,
                }))?;
            }
        }
        Ok(DONE)
    }

    fn describe(&self, job: &Job, line: usize, files: &[(TreePath, bool)]) -> String {
        let spec = &self.spec;
        let did = match (self.was_there, self.diff.is_some()) {
            (false, false) => "added",
            (true, false) => "changed",
            (false, true) => "would add",
            (true, true) => "would change",
        };
        let source = source_of(&self.planned.gathered, spec);
        let version = source.map_or_else(String::new, |(_, source)| {
            format!(
                "`{}` ({})",
                source.resolved.name,
                source.resolved.commit.abbreviated()
            )
        });
        let mut out = format!(
            "{}:{line}: {did} {} of {}, {} is {version}\n",
            job.file,
            spec.environment,
            spec.repo,
            spec.requested.as_str()
        );
        out.push_str(&format!(
            "  {}: {}\n",
            counted(files.len(), "file"),
            by_directory(files.iter().map(|(path, _)| path))
        ));
        let hooks: Vec<&TreePath> = files
            .iter()
            .filter(|(_, hook)| *hook)
            .map(|(path, _)| path)
            .collect();
        if !hooks.is_empty() {
            let verb = if hooks.len() == 1 { "runs" } else { "run" };
            out.push_str(&format!(
                "  {} {verb} with your credentials:\n",
                counted(hooks.len(), "hook")
            ));
            hooks
                .iter()
                .for_each(|hook| out.push_str(&format!("    {hook}\n")));
        }
        if let Some(diff) = &self.diff {
            return out + "\n" + diff;
        }
        if let Some(lock) = &self.lock {
            out.push_str(&format!("  locked in {lock}\n"));
        }
        let environment = shell_words::quote(job.environment.as_str());
        out.push_str(&format!(
            "next: `bitops-compose plan {environment}` shows the composition"
        ));
        if !self.has_lock {
            out.push_str(&format!(
                ", `bitops-compose lock {environment}` locks its commits"
            ));
        }
        out + "\n"
    }
}
