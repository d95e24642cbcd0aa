//! Walks over all sources from the local config down, and records the chains of entries that it
//! follows.

use std::{collections::HashMap, sync::Arc};

use compose_model::{Diagnostic, ExitCode, SourceSpec, TreePath, text::escape};

use super::entries::{GraphEntry, Key, MAX_DEPTH, NodeId, Nodes};
use crate::config::MAX_SOURCES;

/// An entry that a walk reaches.
#[derive(Debug)]
struct Step {
    key: Key,
    spec: Arc<SourceSpec>,
    node: NodeId,
    /// The step to the source whose config holds the entry; `None` for the local config.
    parent: Option<usize>,
    /// The number of entries on the way from the root, including this one.
    depth: usize,
}

/// Everything that the root's entries lead to, at the assumed versions. A key without a version is
/// recorded but not entered.
#[derive(Debug, Default)]
pub(super) struct Replay {
    steps: Vec<Step>,
    /// The keys, lowest first: what a source names comes before it.
    pub(super) order: Vec<Key>,
    /// The steps to each key, beginning with the one at its lowest position.
    pub(super) asked: HashMap<Key, Vec<usize>>,
    pub(super) errors: Vec<Diagnostic>,
    is_full: bool,
}

impl Replay {
    /// Walks from the `root` entries through the configs of the `chosen` nodes.
    pub(super) fn new(root: &[GraphEntry], nodes: &Nodes, chosen: &HashMap<Key, Option<NodeId>>) -> Self {
        let mut walk = Self::default();
        for entry in root {
            walk.visit(entry, None, nodes, chosen);
        }
        walk
    }

    /// Visits an entry and everything that it leads to. Recursion is at most [`MAX_DEPTH`] calls
    /// deep.
    fn visit(
        &mut self,
        entry: &GraphEntry,
        parent: Option<usize>,
        nodes: &Nodes,
        chosen: &HashMap<Key, Option<NodeId>>,
    ) {
        let step = self.steps.len();
        let depth = parent.map_or(1, |parent| self.steps[parent].depth + 1);
        self.steps.push(Step {
            key: entry.key,
            spec: Arc::clone(&entry.spec),
            node: entry.node,
            parent,
            depth,
        });
        let is_new = !self.asked.contains_key(&entry.key);
        if depth > MAX_DEPTH {
            self.error(step, &format!("a chain of more than {MAX_DEPTH} sources"));
            return;
        }
        if is_new && self.asked.len() == MAX_SOURCES {
            if !std::mem::replace(&mut self.is_full, true) {
                self.error(
                    step,
                    &format!("more than {MAX_SOURCES} sources, with those that sources name"),
                );
            }
            return;
        }
        // An entry that closes a cycle is recorded nevertheless; otherwise its refusal would change
        // the versions.
        if self.above(step).contains(&entry.key) {
            self.error(step, "sources name each other in a cycle");
        }
        self.asked.entry(entry.key).or_default().push(step);
        if !is_new {
            return;
        }
        if let Some(Some(node)) = chosen.get(&entry.key) {
            for nested in nodes.nested(*node) {
                self.visit(nested, Some(step), nodes, chosen);
            }
        }
        self.order.push(entry.key);
    }

    fn error(&mut self, step: usize, what: &str) {
        let message = format!("{what}: {}", self.chain(step));
        let place = self.spec(step).place.clone();
        self.errors.push(
            Diagnostic::error(message)
                .with_place(place)
                .hint("remove one of the entries on the way"),
        );
    }

    /// Returns the node of a step's own request.
    pub(super) fn node(&self, step: usize) -> NodeId {
        self.steps[step].node
    }

    pub(super) fn spec(&self, step: usize) -> &SourceSpec {
        &self.steps[step].spec
    }

    /// Returns the keys whose configs name this one.
    pub(super) fn parents(&self, key: Key) -> impl Iterator<Item = Key> {
        self.asked[&key]
            .iter()
            .filter_map(|step| self.steps[*step].parent)
            .map(|parent| self.steps[parent].key)
    }

    /// Returns the keys above a step, outermost first.
    pub(super) fn above(&self, step: usize) -> Vec<Key> {
        let mut keys: Vec<Key> = self.way(step).skip(1).map(|step| step.key).collect();
        keys.reverse();
        keys
    }

    /// Iterates from a step up to the root's entry.
    fn way(&self, step: usize) -> impl Iterator<Item = &Step> {
        std::iter::successors(Some(&self.steps[step]), |step| {
            step.parent.map(|parent| &self.steps[parent])
        })
    }

    /// Formats a chain: `dev/bitops.config.yaml → eks of https://host/a → prom of https://host/b`.
    fn chain(&self, step: usize) -> String {
        let mut parts: Vec<String> = self
            .way(step)
            .map(|step| format!("{} of {}", step.spec.environment, step.spec.repo))
            .collect();
        parts.extend(
            self.way(step)
                .last()
                .map(|first| escape(&first.spec.place.file, 200)),
        );
        parts.reverse();
        parts.join(" → ")
    }

    /// Formats the chain with the version that it ends in.
    pub(super) fn request(&self, step: usize) -> String {
        format!(
            "{} (`{}`)",
            self.chain(step),
            escape(self.spec(step).requested.as_str(), 80)
        )
    }

    pub(super) fn disagreement(&self, one: usize, other: usize) -> Diagnostic {
        let spec = self.spec(other);
        let (environment, repo) = (&spec.environment, &spec.repo);
        let (one, other) = (self.request(one), self.request(other));
        let message = format!(
            "`{environment}` of {repo} is asked for in versions that exclude each other: {one}; {other}"
        );
        Diagnostic::error(message)
            .with_place(spec.requested_place())
            .hint("name it in the local config too, with the version to use: that entry decides")
    }

    /// Returns the error for a source that only sources name, and that would bring directories beside
    /// the environment which no entry of the local config allows: such a directory may be another
    /// environment of the user. The local config allows those that its own entry above has in
    /// `shared`.
    pub(super) fn disallowed_shared(&self, key: Key) -> Option<Diagnostic> {
        let asked = &self.asked[&key];
        let spec = self.spec(asked[0]);
        let is_allowed = |dir: &TreePath| {
            let mut roots = asked.iter().filter_map(|step| self.way(*step).last());
            roots.any(|root| root.spec.shared.contains(dir))
        };
        let disallowed: Vec<String> = spec
            .shared
            .iter()
            .filter(|dir| !is_allowed(dir))
            .map(|dir| format!("`{dir}`"))
            .collect();
        if disallowed.is_empty() {
            return None;
        }
        let disallowed = disallowed.join(", ");
        let message = format!(
            "`{}` of {} would bring {disallowed} beside your environment, and only a source asks for that: {}",
            spec.environment,
            spec.repo,
            self.chain(asked[0])
        );
        let hint = format!(
            "name it in the local config too: that entry decides, and brings {disallowed} only if its own `shared` has it"
        );
        Some(
            Diagnostic::new(ExitCode::Refused, message)
                .with_place(spec.place.clone())
                .hint(hint),
        )
    }

    /// Returns warnings about other options for a key. An environment that is reached twice is
    /// composed once, with the options of its lowest entry.
    pub(super) fn other_options(&self, key: Key) -> Vec<Diagnostic> {
        let asked = &self.asked[&key];
        let first = self.spec(asked[0]);
        let warning = |other: &usize| {
            let spec = self.spec(*other);
            let message = format!(
                "`{}` of {} is composed once, with the options of {}; those of {} are not used",
                spec.environment,
                spec.repo,
                self.chain(asked[0]),
                self.chain(*other)
            );
            Diagnostic::warning(message)
                .with_place(spec.place.clone())
                .hint("name it in the local config too, with the options to use: that entry decides")
        };
        asked
            .iter()
            .filter(|other| !same_options(first, self.spec(**other)))
            .map(warning)
            .collect()
    }
}

/// Returns whether two entries agree in everything but the version, the signature and the place.
fn same_options(one: &SourceSpec, other: &SourceSpec) -> bool {
    let alike = SourceSpec {
        requested: one.requested.clone(),
        verify: one.verify.clone(),
        place: one.place.clone(),
        spans: one.spans.clone(),
        ignored_versions: one.ignored_versions.clone(),
        ..other.clone()
    };
    *one == alike
}
