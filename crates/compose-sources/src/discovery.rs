//! The state of discovering sources.
//!
//! The sources that a source names itself are only known after it was fetched, so each repo that
//! answers may add sources.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use compose_git::{Git, Repo};
use compose_model::{Background, Diagnostic, Failure, SourceSpec};
use compose_plan::resolve::{Graph, NodeId, OrderedNode};

use crate::{
    layers,
    pins::Pins,
    repo::{Entry, Expanded, Fetched},
};

/// Returns whether the source was fetched with the options of the entry that decides for it.
pub(crate) fn is_for(source: &Fetched, node: &OrderedNode) -> bool {
    node.spec
        == SourceSpec {
            place: node.spec.place.clone(),
            spans: node.spec.spans.clone(),
            ignored_versions: node.spec.ignored_versions.clone(),
            ..source.spec.clone()
        }
}

/// The sources that are known so far.
pub(crate) struct Discovery {
    graph: Graph,
    fetched: BTreeMap<NodeId, Fetched>,
    /// The failures by node. They are reported only if the composition needs the node, because a config
    /// that arrives later may rule its version out.
    failed: BTreeMap<NodeId, Vec<Diagnostic>>,
    /// The repos that `BITOPS_COMPOSE_ALLOW` refuses, or that only the local config may name.
    refused: Vec<Diagnostic>,
    /// The nodes of the local config's own entries, which no other config rules out.
    certain: HashSet<NodeId>,
}

impl Discovery {
    /// Starts with the local config's own entries.
    pub(crate) fn new(graph: Graph) -> Self {
        Self {
            graph,
            fetched: BTreeMap::new(),
            failed: BTreeMap::new(),
            refused: Vec::new(),
            certain: HashSet::new(),
        }
    }

    /// Returns the entries to fetch next, grouped by repo.
    pub(crate) fn ready(&mut self, git: &Git, pins: &Pins) -> Vec<(Arc<Repo>, Vec<Entry>)> {
        let mut repos: BTreeMap<String, (Arc<Repo>, Vec<Entry>)> = BTreeMap::new();
        loop {
            let ready = self.graph.ready();
            if self.certain.is_empty() {
                self.certain = ready.iter().copied().collect();
            }
            let mut refused = false;
            for node in ready {
                let spec = self.graph.spec(node).clone();
                let locked = match pins.answer(&spec) {
                    Ok(locked) => locked.cloned(),
                    Err(problem) => {
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
            // A refused entry names no sources, which may make other nodes ready.
            if !refused {
                return repos.into_values().collect();
            }
        }
    }

    pub(crate) fn take(&mut self, node: NodeId, result: Result<Expanded, Failure>) {
        match result {
            Ok(Expanded { source, nested }) => {
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
        // An empty list is never refused.
        let _ = self.graph.expand(node, Vec::new());
    }

    /// Returns whether any source failed so far.
    pub(crate) fn fails(&self) -> bool {
        !self.failed.is_empty() || !self.refused.is_empty()
    }

    /// Returns the sources in composition order, and what was fetched for them.
    ///
    /// # Errors
    ///
    /// If any source failed. Then the sources that were fetched are checked as well, so that all
    /// problems are reported together.
    pub(crate) fn finish(mut self) -> Result<(Vec<OrderedNode>, BTreeMap<NodeId, Fetched>), Failure> {
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
                let is_reported = |node: &NodeId| !explained || self.certain.contains(node);
                let fetched = self.fetched.iter().filter(|(node, _)| is_reported(node));
                self.failed
                    .extend(fetched.map(|(node, source)| (*node, layers::problems(source))));
                problems.extend(
                    self.failed
                        .into_iter()
                        .filter(|(node, _)| is_reported(node))
                        .flat_map(|(_, problems)| problems),
                );
                Vec::new()
            }
        };
        // A repo that fails as a whole fails for each of its entries. It is reported once, at the first.
        let mut reported = HashSet::new();
        problems.retain(|problem| reported.insert((problem.message.clone(), problem.notes())));
        Failure::new(problems).map_or(Ok((order, self.fetched)), Err)
    }
}
