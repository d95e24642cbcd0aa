//! Resolve and fetch, repo by repo, sources of sources included.
//!
//! Sources are gathered in waves: the config's own, then those that their environments name, and so on. In a wave
//! every repo is one task with one connection: a look at the refs, then one request for all wanted commits.

use std::{collections::BTreeMap, sync::Arc};

use compose_git::{Git, Repo, Root, Snapshot, Want};
use compose_model::{ExitCode, Nesting, Refs, SourceSpec, TreePath, text};
use compose_plan::{
    compose::filter::Filter,
    config,
    layer::{Contents, ContentsError, Layer, Layers, Part, Source, SourceId},
    resolve::{self, Allow, Graph, NodeId, OrderedNode, Resolved},
};
use tokio::task::JoinSet;

use crate::{
    job::Job,
    pipeline::blocking,
    problem::{Failure, Problem},
};

/// All that sources contribute, with access to their bytes.
pub(crate) struct Gathered {
    pub(crate) layers: Layers,
    snapshots: Vec<Snapshot>,
}

impl Contents for Gathered {
    fn read(&self, source: SourceId, file: &compose_model::TreeFile) -> Result<Arc<[u8]>, ContentsError> {
        self.snapshots[source.0]
            .read(&file.blob)
            .map(Arc::from)
            .map_err(|error| ContentsError {
                what: format!("{} in {}", file.repo_path, self.layers.sources[source.0].repo),
                why: error.to_string(),
            })
    }
}

/// Stages 2 and 3. Every failing source of a wave is told, in declared order.
pub(crate) async fn gather(job: &Job, specs: Vec<SourceSpec>) -> Result<Gathered, Failure> {
    let git = Git::new(options(job))?;
    let allow = Allow::new(&job.settings.allow);
    let mut graph = Graph::new(specs, allow).map_err(refused)?;
    let mut fetched: BTreeMap<NodeId, Fetched> = BTreeMap::new();
    loop {
        let wave = graph.ready();
        if wave.is_empty() {
            break;
        }
        for (node, source) in fetch_wave(&git, &graph, &wave).await? {
            if let Some(warning) = &source.resolved.warning {
                tracing::warn!(repo = %source.spec.repo, "{warning}");
            }
            graph.expand(node, nested(&source)?).map_err(refused)?;
            fetched.insert(node, source);
        }
    }
    let order = graph.finish()?;
    blocking(move || layers(order, &fetched)).await
}

fn options(job: &Job) -> compose_git::Options {
    compose_git::Options {
        offline: job.settings.offline,
        timeout: job.settings.timeout,
        jobs: job.settings.jobs,
        budget: job.settings.budget,
        environment: std::env::vars_os().collect(),
        cancel: job.cancel.clone(),
        reporter: Arc::clone(&job.reporter),
        ..compose_git::Options::new(job.cache_dir())
    }
}

/// One source whose bytes are at hand.
struct Fetched {
    spec: SourceSpec,
    resolved: Resolved,
    snapshot: Snapshot,
}

/// One entry on its way through the stages of its repo.
struct Entry {
    node: NodeId,
    spec: SourceSpec,
}

/// Resolves and fetches a wave, one task a repo.
async fn fetch_wave(git: &Git, graph: &Graph, wave: &[NodeId]) -> Result<BTreeMap<NodeId, Fetched>, Failure> {
    let mut repos: BTreeMap<String, (Arc<Repo>, Vec<Entry>)> = BTreeMap::new();
    for &node in wave {
        let spec = graph.spec(node).clone();
        let (_, entries) = repos
            .entry(spec.repo.key().to_owned())
            .or_insert_with(|| (git.repo(&spec.repo), Vec::new()));
        entries.push(Entry { node, spec });
    }
    let mut tasks = JoinSet::new();
    for (repo, entries) in repos.into_values() {
        tasks.spawn(async move { fetch_repo(&repo, entries).await });
    }
    let mut fetched = BTreeMap::new();
    let mut failed: Vec<(NodeId, Problem)> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(results) => {
                for (node, result) in results {
                    match result {
                        Ok(source) => {
                            fetched.insert(node, source);
                        }
                        Err(problem) => failed.push((node, problem)),
                    }
                }
            }
            Err(error) => {
                return Err(Problem::new(ExitCode::Bug, "a fetch ended in an unexpected way")
                    .because(error)
                    .into());
            }
        }
    }
    failed.sort_by_key(|(node, _)| *node);
    let mut problems: Vec<Problem> = failed.into_iter().map(|(_, problem)| problem).collect();
    // A repo that fails as a whole fails for each of its entries: it is told once, at the first.
    let mut told = std::collections::HashSet::new();
    problems.retain(|problem| told.insert((problem.message.clone(), problem.causes.clone())));
    Failure::new(problems).map_or(Ok(fetched), Err)
}

/// One repo's part of a wave: refs, commits, listings.
async fn fetch_repo(repo: &Repo, entries: Vec<Entry>) -> Vec<(NodeId, Result<Fetched, Problem>)> {
    let mut results = Vec::new();
    let mut wanted = Vec::new();
    for (entry, resolved) in resolve_entries(repo, entries).await {
        match resolved.and_then(|resolved| Ok((want(&entry.spec, &resolved)?, resolved))) {
            Ok((want, resolved)) => wanted.push((entry, resolved, want)),
            Err(problem) => results.push((entry.node, Err(at(problem, &entry.spec)))),
        }
    }
    if wanted.is_empty() {
        return results;
    }
    let wants: Vec<Want> = wanted.iter().map(|(_, _, want)| want.clone()).collect();
    match repo.fetch(&wants).await {
        Ok(snapshots) => {
            for ((entry, resolved, _), snapshot) in wanted.into_iter().zip(snapshots) {
                results.push((
                    entry.node,
                    Ok(Fetched {
                        spec: entry.spec,
                        resolved,
                        snapshot,
                    }),
                ));
            }
        }
        Err(error) => {
            let problem = Problem::from(error);
            results.extend(
                wanted
                    .into_iter()
                    .map(|(entry, ..)| (entry.node, Err(at(problem.clone(), &entry.spec)))),
            );
        }
    }
    results
}

/// Stage 2 for one repo: one look at just the refs that its entries need.
async fn resolve_entries(repo: &Repo, entries: Vec<Entry>) -> Vec<(Entry, Result<Resolved, Problem>)> {
    let prefixes = resolve::prefixes(
        entries
            .iter()
            .map(|entry| (&entry.spec.environment, &entry.spec.requested)),
    );
    let refs = if prefixes.is_empty() {
        Ok(Arc::new(Refs::default()))
    } else {
        repo.refs(&prefixes).await
    };
    let refs = match refs {
        Ok(refs) => refs,
        Err(error) => {
            let problem = Problem::from(error);
            return entries
                .into_iter()
                .map(|entry| (entry, Err(problem.clone())))
                .collect();
        }
    };
    let mut results = Vec::new();
    for entry in entries {
        let request = (&entry.spec.environment, &entry.spec.requested);
        let mut resolved = resolve::resolve(request, &refs);
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
            resolved = resolve::resolve(request, &all);
        }
        let resolved = resolved.map_err(|error| {
            let mut problem = Problem::new(ExitCode::Config, format!("{}: {error}", entry.spec.repo));
            problem.hints.extend(error.hint());
            problem
        });
        results.push((entry, resolved));
    }
    results
}

fn want(spec: &SourceSpec, resolved: &Resolved) -> Result<Want, Problem> {
    let roots = roots(spec)?.into_iter().map(|(_, root)| root).collect();
    Ok(Want {
        commit: resolved.commit,
        refname: resolved.refname.clone(),
        roots,
    })
}

/// The directories of a source, lowest layer first, with what `include`, `exclude` and `hooks` leave of each.
fn roots(spec: &SourceSpec) -> Result<Vec<(Part, Root)>, Problem> {
    let filter = Arc::new(Filter::new(spec).map_err(|error| Problem::from_error(ExitCode::Config, &error))?);
    let filtered = |dir: &TreePath| {
        let filter = Arc::clone(&filter);
        Root {
            dir: dir.clone(),
            keep: Some(Arc::new(move |path: &TreePath| filter.keeps(path))),
        }
    };
    let mut roots = Vec::new();
    if let Some(dir) = &spec.default_folder {
        roots.push((Part::DefaultFolder(dir.clone()), filtered(dir)));
    }
    roots.push((Part::Environment, filtered(&spec.environment)));
    for dir in &spec.shared {
        roots.push((
            Part::Shared(dir.clone()),
            Root {
                dir: dir.clone(),
                keep: None,
            },
        ));
    }
    Ok(roots)
}

/// The sources that a fetched environment names itself.
fn nested(source: &Fetched) -> Result<Vec<SourceSpec>, Failure> {
    let name =
        TreePath::new("bitops.config.yaml").map_err(|error| Problem::from_error(ExitCode::Bug, &error))?;
    let root = Root {
        dir: source.spec.environment.clone(),
        keep: Some(Arc::new(move |path: &TreePath| *path == name)),
    };
    if source.snapshot.tree(&root.dir).map_err(Problem::from)?.is_none() {
        return Ok(Vec::new());
    }
    let Some(file) = source.snapshot.files(&root).map_err(Problem::from)?.pop() else {
        return Ok(Vec::new());
    };
    let bytes = source.snapshot.read(&file.blob).map_err(Problem::from)?;
    let Ok(config) = String::from_utf8(bytes) else {
        return Ok(Vec::new());
    };
    if !config.contains("default-environments") {
        return Ok(Vec::new());
    }
    let tag = text::escape(&source.resolved.name, 80);
    let file = format!(
        "{} @ {tag} : {}/bitops.config.yaml",
        source.spec.repo, source.spec.environment
    );
    Ok(config::parse(&file.into(), &config.into(), Nesting::Nested)?)
}

/// Lists what every source contributes, in composition order.
fn layers(order: Vec<OrderedNode>, fetched: &BTreeMap<NodeId, Fetched>) -> Result<Gathered, Failure> {
    let mut gathered = Gathered {
        layers: Layers::default(),
        snapshots: Vec::new(),
    };
    let mut problems = Vec::new();
    for node in order {
        let Some(source) = fetched.get(&node.node) else {
            return Err(Problem::new(ExitCode::Bug, "a source was ordered and not fetched").into());
        };
        for warning in &node.warnings {
            tracing::warn!("{}", warning.message);
        }
        let id = SourceId(gathered.snapshots.len());
        let spec = node.spec;
        match list(source, &spec, id) {
            Ok((tree, layers)) => {
                gathered.layers.layers.extend(layers);
                gathered.layers.sources.push(Source {
                    repo: spec.repo,
                    environment: spec.environment,
                    requested: spec.requested,
                    resolved: source.resolved.name.clone(),
                    commit: source.resolved.commit,
                    tree,
                    via: node.via.into_iter().map(SourceId).collect(),
                    below: node.below.into_iter().map(SourceId).collect(),
                    rename: spec.rename,
                    on_conflict: spec.on_conflict,
                    place: spec.place,
                });
                gathered.snapshots.push(source.snapshot.clone());
            }
            Err(failed) => problems.extend(failed.into_iter().map(|problem| at(problem, &spec))),
        }
    }
    Failure::new(problems).map_or(Ok(gathered), Err)
}

fn list(
    source: &Fetched,
    spec: &SourceSpec,
    id: SourceId,
) -> Result<(compose_model::TreeId, Vec<Layer>), Vec<Problem>> {
    let one = |problem: Problem| vec![problem];
    let Some(tree) = source
        .snapshot
        .tree(&spec.environment)
        .map_err(|error| one(error.into()))?
    else {
        return Err(one(no_environment(source)));
    };
    let mut layers = Vec::new();
    let mut problems = Vec::new();
    for (part, root) in roots(spec).map_err(one)? {
        match source.snapshot.files(&root) {
            Ok(files) => layers.push(Layer {
                source: id,
                part,
                files,
            }),
            Err(error) => problems.push(error.into()),
        }
    }
    if problems.is_empty() {
        Ok((tree, layers))
    } else {
        Err(problems)
    }
}

fn no_environment(source: &Fetched) -> Problem {
    let spec = &source.spec;
    let tag = text::escape(&source.resolved.name, 80);
    let problem = Problem::new(
        ExitCode::Config,
        format!("{} @ {tag} has no environment `{}`", spec.repo, spec.environment),
    );
    let there = source.snapshot.environments().unwrap_or_default();
    let wanted = spec.environment.as_str();
    match (
        text::did_you_mean(wanted, there.iter().map(String::as_str)),
        there.as_slice(),
    ) {
        (_, []) => problem.hint("the repo has no directory that could be an environment"),
        (Some(near), all) => problem.hint(format!("did you mean `{near}`? There are: {}", some(all))),
        (None, all) => problem.hint(format!("there are: {}", some(all))),
    }
}

/// A list for a message: catalogs may have a thousand environments.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names
        .iter()
        .take(SHOWN)
        .map(|name| text::escape(name, 80))
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Repos that may not be named: `BITOPS_COMPOSE_ALLOW`, or a local path in a source's own config.
fn refused(diagnostics: Vec<compose_model::Diagnostic>) -> Failure {
    let refused = |diagnostic| Problem {
        code: ExitCode::Refused,
        ..Problem::from(diagnostic)
    };
    Failure::from(diagnostics.into_iter().map(refused).collect::<Vec<_>>())
}

/// A problem without a place is about the entry that named the source.
fn at(problem: Problem, spec: &SourceSpec) -> Problem {
    if problem.place.is_some() {
        problem
    } else {
        problem.at(spec.place.clone())
    }
}
