//! Resolving and fetching sources, repo by repo, nested sources included.
//!
//! The sources that a source names itself are only known after it was fetched, and are fetched as soon
//! as they are known. Entries of the same repo that are known at the same time share a task, a connection
//! and a request.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use compose_git::{Answer, Approach, Git, Glance, Outline, Traces};
use compose_model::{BlobId, Diagnostic, Failure, Refs, RepoUrl, SourceSpec};
use compose_plan::{
    layer::Layers,
    lock::Lock,
    resolve::{Allow, Graph, NodeId, OrderedNode},
};
use tokio::task::JoinSet;

use crate::{
    blocking::blocking,
    discovery::{Discovery, is_for},
    gathered::Gathered,
    layers,
    pins::Pins,
    refs::{self, CurrentRefs},
    repo::{self, Entry, Fetched, Results},
    verify::Verifier,
    wording,
};

/// Resolves, fetches and verifies the sources of all environments of a run. The refs of each repo are
/// requested once, however many environments are gathered.
pub struct Gatherer {
    git: Git,
    allow: Allow,
    verifier: Arc<Verifier>,
}

impl Gatherer {
    /// Returns a gatherer that fetches with `options`, but only from repos that `allow` permits, and checks
    /// signatures with `verifier`. `options.allow` is replaced.
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

    /// Resolves, fetches and verifies these sources and the sources that they name themselves, and lists
    /// their files.
    ///
    /// # Errors
    ///
    /// If any source fails. Every failing source is reported, in declared order.
    pub async fn gather(&self, specs: Vec<SourceSpec>, pins: &Pins) -> Result<Gathered, Failure> {
        self.verifier.prepare(&specs)?;
        // A thread that is still blocked keeps the run alive, and with it its temporary files.
        let unfinished = Unfinished(Some(self.git.traces()));
        let mut discovery = Discovery::new(Graph::new(specs, self.allow.clone())?);
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
                Some(Err(error)) => return Err(wording::unexpected_end("a fetch", error).into()),
                None => break,
            }
        }
        let (order, mut fetched) = if discovery.fails() {
            // This reads trees from the disk.
            blocking(move || discovery.finish()).await?
        } else {
            discovery.finish()?
        };
        for node in &order {
            self.decide(pins, node, &mut fetched).await?;
        }
        let mut warnings = pins.warnings(order.iter().map(|node| &node.spec));
        warnings.extend(self.unprotected(order.iter().map(|node| &node.spec)));
        let listed = blocking(move || layers::layers(order, fetched)).await?;
        warnings.extend(listed.warnings);
        let (sources, snapshots) = listed.sources.into_iter().unzip();
        unfinished.finish();
        Ok(Gathered {
            layers: Layers {
                sources,
                layers: listed.layers,
            },
            warnings,
            snapshots,
            traces: self.git.traces(),
            tidying: self.git.tidy(),
        })
    }

    /// Returns one warning for each repo that is contacted by plain http on another machine.
    fn unprotected<'a>(&self, specs: impl Iterator<Item = &'a SourceSpec>) -> Vec<Diagnostic> {
        let mut repos = HashSet::new();
        let warning = |spec: &SourceSpec| {
            let rewritten = self.git.rewritten(&spec.repo);
            let contacted = rewritten.as_ref().unwrap_or(&spec.repo);
            contacted
                .is_unprotected()
                .then(|| wording::unprotected(spec, rewritten.as_ref()))
        };
        specs
            .filter(|spec| repos.insert(spec.repo.key()))
            .filter_map(warning)
            .collect()
    }

    /// Fetches a source again if it was fetched for another entry than the one that decides for it: the
    /// other entry may exclude files that this one includes, or require no signature. Objects that are
    /// already there are not requested again.
    async fn decide(
        &self,
        pins: &Pins,
        node: &OrderedNode,
        fetched: &mut BTreeMap<NodeId, Fetched>,
    ) -> Result<(), Failure> {
        if fetched.get(&node.node).is_none_or(|source| is_for(source, node)) {
            return Ok(());
        }
        let entry = Entry {
            node: node.node,
            spec: node.spec.clone(),
            locked: pins.answer(&node.spec)?.cloned(),
        };
        let repo = self.git.repo(&node.spec.repo);
        for (node, result) in repo::fetch(&repo, vec![entry], &self.verifier).await {
            fetched.insert(node, result?.source);
        }
        Ok(())
    }

    /// Returns those refs of a repo whose full names begin with one of the prefixes.
    pub async fn refs_of(&self, repo: &RepoUrl, prefixes: &[String]) -> Result<Arc<Refs>, Diagnostic> {
        self.allow.check(repo)?;
        Ok(self.git.repo(repo).refs(prefixes).await?)
    }

    /// Asks a repo for its refs, without the cache. See [`compose_git::Repo::answer`].
    pub async fn answer(&self, repo: &RepoUrl) -> Result<Answer, Diagnostic> {
        self.allow.check(repo)?;
        Ok(self.git.repo(repo).answer().await?)
    }

    /// Returns what would be used to reach a repo. See [`Git::approach`].
    pub fn approach(&self, repo: &RepoUrl) -> Result<Approach, Diagnostic> {
        self.allow.check(repo)?;
        Ok(self.git.approach(repo)?)
    }

    /// Returns the access to git, for questions that are about no repo.
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// Checks that the keys can be read by which these sources are verified.
    pub fn check_keys(&self, specs: &[SourceSpec]) -> Result<(), Failure> {
        self.verifier.prepare(specs)
    }

    /// Looks at directories of a repo's commits without fetching their files. See [`compose_git::Repo::outlines`].
    pub async fn outlines(
        &self,
        repo: &RepoUrl,
        glances: &[Glance],
    ) -> Result<Vec<Option<Outline>>, Diagnostic> {
        self.allow.check(repo)?;
        Ok(self.git.repo(repo).outlines(glances).await?)
    }

    /// Fetches blobs of a repo. See [`compose_git::Repo::blobs`].
    pub async fn blobs(&self, repo: &RepoUrl, ids: &[BlobId]) -> Result<Vec<Option<Vec<u8>>>, Diagnostic> {
        self.allow.check(repo)?;
        Ok(self.git.repo(repo).blobs(ids).await?)
    }

    /// Returns the refs of every repo in a lock, and the failures of the repos that do not answer. All repos
    /// are asked concurrently, each once.
    pub async fn refs(&self, lock: &Lock) -> Result<CurrentRefs, Failure> {
        self.look(refs::of_lock(lock)).await
    }

    /// Returns the tags of every repo that has one of these entries with a `version`, as [`Gatherer::refs`] does.
    pub async fn tags(&self, specs: &[SourceSpec]) -> Result<CurrentRefs, Failure> {
        self.look(refs::of_specs(specs)).await
    }

    async fn look(&self, repos: Vec<refs::Asked>) -> Result<CurrentRefs, Failure> {
        let unfinished = Unfinished(Some(self.git.traces()));
        let refs = refs::look(&self.git, &self.allow, repos).await?;
        unfinished.finish();
        Ok(refs)
    }
}

/// Removes a run's temporary files if its work fails or is abandoned.
struct Unfinished(Option<Traces>);

impl Unfinished {
    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(traces) = &self.0 {
            traces.remove();
        }
    }
}
