//! Resolving, fetching and verifying the entries of one repo.

use std::sync::Arc;

use compose_git::{ObservedRefs, Repo, Root, Snapshot, Want};
use compose_model::{Cause, Diagnostic, ExitCode, Failure, Refs, SourceSpec, TreePath};
use compose_plan::{
    config::{DeploymentsError, EnvironmentConfig},
    layer::{Part, Signature},
    lock::Locked,
    resolve::{self, NodeId, Resolved, Resolver},
};

use crate::{nested, verify::Verifier, wording};

/// An entry to resolve and fetch.
pub(crate) struct Entry {
    pub(crate) node: NodeId,
    pub(crate) spec: SourceSpec,
    /// The lock's answer. If there is one, no refs are requested.
    pub(crate) locked: Option<Locked>,
}

/// A fetched and verified source.
pub(crate) struct Fetched {
    pub(crate) spec: SourceSpec,
    pub(crate) resolved: Resolved,
    pub(crate) snapshot: Snapshot,
    /// The fetched directories, lowest layer first.
    pub(crate) parts: Vec<(Part, Root)>,
    /// The environment's own config; `None` if it has none, or if the filter excludes it.
    pub(crate) config: Option<Result<EnvironmentConfig, DeploymentsError>>,
    pub(crate) signature: Option<Signature>,
    /// Whether the commit is the lock's answer.
    pub(crate) is_locked: bool,
    /// Warnings to report if the source becomes part of the composition.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// A fetched source, with the sources that its own config names.
pub(crate) struct Expanded {
    pub(crate) source: Fetched,
    pub(crate) nested: Vec<SourceSpec>,
}

/// An entry whose commit is known.
struct Wanted {
    entry: Entry,
    resolved: Resolved,
    parts: Vec<(Part, Root)>,
    warnings: Vec<Diagnostic>,
}

impl Wanted {
    fn want(&self) -> Want {
        Want {
            commit: self.resolved.commit,
            refname: self.resolved.refname.clone(),
            roots: self.parts.iter().map(|(_, root)| root.clone()).collect(),
        }
    }
}

/// The result of each entry.
pub(crate) type Results = Vec<(NodeId, Result<Expanded, Failure>)>;

/// Resolves and fetches entries of one repo, and verifies those that must be signed.
pub(crate) async fn fetch(repo: &Repo, entries: Vec<Entry>, verifier: &Verifier) -> Results {
    let mut results = Vec::new();
    let mut wanted = Vec::new();
    for (entry, resolved) in resolve(repo, entries).await {
        match resolved {
            Ok((resolved, warnings)) => {
                let parts = parts(&entry.spec);
                wanted.push(Wanted {
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
) -> Result<Expanded, Failure> {
    let Entry { spec, locked, .. } = wanted.entry;
    let resolved = wanted.resolved.peeled(snapshot.commit());
    // This comes before anything of the source is used, including its own list of sources.
    if let Some(locked) = &locked {
        as_locked(&spec, locked, &snapshot)?;
    }
    let signature = verifier
        .verify(repo, &spec, &resolved, locked.is_some(), &snapshot)
        .await?;
    if let (Some(locked), Some(signature)) = (&locked, &signature) {
        signed_as_locked(&spec, locked, signature)?;
    }
    let config = nested::read(&spec, &resolved, &snapshot)?;
    let mut warnings = wanted.warnings;
    let (mut nested, mut environment) = (Vec::new(), None);
    if let Some(config) = config {
        warnings.extend(config.warnings);
        nested = config.sources;
        environment = Some(config.environment);
    }
    let source = Fetched {
        spec,
        resolved,
        snapshot,
        parts: wanted.parts,
        config: environment,
        signature,
        is_locked: locked.is_some(),
        warnings,
    };
    Ok(Expanded { source, nested })
}

/// Checks that the environment has the locked tree. The commit is the locked one, so a different tree means
/// that the lock was edited.
fn as_locked(spec: &SourceSpec, locked: &Locked, snapshot: &Snapshot) -> Result<(), Diagnostic> {
    let tree = snapshot.tree(&spec.environment)?;
    if tree == Some(locked.tree) {
        return Ok(());
    }
    Err(wording::not_as_locked(spec, locked, tree))
}

/// Checks that the signer is the one in the lock, if the lock has one. A lock that was written without
/// `verify` has none.
fn signed_as_locked(spec: &SourceSpec, locked: &Locked, signature: &Signature) -> Result<(), Diagnostic> {
    match &locked.signer {
        Some(signer) if *signer != signature.signer => {
            Err(wording::other_signer(spec, locked, signer, &signature.signer))
        }
        _ => Ok(()),
    }
}

/// Fetches all entries with one request. If that fails because of one source, each is fetched on its own, so
/// that only the bad ones fail.
async fn snapshots(repo: &Repo, wanted: Vec<Wanted>) -> Vec<(Wanted, Result<Snapshot, Diagnostic>)> {
    let wants: Vec<Want> = wanted.iter().map(Wanted::want).collect();
    if wants.is_empty() {
        return Vec::new();
    }
    let error = match repo.fetch(&wants).await {
        Ok(snapshots) => return wanted.into_iter().zip(snapshots.into_iter().map(Ok)).collect(),
        Err(error) => Arc::new(error),
    };
    let is_of_one = wants.len() > 1 && error.exit_code() == ExitCode::Config;
    let mut results = Vec::new();
    for (wanted, want) in wanted.into_iter().zip(&wants) {
        let Entry { spec, locked, .. } = &wanted.entry;
        let not_fetched = |error| wording::not_fetched(error, spec, locked.is_some());
        let all = || not_fetched(Arc::clone(&error));
        let one = if is_of_one {
            let one = repo.fetch(std::slice::from_ref(want)).await;
            one.map_err(|error| not_fetched(Arc::new(error)))
        } else {
            Err(all())
        };
        let one = one.and_then(|mut snapshots| snapshots.pop().ok_or_else(all));
        results.push((wanted, one));
    }
    results
}

/// The resolved ref of an entry, with warnings.
type Resolution = Result<(Resolved, Vec<Diagnostic>), Diagnostic>;

/// Resolves entries: from the lock if it answers, and from the refs that the others need, which are requested
/// together.
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
    let observed = if prefixes.is_empty() {
        Ok(ObservedRefs {
            before: None,
            now: Arc::default(),
        })
    } else {
        repo.observe_refs(&prefixes).await
    };
    let ObservedRefs { before, now: refs } = match observed {
        Ok(observed) => observed,
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
            && let more = error.prefixes()
            && !more.is_empty()
            && let Ok(all) = repo.refs(&more).await
        {
            // With more refs the same failure can name the nearest ones.
            resolved = resolve::resolve((environment, requested), &all);
        }
        let resolved = match resolved {
            Ok(resolved) => {
                let warnings = warnings(&entry.spec, &resolved, before.as_deref());
                Ok((resolved, warnings))
            }
            Err(error) => Err(wording::unresolved(&entry.spec, error)),
        };
        results.push((entry, resolved));
    }
    results
}

fn warnings(spec: &SourceSpec, resolved: &Resolved, before: Option<&Refs>) -> Vec<Diagnostic> {
    let moved = before
        .filter(|_| resolved.kind == resolve::Kind::Tag)
        .and_then(|before| before.tag(&resolved.name))
        .filter(|before| before.target != resolved.commit)
        .map(|before| wording::moved_tag(spec, resolved, before));
    let warning = resolved
        .warning
        .as_ref()
        .map(|warning| wording::resolved_with_warning(spec, warning));
    moved.into_iter().chain(warning).collect()
}

/// Returns the directories of a source, lowest layer first, with the filter of each.
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

/// Puts a problem that has no place at the entry that names the source.
pub(crate) fn with_place(problem: Diagnostic, spec: &SourceSpec) -> Diagnostic {
    problem.or_place(&spec.place)
}
