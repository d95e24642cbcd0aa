//! Resolve and fetch, repo by repo, sources of sources included.
//!
//! What a source names itself is only known once it was fetched: each repo that answers may bring more sources, which are
//! under way at once. Entries of one repo that are known at one time are one task, over one connection, with one request for
//! all wanted commits.

use std::{collections::BTreeMap, sync::Arc};

use compose_git::Git;
use compose_model::{Diagnostic, ExitCode, Failure, SourceSpec};
use compose_plan::{
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
    refs::{self, LockedRefs},
    repo::{self, Entry, Fetched, Results},
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
        let entry = Entry {
            node: node.node,
            spec: node.spec.clone(),
            locked: pins.answer(&node.spec)?.cloned(),
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
