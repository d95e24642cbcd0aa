//! Resolve and fetch, repo by repo, sources of sources included.
//!
//! What a source names itself is only known once it was fetched: each repo that answers may bring more sources, which are
//! under way at once. Entries of one repo that are known at one time are one task, over one connection, with one request for
//! all wanted commits.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use compose_git::Git;
use compose_model::{
    Background, Diagnostic, ExitCode, Failure, Nesting, SourceSpec, TreePath, file_name, text,
};
use compose_plan::{
    config,
    layer::{Part, Source},
    lock::Lock,
    resolve::{Allow, Graph, NodeId, OrderedNode},
};
use tokio::task::JoinSet;

use crate::{
    blocking::blocking,
    gathered::Gathered,
    layers,
    pins::{Pin, Pins},
    refs::{self, LockedRefs},
    repo::{self, Entry, Fetched, Results, with_place},
    verify::Verifier,
};

/// What decides about sources, for all environments of a run: gathering several looks at each repo once.
pub struct Gatherer {
    git: Git,
    allow: Allow,
    verifier: Arc<Verifier>,
}

impl Gatherer {
    /// Contacts repos as `options` say, those that `allow` allows alone, and trusts the keys of `verifier`.
    pub fn new(options: compose_git::Options, allow: Allow, verifier: Verifier) -> Result<Self, Failure> {
        let allowed = allow.clone();
        let git = Git::new(compose_git::Options {
            allow: Arc::new(move |repo| allowed.allows(repo)),
            ..options
        })?;
        Ok(Self {
            git,
            allow,
            verifier: Arc::new(verifier),
        })
    }

    /// Finds the commits of these sources and of those that they name themselves, fetches and verifies them, and lists what
    /// they contribute. Every failing source is reported, in declared order.
    pub async fn gather(&self, specs: Vec<SourceSpec>, pins: &Pins) -> Result<Gathered, Failure> {
        self.verifier.prepare(&specs)?;
        let graph = Graph::new(specs, self.allow.clone())?;
        let mut discovery = Discovery {
            graph,
            fetched: BTreeMap::new(),
            failed: BTreeMap::new(),
            refused: Vec::new(),
            certain: HashSet::new(),
        };
        let mut tasks: JoinSet<Results> = JoinSet::new();
        loop {
            for (repo, entries) in discovery.ready(&self.git, pins) {
                let verifier = Arc::clone(&self.verifier);
                tasks.spawn(async move { repo::fetch(&repo, entries, &verifier).await });
            }
            match tasks.join_next().await {
                Some(Ok(results)) => results
                    .into_iter()
                    .for_each(|(node, result)| discovery.take(node, result)),
                Some(Err(error)) => {
                    return Err(
                        Diagnostic::new(ExitCode::Bug, "a fetch ended in an unexpected way")
                            .because(error)
                            .into(),
                    );
                }
                None => break,
            }
        }
        let (order, mut fetched) = if discovery.fails() {
            // It looks through what was fetched.
            blocking(move || discovery.finish()).await?
        } else {
            discovery.finish()?
        };
        for node in &order {
            self.decide(pins, node, &mut fetched).await?;
        }
        let mut warnings = pins.warnings(order.iter().map(|node| &node.spec));
        let traces = self.git.traces();
        let mut gathered = blocking(move || layers::layers(traces, order, fetched)).await?;
        warnings.append(&mut gathered.warnings);
        gathered.warnings = warnings;
        let is_locked = |source: &Source| pins.locks(&source.repo, &source.environment, &source.requested);
        gathered.locked = gathered.layers.sources.iter().map(is_locked).collect();
        gathered.tidying = self.git.tidy();
        Ok(gathered)
    }

    /// Sees to it that a source is what its deciding entry asks for, where it was fetched for another one: that may leave
    /// out files that this one wants, or ask for no signature. What is there already costs no request.
    async fn decide(
        &self,
        pins: &Pins,
        node: &OrderedNode,
        fetched: &mut BTreeMap<NodeId, Fetched>,
    ) -> Result<(), Failure> {
        if fetched.get(&node.node).is_none_or(|source| is_for(source, node)) {
            return Ok(());
        }
        let locked = match pins.pin(&node.spec) {
            Pin::Locked(locked) => Some(locked),
            Pin::Live => None,
            Pin::Refused(problem) => return Err(problem.into()),
        };
        let entry = Entry {
            node: node.node,
            spec: node.spec.clone(),
            locked,
        };
        let repo = self.git.repo(&node.spec.repo);
        for (node, result) in repo::fetch(&repo, vec![entry], &self.verifier).await {
            fetched.insert(node, result?);
        }
        Ok(())
    }

    /// The refs of every repo that a lock names, with what is wrong with those that do not answer. One look at each, all at once.
    pub async fn refs(&self, lock: &Lock) -> Result<LockedRefs, Failure> {
        refs::look(&self.git, &self.allow, lock).await
    }
}

/// Was the source fetched as its deciding entry asks for it?
fn is_for(source: &Fetched, node: &OrderedNode) -> bool {
    node.spec
        == SourceSpec {
            place: node.spec.place.clone(),
            spans: node.spec.spans.clone(),
            ..source.spec.clone()
        }
}

/// What is known of the sources so far.
struct Discovery {
    graph: Graph,
    fetched: BTreeMap<NodeId, Fetched>,
    /// Told only if the composition needs the node: a config that comes later may rule its version out.
    failed: BTreeMap<NodeId, Vec<Diagnostic>>,
    /// Repos that policy refuses.
    refused: Vec<Diagnostic>,
    /// The nodes of the local config's own entries, which nothing rules out.
    certain: HashSet<NodeId>,
}

impl Discovery {
    /// What is to be fetched next, by repo.
    fn ready(&mut self, git: &Git, pins: &Pins) -> Vec<(Arc<compose_git::Repo>, Vec<Entry>)> {
        let mut repos: BTreeMap<String, (Arc<compose_git::Repo>, Vec<Entry>)> = BTreeMap::new();
        loop {
            let ready = self.graph.ready();
            if self.certain.is_empty() {
                self.certain = ready.iter().copied().collect();
            }
            let mut refused = false;
            for node in ready {
                let spec = self.graph.spec(node).clone();
                let locked = match pins.pin(&spec) {
                    Pin::Locked(locked) => Some(locked),
                    Pin::Live => None,
                    Pin::Refused(problem) => {
                        self.fail(node, vec![problem]);
                        refused = true;
                        continue;
                    }
                };
                let (_, entries) = repos
                    .entry(spec.repo.key().to_owned())
                    .or_insert_with(|| (git.repo(&spec.repo), Vec::new()));
                entries.push(Entry { node, spec, locked });
            }
            // A refusal is an answer, which may make others ready.
            if !refused {
                return repos.into_values().collect();
            }
        }
    }

    fn take(&mut self, node: NodeId, result: Result<Fetched, Failure>) {
        match result.and_then(|mut source| Ok((nested(&mut source)?, source))) {
            Ok((nested, source)) => {
                self.fetched.insert(node, source);
                if let Err(refused) = self.graph.expand(node, nested) {
                    self.refused.extend(refused);
                }
            }
            Err(failure) => self.fail(node, failure.into_diagnostics()),
        }
    }

    fn fail(&mut self, node: NodeId, problems: Vec<Diagnostic>) {
        self.failed.insert(node, problems);
        // It names nothing, which is never refused.
        let _ = self.graph.expand(node, Vec::new());
    }

    /// Did a source fail so far?
    fn fails(&self) -> bool {
        !self.failed.is_empty() || !self.refused.is_empty()
    }

    /// The composition's order, with what was fetched for it. A run that fails tells of the sources that were fetched, too,
    /// what keeps them from taking part.
    fn finish(mut self) -> Result<(Vec<OrderedNode>, BTreeMap<NodeId, Fetched>), Failure> {
        for (node, problems) in &mut self.failed {
            let askers = self.graph.askers(*node);
            if let [problem] = problems.as_mut_slice()
                && problem.notes().is_empty()
                && !askers.is_empty()
            {
                problem.background = Background::AskedForBy(askers);
            }
        }
        let fails = self.fails();
        let mut problems = self.refused;
        let order = match self.graph.finish() {
            Ok(order) => {
                for node in &order {
                    let failed = self.failed.remove(&node.node).or_else(|| {
                        let source = self.fetched.get(&node.node).filter(|_| fails)?;
                        is_for(source, node).then(|| layers::problems(source))
                    });
                    problems.extend(failed.into_iter().flatten());
                }
                order
            }
            Err(errors) => {
                let explained = !errors.is_empty();
                problems.extend(errors);
                let told = |node: &NodeId| !explained || self.certain.contains(node);
                let fetched = self.fetched.iter().filter(|(node, _)| told(node));
                self.failed
                    .extend(fetched.map(|(node, source)| (*node, layers::problems(source))));
                problems.extend(
                    self.failed
                        .into_iter()
                        .filter(|(node, _)| told(node))
                        .flat_map(|(_, problems)| problems),
                );
                Vec::new()
            }
        };
        // A repo that fails as a whole fails for each of its entries: it is told once, at the first.
        let mut told = HashSet::new();
        problems.retain(|problem| told.insert((problem.message.clone(), problem.notes())));
        Failure::new(problems).map_or(Ok((order, self.fetched)), Err)
    }
}

/// The sources that a fetched environment names itself. A config that `include` and `exclude` leave out names none.
fn nested(source: &mut Fetched) -> Result<Vec<SourceSpec>, Failure> {
    let name = TreePath::new(file_name::CONFIG)
        .map_err(|error| Diagnostic::new(ExitCode::Bug, "the config's name is not a path").because(error))?;
    let environment = source.parts.iter().find(|(part, _)| *part == Part::Environment);
    let Some((_, root)) = environment.filter(|(_, root)| root.filter.keeps(&name)) else {
        return Ok(Vec::new());
    };
    let problem = |error| with_place(Diagnostic::from(error), &source.spec);
    let Some(bytes) = source.snapshot.file(&root.dir.join(&name)).map_err(problem)? else {
        return Ok(Vec::new());
    };
    let Ok(config) = String::from_utf8(bytes) else {
        return Ok(Vec::new());
    };
    if !config::seems_to_name_sources(config.as_bytes()) && !config.contains(config::LIST) {
        return Ok(Vec::new());
    }
    let tag = text::escape(&source.resolved.name, 80);
    let file = format!(
        "{} @ {tag} : {}/bitops.config.yaml",
        source.spec.repo, source.spec.environment
    );
    let (file, config) = (file.into(), config.into());
    // The user can mend it in their own config only.
    let ignored = config::misspelt(&file, &config).into_iter();
    source.warnings.extend(ignored.map(Diagnostic::into_warning));
    Ok(config::parse(&file, &config, Nesting::Nested)?)
}
