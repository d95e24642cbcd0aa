//! Graphs of nested sources: which entry is asked for, in which version, in which order.

use std::{collections::BTreeMap, sync::Arc};

use compose_model::{
    Nesting, OnConflict, Requested, SourceSpec, TreePath, VerifyMode, VersionRequest, version::VersionKind,
};
use proptest::prelude::*;
use semver::Version;

use super::super::{Allow, Graph, NodeId, OrderedNode};

/// Returns a config of entries such as `a/eks@^1.0`: the environment `eks` of `https://host/a`. Options follow as `+key:
/// value`.
fn config(file: &str, entries: &str) -> Vec<SourceSpec> {
    let list: String = entries
        .split_whitespace()
        .map(|entry| {
            let (entry, options) = entry.split_once('+').unwrap_or((entry, ""));
            let (path, request) = entry.split_once('@').unwrap();
            let (repo, environment) = path.split_once('/').unwrap();
            let key = if VersionRequest::parse(request).is_ok() {
                "version"
            } else {
                "ref"
            };
            let options = options.replace('+', ", ").replace('=', ": ");
            format!(
                "- {{repo: https://host/{repo}, environment: {environment}, {key}: '{request}', {options}}}\n"
            )
        })
        .collect();
    let text = format!("default-environments:\n{list}");
    crate::config::parse(&Arc::from(file), &Arc::from(text), Nesting::Nested)
        .unwrap_or_else(|mistakes| panic!("{entries}: {mistakes:?}"))
}

/// What each environment names at each version: `("a/eks@1.0.0", "b/web@^1")`. One that is not listed names nothing.
struct World(BTreeMap<(String, Version), String>);

impl World {
    fn new(configs: &[(&str, &str)]) -> Self {
        let pair = |(node, entries): &(&str, &str)| {
            let (path, version) = node.split_once('@').unwrap();
            ((path.to_owned(), version.parse().unwrap()), (*entries).to_owned())
        };
        Self(configs.iter().map(pair).collect())
    }

    /// Returns the config of the highest version that matches.
    fn nested(&self, spec: &SourceSpec) -> Vec<SourceSpec> {
        let path = format!("{}/{}", spec.repo.name(), spec.environment);
        let answers = |version: &Version| match &spec.requested {
            Requested::Version(request) => match request.kind() {
                VersionKind::Exact(exact) => exact == version,
                VersionKind::Range(range) => range.matches(version),
                VersionKind::Partial => false,
            },
            Requested::Ref(_) => true,
        };
        let found = self
            .0
            .iter()
            .rev()
            .find(|((name, version), _)| *name == path && answers(version));
        found
            .map(|((_, version), entries)| config(&format!("{path} {version}"), entries))
            .unwrap_or_default()
    }

    /// Composes, and expands nodes in the order that `pick` chooses among the open ones.
    fn compose(
        &self,
        root: &str,
        mut pick: impl FnMut(usize) -> usize,
    ) -> Result<Vec<OrderedNode>, Vec<compose_model::Diagnostic>> {
        let mut graph = Graph::new(config("dev", root), Allow::default()).unwrap();
        let mut under_way: Vec<NodeId> = Vec::new();
        loop {
            under_way.extend(graph.ready());
            if under_way.is_empty() {
                return graph.finish();
            }
            let node = under_way.remove(pick(under_way.len()));
            let nested = self.nested(graph.spec(node));
            graph.expand(node, nested).unwrap();
        }
    }

    fn order(&self, root: &str) -> String {
        match self.compose(root, |_| 0) {
            Ok(order) => show(&order),
            Err(errors) => {
                let hint = |error: &compose_model::Diagnostic| {
                    error
                        .hints
                        .first()
                        .map_or(String::new(), |hint| format!(" ({hint})"))
                };
                errors
                    .iter()
                    .map(|error| format!("{}{}", error.message, hint(error)))
                    .collect::<Vec<_>>()
                    .join("\n")
            }
        }
    }
}

/// `b/web@^1<a/eks a/eks@1.0.0`: lowest first, behind `<` the chain that led there.
fn show(order: &[OrderedNode]) -> String {
    let name = |node: &OrderedNode| format!("{}/{}", node.spec.repo.name(), node.spec.environment);
    let one = |node: &OrderedNode| {
        let via: Vec<String> = node.via.iter().map(|above| name(&order[*above])).collect();
        let via = if via.is_empty() {
            String::new()
        } else {
            format!("<{}", via.join("<"))
        };
        format!(
            "{}@{}{via}",
            name(node),
            node.spec.requested.as_str().replace(' ', "")
        )
    };
    order.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_a_source_names_lies_below_it() {
    let world = World::new(&[("a/e@1.0.0", "b/e@1.0.0 c/e@main"), ("b/e@1.0.0", "d/e@1.0.0")]);
    assert_eq!(
        world.order("x/e@1.0.0 a/e@1.0.0 y/e@1.0.0"),
        "x/e@1.0.0 d/e@1.0.0<a/e<b/e b/e@1.0.0<a/e c/e@main<a/e a/e@1.0.0 y/e@1.0.0"
    );
}

#[test]
fn what_is_reached_twice_is_composed_once_at_its_lowest_position() {
    let world = World::new(&[
        ("a/e@1.0.0", "p/e@1.0.0"),
        ("b/e@1.0.0", "c/e@1.0.0"),
        ("c/e@1.0.0", "p/e@v1.0.0"),
    ]);
    let order = world.compose("a/e@1.0.0 b/e@1.0.0", |_| 0).unwrap();
    assert_eq!(show(&order), "p/e@1.0.0<a/e a/e@1.0.0 c/e@1.0.0<b/e b/e@1.0.0");
    // It lies below all sources that name it, not only below those that named it first.
    assert_eq!(order[0].below, [1, 2, 3]);
    assert_eq!(order[2].below, [3]);
    // If the local config names it too, it belongs to the local config, below the sources that name it.
    let root_too = world.compose("a/e@1.0.0 p/e@1.0.0", |_| 0).unwrap();
    assert_eq!(show(&root_too), "p/e@1.0.0<a/e a/e@1.0.0");
}

#[test]
fn versions_are_settled_by_the_local_config_or_by_agreement() {
    let world = World::new(&[
        ("a/e@1.0.0", "p/e@1.0.0"),
        ("b/e@1.0.0", "p/e@2.0.0"),
        ("c/e@1.0.0", "p/e@^1.2"),
        ("d/e@1.0.0", "p/e@>=1.3"),
        ("f/e@1.0.0", "p/e@main"),
        ("p/e@1.9.0", "q/e@1.0.0"),
        ("p/e@2.0.0", "r/e@1.0.0"),
    ]);
    assert_eq!(
        world.order("c/e@1.0.0 d/e@1.0.0"),
        "q/e@1.0.0<c/e<p/e p/e@^1.2,>=1.3<c/e c/e@1.0.0 d/e@1.0.0"
    );
    assert_eq!(
        world.order("a/e@1.0.0 b/e@1.0.0 p/e@2.0.0"),
        "r/e@1.0.0<a/e<p/e p/e@2.0.0<a/e a/e@1.0.0 b/e@1.0.0"
    );
    assert_eq!(
        world.order("f/e@1.0.0 a/e@1.0.0 p/e@^1"),
        "q/e@1.0.0<f/e<p/e p/e@^1<f/e f/e@1.0.0 a/e@1.0.0"
    );
    insta::assert_snapshot!(world.order("a/e@1.0.0 b/e@1.0.0"), @"`e` of https://host/p is asked for in versions that exclude each other: dev → e of https://host/a → e of https://host/p (`1.0.0`); dev → e of https://host/b → e of https://host/p (`2.0.0`) (name it in the local config too, with the version to use: that entry decides)");
    insta::assert_snapshot!(world.order("a/e@1.0.0 f/e@1.0.0"), @"`e` of https://host/p is asked for in versions that exclude each other: dev → e of https://host/a → e of https://host/p (`1.0.0`); dev → e of https://host/f → e of https://host/p (`main`) (name it in the local config too, with the version to use: that entry decides)");
    insta::assert_snapshot!(world.order("d/e@1.0.0 c/e@1.0.0 a/e@1.0.0"), @"`e` of https://host/p is asked for in versions that exclude each other: dev → e of https://host/d → e of https://host/p (`>=1.3`); dev → e of https://host/a → e of https://host/p (`1.0.0`) (name it in the local config too, with the version to use: that entry decides)");
}

#[test]
fn the_requesters_are_named_when_no_tag_satisfies_all() {
    let mut graph = Graph::new(config("dev", "a/e@1.0.0 b/e@1.0.0"), Allow::default()).unwrap();
    let roots = graph.ready();
    for (node, entries) in roots.iter().zip(["p/e@^1", "p/e@^2"]) {
        assert_eq!(graph.askers(*node), Vec::<String>::new());
        graph.expand(*node, config("nested", entries)).unwrap();
    }
    let ready = graph.ready();
    assert_eq!(graph.spec(ready[0]).requested.as_str(), "^1, ^2");
    assert_eq!(
        graph.askers(ready[0]),
        [
            "dev → e of https://host/a → e of https://host/p (`^1`)",
            "dev → e of https://host/b → e of https://host/p (`^2`)"
        ]
    );
}

#[test]
fn cycles_and_endless_chains_are_reported_with_their_chain() {
    let cycle = World::new(&[
        ("a/e@1.0.0", "b/e@1.0.0"),
        ("b/e@1.0.0", "c/e@1.0.0"),
        ("c/e@1.0.0", "a/e@^1"),
    ]);
    insta::assert_snapshot!(cycle.order("a/e@1.0.0"), @"sources name each other in a cycle: dev → e of https://host/a → e of https://host/b → e of https://host/c → e of https://host/a (remove one of the entries on the way)");
    let own = World::new(&[("a/e@1.0.0", "a/e@1.0.0")]);
    insta::assert_snapshot!(own.order("a/e@1.0.0"), @"sources name each other in a cycle: dev → e of https://host/a → e of https://host/a (remove one of the entries on the way)");
    let chain: Vec<(String, String)> = (0..40)
        .map(|n| (format!("r/e{n}@1.0.0"), format!("r/e{}@1.0.0", n + 1)))
        .collect();
    let chain: Vec<(&str, &str)> = chain
        .iter()
        .map(|(node, entries)| (node.as_str(), entries.as_str()))
        .collect();
    let world = World::new(&chain);
    let error = world.order("r/e0@1.0.0");
    assert!(
        error.starts_with("a chain of more than 16 sources: dev → e0 of https://host/r → "),
        "{error}"
    );
    assert!(error.contains("→ e16 of https://host/r (remove"), "{error}");
    assert_eq!(world.order("r/e25@1.0.0").split(' ').count(), 16);
}

#[test]
fn versions_that_undo_themselves_are_reported() {
    // The higher p leads to a lower p, which leads nowhere.
    let world = World::new(&[
        ("a/e@1.0.0", "p/e@^1"),
        ("p/e@1.0.0", ""),
        ("p/e@1.9.0", "q/e@1.0.0"),
        ("q/e@1.0.0", "p/e@<1.5"),
    ]);
    insta::assert_snapshot!(world.order("a/e@1.0.0"), @"sources name each other in a cycle: dev → e of https://host/a → e of https://host/p → e of https://host/q → e of https://host/p (remove one of the entries on the way)");
    assert_eq!(world.order("a/e@1.0.0 p/e@1.0.0"), "p/e@1.0.0<a/e a/e@1.0.0");
}

#[test]
fn a_config_that_a_later_one_rules_out_leaves_no_trace() {
    let world = World::new(&[
        ("a/e@1.0.0", "p/e@^1"),
        ("b/e@1.0.0", "c/e@1.0.0"),
        ("c/e@1.0.0", "p/e@<1.5"),
        ("p/e@1.0.0", "low/e@1.0.0"),
        ("p/e@1.9.0", "high/e@1.0.0"),
    ]);
    assert_eq!(
        world.order("a/e@1.0.0 b/e@1.0.0"),
        "low/e@1.0.0<a/e<p/e p/e@^1,<1.5<a/e a/e@1.0.0 c/e@1.0.0<b/e b/e@1.0.0"
    );
}

#[test]
fn repos_that_must_not_be_contacted_never_become_ready() {
    let allow = Allow::new(["https://host/a*"]);
    let refused = Graph::new(config("dev", "a/e@1.0.0 b/e@1.0.0"), allow.clone())
        .map(|_| ())
        .unwrap_err();
    insta::assert_snapshot!(format!("{} ({})", refused[0].message, refused[0].hints[0]), @"https://host/b is not among the repos that BITOPS_COMPOSE_ALLOW allows (add a glob for it to BITOPS_COMPOSE_ALLOW, or remove the source)");
    let mut graph = Graph::new(config("dev", "a/e@1.0.0"), allow).unwrap();
    let node = graph.ready()[0];
    let local = Arc::from("default-environments: [{repo: /etc, environment: e, version: 1.0.0}]");
    let mut nested = config("a e", "b/e@1.0.0 a2/e@1.0.0");
    nested.extend(crate::config::parse(&Arc::from("a e"), &local, Nesting::Root).unwrap());
    let refused = graph.expand(node, nested).unwrap_err();
    let messages: Vec<&str> = refused.iter().map(|refusal| refusal.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "https://host/b is not among the repos that BITOPS_COMPOSE_ALLOW allows",
            "a source's own config names /etc, which is local"
        ]
    );
    let ready = graph.ready();
    assert_eq!(
        ready
            .iter()
            .map(|node| graph.spec(*node).repo.name())
            .collect::<Vec<_>>(),
        ["a2"]
    );
    graph.expand(ready[0], Vec::new()).unwrap();
    assert_eq!(graph.finish(), Err(Vec::new()));
}

#[test]
fn a_node_that_was_never_read_is_not_an_empty_one() {
    let mut graph = Graph::new(config("dev", "a/e@1.0.0"), Allow::default()).unwrap();
    assert_eq!((graph.ready().len(), graph.ready().len()), (1, 0));
    assert!(graph.finish().unwrap_err()[0].message.contains("never read"));
}

#[test]
fn options_of_what_is_reached_twice_are_those_of_its_lowest_entry() {
    let world = World::new(&[
        (
            "a/e@1.0.0",
            "p/e@1.0.0+exclude=[x]+verify={mode=commit} q/e@1.0.0",
        ),
        ("b/e@1.0.0", "p/e@1.0.0+on-conflict=last+verify={mode=tag}"),
        ("q/e@1.0.0", "r/e@1.0.0"),
    ]);
    let order = world.compose("a/e@1.0.0 b/e@1.0.0", |_| 0).unwrap();
    let p = &order[0].spec;
    assert_eq!(
        (
            p.filter.excluded().len(),
            p.on_conflict,
            p.verify.as_ref().unwrap().mode
        ),
        (1, OnConflict::Error, VerifyMode::Both)
    );
    insta::assert_snapshot!(order[0].warnings[0].message, @"`e` of https://host/p is composed once, with the options of dev → e of https://host/a → e of https://host/p; those of dev → e of https://host/b → e of https://host/p are not used");
    // Hooks that are off for a source are off for its own sources, except those that the local config names itself.
    let order = world
        .compose("a/e@1.0.0+hooks=false b/e@1.0.0 q/e@1.0.0", |_| 0)
        .unwrap();
    let hooks: Vec<_> = order
        .iter()
        .map(|node| (node.spec.repo.name(), node.spec.filter.keeps_hooks()))
        .collect();
    assert_eq!(
        hooks,
        [("p", false), ("r", false), ("q", true), ("a", false), ("b", true)]
    );
    let by_root = world
        .compose("a/e@1.0.0 b/e@1.0.0 p/e@1.0.0+as=mine", |_| 0)
        .unwrap();
    assert_eq!(
        (by_root[0].spec.rename.as_deref(), by_root[0].warnings.len()),
        (Some("mine"), 0)
    );
}

#[test]
fn a_thousand_sources_are_the_end_of_it() {
    let fan = |from: usize, count: usize| {
        (0..count)
            .map(|n| format!("r/e{}@1.0.0", from + n))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let (one, two) = (fan(10, 600), fan(700, 600));
    let world = World::new(&[("r/e0@1.0.0", &one), ("r/e1@1.0.0", &two)]);
    let errors = world.order("r/e0@1.0.0 r/e1@1.0.0");
    assert_eq!(errors.lines().count(), 1);
    assert!(
        errors.starts_with(
            "more than 1000 sources, with those that sources name: dev → e1 of https://host/r → "
        ),
        "{errors}"
    );
    assert_eq!(
        world.compose("r/e0@1.0.0 a/e@1.0.0", |_| 0).unwrap()[0]
            .spec
            .environment,
        TreePath::new("e10").unwrap()
    );
}

proptest! {
    /// In any world and any order of arrival the composition or the errors are the same, and a named source lies below.
    #[test]
    fn the_order_of_arrival_decides_nothing(
        edges in proptest::collection::vec((0usize..6, 0usize..3, 0usize..6, 0usize..4), 0..14),
        root in proptest::collection::btree_set(0usize..6, 1..4),
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 64),
    ) {
        let requests = ["^1", ">=1.1", "1.0.0", "<1.2"];
        let mut configs: BTreeMap<String, BTreeMap<usize, &str>> = BTreeMap::new();
        for repo in 0..6 {
            for minor in 0..3 {
                configs.insert(format!("r{repo}/e@1.{minor}.0"), BTreeMap::new());
            }
        }
        for (from, minor, to, request) in edges {
            configs.get_mut(&format!("r{from}/e@1.{minor}.0")).unwrap().insert(to, requests[request]);
        }
        let configs: Vec<(String, String)> = configs.into_iter().map(|(node, entries)| {
            (node, entries.iter().map(|(to, request)| format!("r{to}/e@{request} ")).collect())
        }).collect();
        let world = World::new(&configs.iter().map(|(node, entries)| (node.as_str(), entries.as_str())).collect::<Vec<_>>());
        let root: String = root.iter().map(|repo| format!("r{repo}/e@^1 ")).collect();
        let first = world.compose(&root, |_| 0);
        let mut picks = picks.iter().cycle();
        let strip = |result: &Result<Vec<OrderedNode>, Vec<compose_model::Diagnostic>>| match result {
            Ok(order) => Ok((show(order), order.iter().map(|node| node.below.clone()).collect::<Vec<_>>())),
            Err(errors) => Err(errors.clone()),
        };
        prop_assert_eq!(strip(&first), strip(&world.compose(&root, |_| 0)));
        prop_assert_eq!(strip(&first), strip(&world.compose(&root, |count| picks.next().unwrap().index(count))));
        prop_assert_eq!(strip(&first), strip(&world.compose(&root, |count| count - 1)));
        for (at, node) in first.iter().flatten().enumerate() {
            prop_assert!(node.below.iter().all(|above| *above > at));
            prop_assert!(node.via.iter().all(|above| node.below.contains(above)));
        }
    }
}

#[test]
fn only_the_local_config_allows_directories_beside_the_environment() {
    let world = World::new(&[
        ("a/e@1.0.0", "b/e@1.0.0+shared=[prod]"),
        ("z/e@1.0.0", "b/e@1.0.0"),
    ]);
    let refused = world.order("a/e@1.0.0");
    assert!(
        refused.starts_with("`e` of https://host/b would bring `prod` beside your environment, and only a source asks for that: dev → e of https://host/a → e of https://host/b"),
        "{refused}"
    );
    // What the entry above shares, what it names may share as well.
    assert_eq!(world.order("a/e@1.0.0+shared=[prod]"), "b/e@1.0.0<a/e a/e@1.0.0");
    assert!(world.order("a/e@1.0.0+shared=[other]").contains("`prod`"));
    // An entry for the source itself decides, with a `shared` of its own or without one.
    for own in ["b/e@1.0.0", "b/e@1.0.0+shared=[prod]"] {
        assert_eq!(world.order(&format!("{own} a/e@1.0.0")), "b/e@1.0.0 a/e@1.0.0");
    }
    // The entry at the lowest position has the options, whichever entry above it allows them.
    assert!(world.order("a/e@1.0.0 z/e@1.0.0").contains("`prod`"));
    assert_eq!(
        world.order("a/e@1.0.0 z/e@1.0.0+shared=[prod]"),
        "b/e@1.0.0<a/e a/e@1.0.0 z/e@1.0.0"
    );
}
