//! Sources that name further sources: which are composed, at which version, and in which order.
//!
//! A [`Graph`] does no IO. The caller asks it which nodes are [ready](Graph::ready), resolves and
//! fetches them in any order, and reports what each source's own config [names](Graph::expand).
//! When nothing is ready or under way, the caller [finishes](Graph::finish) the graph.
//!
//! The result depends on the configs alone, never on the order in which they arrived. When a config
//! that names sources arrives, the graph replays the same walk from the root with the configs that
//! it has so far. Versions are settled round by round, and a missing config only means that
//! something is ready. When nothing is missing, the walk is the same as for a caller that has all
//! configs from the start. The price is that an environment may become ready at a version that a
//! later config rules out.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use compose_model::{Diagnostic, ExitCode, Nesting, SourceSpec, Verify, VerifyMode};

use super::{
    allow::Allow,
    entries::{GraphEntry, Key, MAX_DEPTH, NodeId, Nodes},
    intersect::intersect,
    replay::Replay,
};

/// The number of rounds after which versions are considered unsettled. Versions settle in about as
/// many rounds as the deepest chain is long; more rounds mean that two sources drive each other in
/// circles.
const MAX_ROUNDS: usize = 4 * MAX_DEPTH;

/// The state of discovering sources.
#[derive(Debug)]
pub struct Graph {
    allow: Allow,
    nodes: Nodes,
    /// The local config's entries.
    root: Vec<GraphEntry>,
    /// The keys of the local config's entries, which take precedence.
    decided: HashMap<Key, Arc<SourceSpec>>,
    /// Whether a source named a repo that it must not name.
    is_refused: bool,
    /// The last walk, as long as no config that could change it has arrived.
    settled: Option<Settled>,
}

/// One source of the composition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderedNode {
    /// The node under which [`Graph::ready`] handed the source out.
    pub node: NodeId,
    /// The entry that decides, with the request that all entries agree on, and with `hooks` off if
    /// a source above turns them off.
    pub spec: SourceSpec,
    /// The sources whose configs first led here, outermost first, as indexes into the order; empty
    /// for the local config.
    pub via: Vec<usize>,
    /// Every source that names this one, directly or through others, in ascending order. This
    /// source lies below all of them.
    pub below: Vec<usize>,
    /// The warnings for the user.
    pub warnings: Vec<Diagnostic>,
}

impl Graph {
    /// Starts with the local config's entries. Returns an error for repos that `allow` refuses.
    pub fn new(root: Vec<SourceSpec>, allow: Allow) -> Result<Self, Vec<Diagnostic>> {
        let mut nodes = Nodes::default();
        let (root, refusals) = admit(root, Nesting::Root, &allow, &mut nodes);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let decided = root
            .iter()
            .map(|entry| (entry.key, Arc::clone(&entry.spec)))
            .collect();
        Ok(Self {
            allow,
            nodes,
            root,
            decided,
            is_refused: false,
            settled: None,
        })
    }

    /// Returns the nodes to resolve and fetch next, in composition order; each is returned once.
    /// The result may be empty while others are still under way.
    pub fn ready(&mut self) -> Vec<NodeId> {
        let settled = self.take_settled();
        let mut ready = settled.missing.clone();
        self.settled = Some(settled);
        ready.retain(|node| self.nodes.hand_out(*node));
        ready
    }

    /// Returns the entry of a node, with the request to resolve.
    pub fn spec(&self, node: NodeId) -> &SourceSpec {
        self.nodes.spec(node)
    }

    /// Records the sources that the node's own config names (none if it has no config). Returns an
    /// error for repos that a source must not name, because they are local or because
    /// `BITOPS_COMPOSE_ALLOW` refuses them. After such an error the graph never finishes
    /// successfully.
    pub fn expand(&mut self, node: NodeId, nested: Vec<SourceSpec>) -> Result<(), Vec<Diagnostic>> {
        let (entries, refusals) = admit(nested, Nesting::Nested, &self.allow, &mut self.nodes);
        if !entries.is_empty() {
            self.settled = None;
        }
        self.nodes.expand(node, entries);
        self.is_refused |= !refusals.is_empty();
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(refusals)
        }
    }

    /// Returns the chains of entries that request the node's environment, each with its version, if
    /// there are several. The message that no tag answers them all shows these chains.
    pub fn askers(&mut self, node: NodeId) -> Vec<String> {
        let key = self.nodes.key(node);
        let settled = self.take_settled();
        let asked = key
            .and_then(|key| settled.walk.asked.get(&key))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let askers = asked
            .iter()
            .filter(|_| asked.len() > 1)
            .map(|step| settled.walk.request(*step))
            .collect();
        self.settled = Some(settled);
        askers
    }

    /// Returns the composition, lowest source first. Returns an error for cycles, versions that
    /// disagree, chains that are too long, nodes that were never expanded, and directories beside the
    /// environment that the local config does not allow. The error is empty
    /// if an earlier call reported all of them.
    pub fn finish(mut self) -> Result<Vec<OrderedNode>, Vec<Diagnostic>> {
        let settled = self.take_settled();
        let mut errors = settled.errors;
        if errors.is_empty() {
            let unread = |node: &NodeId| {
                let spec = self.nodes.spec(*node);
                let message = format!(
                    "the sources that `{}` of {} names were never read",
                    spec.environment, spec.repo
                );
                Diagnostic::error(message).with_place(spec.place.clone())
            };
            let missing = settled
                .missing
                .iter()
                .filter(|node| !self.nodes.is_expanded(**node));
            errors.extend(missing.map(unread));
        }
        if errors.is_empty() && !self.is_refused {
            let nested = settled
                .walk
                .order
                .iter()
                .filter(|key| !self.decided.contains_key(key));
            errors.extend(nested.filter_map(|key| settled.walk.disallowed_shared(*key)));
        }
        if !errors.is_empty() || self.is_refused {
            return Err(errors);
        }
        Ok(self.order(&settled.walk, &settled.chosen))
    }

    fn take_settled(&mut self) -> Settled {
        self.settled.take().unwrap_or_else(|| self.settle())
    }

    /// Walks in rounds until the assumed versions are those that the walk requests.
    fn settle(&mut self) -> Settled {
        let mut missing: Vec<NodeId> = Vec::new();
        let mut known: HashSet<NodeId> = HashSet::new();
        let mut chosen: HashMap<Key, Option<NodeId>> = HashMap::new();
        let mut unsettled: Vec<Diagnostic> = Vec::new();
        for _ in 0..MAX_ROUNDS {
            let mut walk = Replay::new(&self.root, &self.nodes, &chosen);
            let mut errors = std::mem::take(&mut walk.errors);
            let mut next = HashMap::new();
            for key in &walk.order {
                let node = self.choose(*key, &walk).map_err(|error| errors.push(error)).ok();
                next.insert(*key, node);
                let unread = |node: &NodeId| !self.nodes.is_expanded(*node) && known.insert(*node);
                missing.extend(node.filter(unread));
            }
            if next == chosen {
                return Settled {
                    walk,
                    chosen,
                    missing,
                    errors,
                };
            }
            chosen = next;
            if !errors.is_empty() {
                unsettled = errors;
            }
        }
        // A round that goes wrong, usually in a cycle, leads to versions that undo it.
        if unsettled.is_empty() {
            let hint = "name those that are reached twice in the local config, with the version to use: its entries decide";
            unsettled.push(Diagnostic::error("the versions of nested sources do not settle").hint(hint));
        }
        Settled {
            walk: Replay::new(&self.root, &self.nodes, &chosen),
            chosen,
            missing,
            errors: unsettled,
        }
    }

    /// Returns the node of the request that all entries of a key agree on.
    fn choose(&mut self, key: Key, walk: &Replay) -> Result<NodeId, Diagnostic> {
        let own = walk.node(walk.asked[&key][0]);
        if !self.decided.contains_key(&key) && walk.asked[&key].iter().all(|step| walk.node(*step) == own) {
            return Ok(own);
        }
        self.agree(key, walk)
            .map(|spec| self.nodes.node(key, &Arc::new(spec)))
    }

    /// Returns the entry that decides for a key, with the request that all entries agree on.
    fn agree(&self, key: Key, walk: &Replay) -> Result<SourceSpec, Diagnostic> {
        if let Some(spec) = self.decided.get(&key) {
            return Ok(SourceSpec::clone(spec));
        }
        let asked = &walk.asked[&key];
        let mut agreed = walk.spec(asked[0]).clone();
        for (at, other) in asked.iter().enumerate().skip(1) {
            let spec = walk.spec(*other);
            let Some(both) = intersect(&agreed.requested, &spec.requested) else {
                // The error shows the entry that disagrees, not the first one that contributed to
                // the agreement.
                let excludes =
                    |one: &&usize| intersect(&walk.spec(**one).requested, &spec.requested).is_none();
                let one = asked[..at].iter().find(excludes).unwrap_or(&asked[0]);
                return Err(walk.disagreement(*one, *other));
            };
            agreed.requested = both;
            agreed.verify = stricter(agreed.verify, spec.verify.as_ref());
        }
        Ok(agreed)
    }

    fn order(&self, walk: &Replay, chosen: &HashMap<Key, Option<NodeId>>) -> Vec<OrderedNode> {
        let position: HashMap<Key, usize> = walk
            .order
            .iter()
            .enumerate()
            .map(|(at, key)| (*key, at))
            .collect();
        // A source comes before the sources that name it. Walking from the top down, each source
        // collects its parents and everything above them.
        let mut above: HashMap<Key, HashSet<usize>> = HashMap::new();
        for key in walk.order.iter().rev() {
            let mut own = HashSet::new();
            for parent in walk.parents(*key) {
                own.insert(position[&parent]);
                own.extend(above.get(&parent).into_iter().flatten());
            }
            above.insert(*key, own);
        }
        let mut ordered: Vec<OrderedNode> = Vec::new();
        for key in &walk.order {
            let (Some(Some(node)), Ok(mut spec)) = (chosen.get(key), self.agree(*key, walk)) else {
                continue;
            };
            let is_root = self.decided.contains_key(key);
            let via = walk.above(walk.asked[key][0]);
            if !is_root {
                let off = |above: &Key| {
                    self.agree(*above, walk)
                        .is_ok_and(|spec| !spec.filter.keeps_hooks())
                };
                if via.iter().any(off) {
                    spec.filter = spec.filter.without_hooks();
                }
            }
            let warnings = if is_root {
                Vec::new()
            } else {
                walk.other_options(*key)
            };
            let via = via.iter().map(|key| position[key]).collect();
            let mut below: Vec<usize> = above.remove(key).unwrap_or_default().into_iter().collect();
            below.sort_unstable();
            ordered.push(OrderedNode {
                node: *node,
                spec,
                via,
                below,
                warnings,
            });
        }
        ordered
    }
}

/// Returns the entries that a config may make, and the reasons for refusing the others.
fn admit(
    specs: Vec<SourceSpec>,
    nesting: Nesting,
    allow: &Allow,
    nodes: &mut Nodes,
) -> (Vec<GraphEntry>, Vec<Diagnostic>) {
    let (mut entries, mut refusals) = (Vec::new(), Vec::new());
    for spec in specs {
        if nesting == Nesting::Nested && spec.repo.is_local() {
            let message = format!("a source's own config names {}, which is local", spec.repo);
            refusals.push(Diagnostic::new(ExitCode::Refused, message).with_place(spec.place.clone()));
        } else if let Err(error) = allow.check(&spec.repo) {
            refusals.push(Diagnostic::from(error).with_place(spec.place.clone()));
        } else {
            entries.push(nodes.entry(spec));
        }
    }
    (entries, refusals)
}

#[derive(Debug)]
struct Settled {
    walk: Replay,
    chosen: HashMap<Key, Option<NodeId>>,
    missing: Vec<NodeId>,
    errors: Vec<Diagnostic>,
}

fn stricter(one: Option<Verify>, other: Option<&Verify>) -> Option<Verify> {
    match (one, other) {
        (Some(one), Some(other)) if one.mode != other.mode => Some(Verify {
            mode: VerifyMode::Both,
            ..one
        }),
        (one, other) => one.or_else(|| other.cloned()),
    }
}
