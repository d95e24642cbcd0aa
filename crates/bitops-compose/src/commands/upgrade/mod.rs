//! `upgrade`: newer versions in an environment's config.
//!
//! | module | holds |
//! |---|---|
//! | `page` | the result as text, as a page of Markdown and as JSON |

mod page;

use std::{collections::BTreeMap, sync::Arc};

use compose_model::{
    Diagnostic, ExitCode, Failure, Nesting, Refs, Requested, SourceSpec, VersionRequest, text,
};
use compose_plan::{
    config,
    lock::{Lock, Locked},
    resolve::{Left, NewVersion, Resolver, Upgrade},
};
use compose_sources::{blocking, refuse_moved};

use super::{
    DONE,
    draft::{Draft, is_called, source_of},
    each::{Answer, each},
    newer::{self, Newer, Taking},
    words::{Named, Sources},
};
use crate::{
    cli::{self, Place, UpdateFormat},
    diff::{self, FileDiff, State},
    job::Job,
    pipeline::{self, Planned},
    target,
};

/// The exit code of `--check` if a version would move.
const WOULD_MOVE: u8 = 1;

/// What the command line asks for.
#[derive(Clone)]
struct Wanted {
    sources: Sources,
    place: Place,
    taking: Taking,
    /// The version of `--to`.
    to: Option<VersionRequest>,
    dry_run: bool,
    check: bool,
    accept_moved: bool,
    format: UpdateFormat,
}

impl Wanted {
    /// Returns the command line that shows what would change in one environment.
    fn command(&self, job: &Job) -> String {
        let mut words = vec!["bitops-compose".to_owned(), "upgrade".to_owned()];
        words.extend(target::options(
            &self.place,
            &job.root,
            job.environment.as_str(),
            "-e",
        ));
        words.extend(self.sources.names.iter().cloned());
        match &self.to {
            Some(to) => words.extend(["--to".to_owned(), to.as_str().to_owned()]),
            None if self.taking == Taking::Major => words.push("--major".to_owned()),
            None => {}
        }
        words.push("--dry-run".to_owned());
        shell_words::join(&words)
    }
}

/// What became of an environment's config.
struct Upgraded {
    moved: Vec<Moved>,
    stayed: Vec<Stayed>,
    /// Sources that other sources name, and that moved with them: before and after.
    nested: Vec<(Locked, Locked)>,
    /// The composed files that change; `None` if the composition before is not known.
    files: Option<Vec<FileDiff>>,
    /// The name of the lock, if it was written.
    lock: Option<String>,
    dry_run: bool,
    /// The command line that shows what would change.
    command: String,
}

/// An entry that moved.
struct Moved {
    /// The entry as it was.
    spec: SourceSpec,
    to: NewVersion,
    /// The tag that it was at, where it is known.
    before: Option<String>,
    /// A version further away, with the command that takes it.
    further: Option<(NewVersion, String)>,
}

/// An entry that stayed.
struct Stayed {
    spec: SourceSpec,
    why: Left,
    /// A version that can be had, with the command that takes it.
    further: Option<(NewVersion, String)>,
}

/// Moves the versions of each environment's config.
pub(crate) fn run(args: &cli::Upgrade) -> Result<u8, Failure> {
    let named = Named::of(&args.named, has_source)?;
    let wanted = Wanted {
        to: args.to.as_deref().map(version_of).transpose()?,
        sources: named.sources.clone(),
        place: args.named.place.clone(),
        taking: if args.major {
            Taking::Major
        } else {
            Taking::Compatible
        },
        dry_run: args.dry_run,
        check: args.check,
        accept_moved: args.accept_moved,
        format: args.format,
    };
    if let (Some(_), [_, _, ..]) = (&wanted.to, named.sources.names.as_slice()) {
        return Err(for_one_source().into());
    }
    let code = each(&args.named.place, named.asked(), args.format.kind(), |job| {
        let wanted = wanted.clone();
        async move {
            Failure::check(job.ignored_lists())?;
            let draft = Draft::of(Arc::clone(&job))?;
            let upgraded = upgrade(draft, &wanted).await?;
            answer(&job, &upgraded, &wanted)
        }
    })?;
    named.sources.settle(code, |name| {
        let problem = format!("no source is called `{}`", text::escape(name, 120));
        Diagnostic::new(ExitCode::Usage, problem).hint("`bitops-compose check --all` lists the sources")
    })
}

fn answer(job: &Job, upgraded: &Upgraded, wanted: &Wanted) -> Result<Answer, Failure> {
    let code = if wanted.check && !upgraded.moved.is_empty() {
        WOULD_MOVE
    } else {
        DONE
    };
    match wanted.format {
        UpdateFormat::Text => Ok(Answer::for_people(page::for_people(job, upgraded), code)),
        UpdateFormat::Markdown => Ok(Answer::verbatim(page::markdown(job, upgraded), code)),
        UpdateFormat::Json => Answer::json(job, &page::json(job, upgraded), code),
    }
}

/// Returns whether the config of an environment has a source of that name.
fn has_source(job: &Job, name: &str) -> bool {
    let specs = config::parse(&job.file, &job.text, Nesting::Root);
    specs.is_ok_and(|specs| specs.iter().any(|spec| is_called(name, spec)))
}

async fn upgrade(mut draft: Draft, wanted: &Wanted) -> Result<Upgraded, Failure> {
    let chosen = chosen(&draft, wanted)?;
    let command = wanted.command(&draft.job);
    let (mut moved, stayed) = decided(&draft, wanted, &chosen).await?;
    if moved.is_empty() {
        return Ok(Upgraded {
            moved: Vec::new(),
            stayed,
            nested: Vec::new(),
            files: Some(Vec::new()),
            lock: None,
            dry_run: wanted.dry_run,
            command,
        });
    }
    for (index, one) in &moved {
        draft.list.set_version(*index, one.to.version.as_str())?;
    }
    let specs: Vec<SourceSpec> = moved.iter().map(|(_, one)| one.spec.clone()).collect();
    let is_moved = |locked: &Locked| specs.iter().any(|spec| is_of(locked, spec));
    let edited = draft.edited();
    let (before, after) = tokio::join!(
        pipeline::plan_edited(&draft.job, &|_| false),
        pipeline::plan_edited(&edited, &is_moved)
    );
    let after = after?;
    Failure::check(pipeline::conflicts(&after.composition, &after.gathered))?;
    let old = draft.job.lock_file().read()?.unwrap_or_default();
    refuse_moved(&old, &after.gathered.lock(), wanted.accept_moved)?;
    draft.job.warn(&after.gathered.warnings);
    draft.job.warn(&after.composition.warnings);
    let lock = if wanted.dry_run {
        None
    } else {
        draft.write_locked(&after.gathered)?
    };
    let (nested, files) = match before {
        Ok(before) => {
            for (_, one) in &mut moved {
                let there = source_of(&before.gathered, &one.spec);
                one.before = there.map(|(_, source)| source.resolved.name.clone());
            }
            let nested = moved_along(&before.gathered.lock(), &after.gathered.lock());
            let job = Arc::clone(&draft.job);
            let files = blocking(move || compared(&job, &before, &after)).await?;
            (nested, Some(files))
        }
        Err(failure) => {
            let problems = failure.into_diagnostics().into_iter();
            let warnings: Vec<_> = problems.map(Diagnostic::into_warning).collect();
            draft.job.warn(&warnings);
            (Vec::new(), None)
        }
    };
    Ok(Upgraded {
        moved: moved.into_iter().map(|(_, one)| one).collect(),
        stayed,
        nested,
        files,
        lock,
        dry_run: wanted.dry_run,
        command,
    })
}

/// Returns the indexes of the entries that are meant.
fn chosen(draft: &Draft, wanted: &Wanted) -> Result<Vec<usize>, Failure> {
    let specs = draft.list.specs();
    let is_there = |name: &str| specs.iter().any(|spec| is_called(name, spec));
    wanted.sources.check(is_there, |name| match draft.find(name) {
        Err(problem) => problem,
        Ok(_) => for_one_source(),
    })?;
    let means = |at: &usize| wanted.sources.mean(|name| is_called(name, &specs[*at]));
    let chosen: Vec<usize> = (0..specs.len()).filter(means).collect();
    if wanted.to.is_some() && chosen.len() > 1 {
        return match wanted.sources.names.first() {
            Some(name) => Err(draft.find(name).err().unwrap_or_else(for_one_source).into()),
            None => Err(for_one_source().into()),
        };
    }
    Ok(chosen)
}

/// An entry that moves, by its index.
type ToMove = (usize, Moved);

/// Looks at the tags of the entries' repos, and decides what becomes of each entry.
async fn decided(
    draft: &Draft,
    wanted: &Wanted,
    chosen: &[usize],
) -> Result<(Vec<ToMove>, Vec<Stayed>), Failure> {
    let specs = draft.list.specs();
    let asked: Vec<SourceSpec> = chosen.iter().map(|at| specs[*at].clone()).collect();
    let current = draft.job.gatherer()?.tags(&asked).await?;
    Failure::check(current.problems)?;
    let none = Refs::default();
    let mut resolvers = BTreeMap::new();
    let (mut moved, mut stayed) = (Vec::new(), Vec::new());
    for (at, spec) in chosen.iter().zip(asked) {
        let refs = current.refs.get(spec.repo.key());
        let resolver = resolvers
            .entry(spec.repo.key().to_owned())
            .or_insert_with(|| Resolver::new(refs.map_or(&none, |refs| refs)));
        let newer = Newer::of(&spec, resolver);
        let upgrade = match &wanted.to {
            Some(to) => to_version(&spec, to, resolver, (&wanted.place, &draft.job))?,
            None if wanted.taking == Taking::Major => newer.newest.clone(),
            None => newer.compatible.clone(),
        };
        let is_further = |new: &NewVersion| match &upgrade {
            Upgrade::Moves(to) => wanted.to.is_none() && to != new,
            Upgrade::Left(why) => matches!(why, Left::Incompatible | Left::Range | Left::Alias),
        };
        let further = newer.outside().into_iter().find(|(_, new)| is_further(new));
        let further = further
            .filter(|_| wanted.taking != Taking::Major)
            .map(|(taking, new)| {
                let command = newer::command(&wanted.place, &draft.job, specs, &spec, taking);
                (new.clone(), command)
            });
        match upgrade {
            Upgrade::Moves(to) => {
                let resolved = resolver.resolve(&spec.environment, &spec.requested).ok();
                let before = resolved.map(|found| found.name);
                moved.push((
                    *at,
                    Moved {
                        spec,
                        to,
                        before,
                        further,
                    },
                ));
            }
            Upgrade::Left(why) => stayed.push(Stayed { spec, why, further }),
        }
    }
    Ok((moved, stayed))
}

/// Returns what `--to` makes of an entry. A version that does not exist is reported when the result is resolved.
fn to_version(
    spec: &SourceSpec,
    to: &VersionRequest,
    resolver: &Resolver<'_>,
    (place, job): (&Place, &Job),
) -> Result<Upgrade, Diagnostic> {
    if let Requested::Ref(name) = &spec.requested {
        let problem = format!(
            "{} of {} is at the ref `{}`, not at a version",
            spec.environment,
            spec.repo,
            text::escape(name, 120)
        );
        let added = format!("{}@{}", spec.environment, to.as_str());
        let words = ["bitops-compose", "add", spec.repo.as_str(), &added].map(str::to_owned);
        let options = target::options(place, &job.root, job.environment.as_str(), "--to");
        let command = shell_words::join(words.into_iter().chain(options));
        return Err(Diagnostic::new(ExitCode::Usage, problem)
            .with_place(spec.requested_place())
            .hint(format!("put it at the version: `{command}`")));
    }
    let requested = Requested::Version(to.clone());
    if requested.as_str() == spec.requested.as_str() {
        return Ok(Upgrade::Left(Left::Newest));
    }
    let resolved = resolver.resolve(&spec.environment, &requested).ok();
    Ok(Upgrade::Moves(NewVersion {
        version: to.clone(),
        tag: resolved.map_or_else(String::new, |found| found.name),
    }))
}

fn is_of(locked: &Locked, spec: &SourceSpec) -> bool {
    locked.repo == spec.repo && locked.environment == spec.environment
}

/// Returns the sources that other sources name and that are at other commits now.
fn moved_along(before: &Lock, after: &Lock) -> Vec<(Locked, Locked)> {
    let changes = before.changes(after);
    let both = changes
        .iter()
        .filter_map(|change| change.before().zip(change.after()));
    both.filter(|(_, after)| !after.via.is_empty())
        .map(|(before, after)| (before.clone(), after.clone()))
        .collect()
}

/// Returns the composed files that change; what runs comes first.
fn compared(job: &Job, before: &Planned, after: &Planned) -> Result<Vec<FileDiff>, Failure> {
    let mut files = diff::files(
        &State {
            job,
            composition: &before.composition,
            gathered: &before.gathered,
            name: "now",
        },
        &State {
            job,
            composition: &after.composition,
            gathered: &after.gathered,
            name: "upgrade",
        },
    )?;
    files.sort_by_key(|file| !file.runs);
    Ok(files)
}

fn version_of(text: &str) -> Result<VersionRequest, Diagnostic> {
    VersionRequest::parse(text).map_err(|error| {
        let hint = error.hint();
        Diagnostic::new(ExitCode::Usage, format!("`--to` is not usable: {error}")).hint(hint)
    })
}

fn for_one_source() -> Diagnostic {
    Diagnostic::new(ExitCode::Usage, "`--to` is for exactly one source")
        .hint("name the source: `upgrade SOURCE --to VERSION`")
}
