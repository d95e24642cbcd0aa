//! One repo's part: refs, commits, signatures.

use std::sync::Arc;

use compose_git::{Looked, Repo, Root, Snapshot, Want};
use compose_model::{Cause, Diagnostic, ExitCode, Failure, Refs, SourceSpec, TreePath, text};
use compose_plan::{
    layer::Part,
    lock::{self, Locked},
    resolve::{self, NodeId, Resolved, Resolver},
};

use crate::verify::{Verified, Verifier};

/// One entry on its way through the stages of its repo.
pub(crate) struct Entry {
    pub(crate) node: NodeId,
    pub(crate) spec: SourceSpec,
    /// What the lock answers; such an entry needs no look at the refs.
    pub(crate) locked: Option<Locked>,
}

/// One source whose bytes are at hand.
pub(crate) struct Fetched {
    pub(crate) spec: SourceSpec,
    pub(crate) resolved: Resolved,
    pub(crate) snapshot: Snapshot,
    /// Its directories, lowest layer first: what was fetched, and what it contributes.
    pub(crate) parts: Vec<(Part, Root)>,
    pub(crate) verified: Option<Verified>,
    /// What the user should know of, if the source is a part of the composition.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// An entry whose commit is known.
struct Wanted {
    entry: Entry,
    resolved: Resolved,
    parts: Vec<(Part, Root)>,
    want: Want,
    warnings: Vec<Diagnostic>,
}

/// What became of each entry.
pub(crate) type Results = Vec<(NodeId, Result<Fetched, Failure>)>;

/// Resolves and fetches entries of one repo, and verifies those that must be signed.
pub(crate) async fn fetch(repo: &Repo, entries: Vec<Entry>, verifier: &Verifier) -> Results {
    let mut results = Vec::new();
    let mut wanted = Vec::new();
    for (entry, resolved) in resolve(repo, entries).await {
        match resolved {
            Ok((resolved, warnings)) => {
                let parts = parts(&entry.spec);
                wanted.push(Wanted {
                    want: want(&resolved, &parts),
                    entry,
                    resolved,
                    parts,
                    warnings,
                });
            }
            Err(problem) => results.push((entry.node, Err(with_place(problem, &entry.spec).into()))),
        }
    }
    for (wanted, snapshot) in snapshots(repo, wanted).await {
        let (node, spec) = (wanted.entry.node, wanted.entry.spec.clone());
        let fetched = match snapshot {
            Ok(snapshot) => verified(repo, wanted, snapshot, verifier).await,
            Err(problem) => Err(problem.into()),
        };
        let placed = |failure: Failure| {
            let problems = failure.into_diagnostics().into_iter();
            problems
                .map(|problem| with_place(problem, &spec))
                .collect::<Vec<_>>()
                .into()
        };
        results.push((node, fetched.map_err(placed)));
    }
    results
}

async fn verified(
    repo: &Repo,
    wanted: Wanted,
    snapshot: Snapshot,
    verifier: &Verifier,
) -> Result<Fetched, Failure> {
    let Entry { spec, locked, .. } = wanted.entry;
    // Before anything of it is used, its own sources included.
    if let Some(locked) = &locked {
        as_locked(&spec, locked, &snapshot)?;
    }
    let verified = verifier
        .verify(repo, &spec, &wanted.resolved, locked.is_some(), &snapshot)
        .await?;
    Ok(Fetched {
        spec,
        resolved: wanted.resolved,
        snapshot,
        parts: wanted.parts,
        verified,
        warnings: wanted.warnings,
    })
}

/// The commit is the locked one, so its trees are: where they are not, somebody edited the lock.
fn as_locked(spec: &SourceSpec, locked: &Locked, snapshot: &Snapshot) -> Result<(), Diagnostic> {
    let tree = snapshot.tree(&spec.environment)?;
    if tree == Some(locked.tree) {
        return Ok(());
    }
    let (environment, repo, commit) = (&spec.environment, &spec.repo, locked.commit.short());
    let found = tree.map_or_else(
        || "it does not exist".to_owned(),
        |tree| format!("it is the tree {}", tree.short()),
    );
    let wanted = locked.tree.short();
    let message = format!(
        "`{environment}` of {repo} is not what was locked: in commit {commit} {found}, and the lock says {wanted}"
    );
    Err(Diagnostic::new(ExitCode::Config, message).hint(lock::RESTORE))
}

/// One request for all; where that fails for a reason that is one source's own, one for each, so that only those
/// fail that must.
async fn snapshots(repo: &Repo, wanted: Vec<Wanted>) -> Vec<(Wanted, Result<Snapshot, Diagnostic>)> {
    let wants: Vec<Want> = wanted.iter().map(|wanted| wanted.want.clone()).collect();
    if wants.is_empty() {
        return Vec::new();
    }
    let error = match repo.fetch(&wants).await {
        Ok(snapshots) => return wanted.into_iter().zip(snapshots.into_iter().map(Ok)).collect(),
        Err(error) => Arc::new(error),
    };
    let is_of_one = wants.len() > 1 && error.exit_code() == ExitCode::Config;
    let mut results = Vec::new();
    for wanted in wanted {
        let all = || not_fetched(Arc::clone(&error), &wanted.entry);
        let one = if is_of_one {
            let one = repo.fetch(std::slice::from_ref(&wanted.want)).await;
            one.map_err(|error| not_fetched(Arc::new(error), &wanted.entry))
        } else {
            Err(all())
        };
        let one = one.and_then(|mut snapshots| snapshots.pop().ok_or_else(all));
        results.push((wanted, one));
    }
    results
}

fn not_fetched(error: Arc<compose_git::Error>, entry: &Entry) -> Diagnostic {
    let is_gone = matches!(*error, compose_git::Error::NoCommit { .. });
    let mut problem = Diagnostic::from(error);
    if entry.locked.is_some() && is_gone {
        problem.hints = vec![
            "the lock names it: `bitops-compose outdated` tells what became of its tag or branch, and `bitops-compose update` locks what the repo has now"
                .to_owned(),
        ];
    }
    problem
}

/// The commit of each entry, with what there is to say of it.
type Resolution = Result<(Resolved, Vec<Diagnostic>), Diagnostic>;

/// Stage 2: what the lock answers, and for the rest one look at just the refs that they need.
async fn resolve(repo: &Repo, entries: Vec<Entry>) -> Vec<(Entry, Resolution)> {
    let (locked, live): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.locked.is_some());
    let mut results = resolve_live(repo, live).await;
    results.extend(locked.into_iter().filter_map(|entry| {
        let resolved = entry.locked.as_ref()?.to_resolved();
        Some((entry, Ok((resolved, Vec::new()))))
    }));
    results
}

async fn resolve_live(repo: &Repo, entries: Vec<Entry>) -> Vec<(Entry, Resolution)> {
    let prefixes = resolve::prefixes(
        entries
            .iter()
            .map(|entry| (&entry.spec.environment, &entry.spec.requested)),
    );
    let looked = if prefixes.is_empty() {
        Ok(Looked {
            before: None,
            now: Arc::default(),
        })
    } else {
        repo.look(&prefixes).await
    };
    let Looked { before, now: refs } = match looked {
        Ok(looked) => looked,
        Err(error) => {
            let problem = Diagnostic::from(error);
            return entries
                .into_iter()
                .map(|entry| (entry, Err(problem.clone())))
                .collect();
        }
    };
    let resolver = Resolver::new(&refs);
    let mut results = Vec::new();
    for entry in entries {
        let (environment, requested) = (&entry.spec.environment, &entry.spec.requested);
        let mut resolved = resolver.resolve(environment, requested);
        if let Err(error) = &resolved
            && let more = error
                .prefixes()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
            && !more.is_empty()
            && let Ok(all) = repo.refs(&more).await
        {
            // The same failure, told with what there is.
            resolved = resolve::resolve((environment, requested), &all);
        }
        let resolved = match resolved {
            Ok(resolved) => {
                let warnings = warnings(&entry.spec, &resolved, before.as_deref());
                Ok((resolved, warnings))
            }
            Err(error) => {
                let message = format!("{}: {error}", entry.spec.repo);
                Err(Diagnostic::because_of(message, error).at(entry.spec.requested_place()))
            }
        };
        results.push((entry, resolved));
    }
    results
}

fn warnings(spec: &SourceSpec, resolved: &Resolved, before: Option<&Refs>) -> Vec<Diagnostic> {
    let warning = |message: String| Diagnostic::warning(message).at(spec.requested_place());
    let moved = before
        .filter(|_| resolved.kind == resolve::Kind::Tag)
        .and_then(|before| before.tag(&resolved.name))
        .filter(|before| before.target != resolved.commit)
        .map(|before| {
            warning(format!(
                "the tag `{}` of {} was moved: it was at {} when this cache last saw it, and is at {} now",
                text::escape(&resolved.name, 120),
                spec.repo,
                before.target.short(),
                resolved.commit.short()
            ))
            .hint("ask the catalog's owner why; with a lock (`bitops-compose lock`) deployments keep to the commits")
        });
    let told = resolved
        .warning
        .as_ref()
        .map(|told| warning(format!("{}: {told}", spec.repo)));
    moved.into_iter().chain(told).collect()
}

fn want(resolved: &Resolved, parts: &[(Part, Root)]) -> Want {
    Want {
        commit: resolved.commit,
        refname: resolved.refname.clone(),
        roots: parts.iter().map(|(_, root)| root.clone()).collect(),
    }
}

/// The directories of a source, lowest layer first, with what its filter leaves of each.
fn parts(spec: &SourceSpec) -> Vec<(Part, Root)> {
    let filtered = |dir: &TreePath| Root {
        dir: dir.clone(),
        filter: spec.filter.clone(),
    };
    let mut parts = Vec::new();
    if let Some(dir) = &spec.default_folder {
        parts.push((Part::DefaultFolder(dir.clone()), filtered(dir)));
    }
    parts.push((Part::Environment, filtered(&spec.environment)));
    for dir in &spec.shared {
        parts.push((Part::Shared(dir.clone()), Root::whole(dir.clone())));
    }
    parts
}

/// A problem without a place is about the entry that named the source.
pub(crate) fn with_place(problem: Diagnostic, spec: &SourceSpec) -> Diagnostic {
    problem.or_at(&spec.place)
}
