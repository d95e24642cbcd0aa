//! Random stacks of layers against an independent fold: which keys conflict, and what the merged file loads to.

use std::collections::BTreeSet;

use compose_merge::{MergeOutcome, Precedence, Yaml};
use compose_testkit::fuzz::{Random, rounds};

use crate::oracle::{Job, ask, merge};

/// A value of a key.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    /// A scalar, a list or null, as it is written.
    Whole(&'static str),
    /// A mapping with distinct keys.
    Map(Vec<(&'static str, Content)>),
}

const KEYS: [&str; 3] = ["a", "b", "c"];
const WHOLE: [&str; 9] = [
    "null",
    "1",
    "'1'",
    "text",
    "[]",
    "[1, {a: 2}]",
    "|\n~first\n~second",
    ">-\n~folded\n~text",
    "\"two\n~words\"",
];

fn random_map(random: &mut Random, depth: usize) -> Vec<(&'static str, Content)> {
    let mut entries = Vec::new();
    for key in KEYS {
        if random.below(3) > 0 {
            entries.push((key, random_content(random, depth)));
        }
    }
    entries
}

fn random_content(random: &mut Random, depth: usize) -> Content {
    if depth > 0 && random.below(2) == 0 {
        Content::Map(random_map(random, depth - 1))
    } else {
        Content::Whole(WHOLE[random.below(WHOLE.len())])
    }
}

fn write(entries: &[(&'static str, Content)], indent: usize) -> String {
    let mut out = String::new();
    for (key, content) in entries {
        let margin = " ".repeat(indent);
        out.push_str(&format!("{margin}{key}:"));
        match content {
            Content::Whole(text) => {
                let lines = text.replace('~', &format!("{margin}  "));
                out.push_str(&format!(" {lines}\n"));
            }
            Content::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
            Content::Map(entries) => out.push_str(&format!("\n{}", write(entries, indent + 2))),
        }
    }
    out
}

/// Merges the higher content over the lower one: mappings key by key, everything else as a whole.
fn over(lower: &Content, higher: &Content) -> Content {
    let (Content::Map(lower), Content::Map(higher)) = (lower, higher) else {
        return higher.clone();
    };
    let mut all = lower.clone();
    for (key, content) in higher {
        match all.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = over(known, content),
            None => all.push((key, content.clone())),
        }
    }
    Content::Map(all)
}

/// Contents that are equal up to the order of keys.
fn same(one: &Content, other: &Content) -> bool {
    match (one, other) {
        (Content::Map(one), Content::Map(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, content)| {
                    other
                        .iter()
                        .any(|(known, found)| known == key && same(content, found))
                })
        }
        (one, other) => one == other,
    }
}

fn is_map(content: &Content) -> bool {
    matches!(content, Content::Map(_))
}

/// Returns the keys in conflict. `equals` are layers that may not override each other, `higher` are layers above all of them.
fn conflicts(equals: &[&Content], higher: &[&Content], path: &str, found: &mut BTreeSet<String>) {
    if equals.len() < 2 {
        return;
    }
    let result = |lowest: &Content| {
        higher
            .iter()
            .fold(lowest.clone(), |lower, content| over(&lower, content))
    };
    let differ = |one: &Content, other: &Content| !(same(one, other) || is_map(one) && is_map(other));
    let is_conflict = equals.iter().any(|one| {
        equals
            .iter()
            .any(|other| differ(one, other) && !same(&result(one), &result(other)))
    });
    if is_conflict {
        found.insert(path.to_owned());
        return;
    }
    // Below a layer that replaces the whole, nothing else counts.
    let base = higher
        .iter()
        .rposition(|content| !is_map(content))
        .map_or(0, |at| at + 1);
    if base > 0 || !equals.iter().all(|content| is_map(content)) {
        return;
    }
    for key in KEYS {
        let of = |contents: &[&Content]| -> Vec<Content> {
            let value = |content: &&Content| match content {
                Content::Map(entries) => entries
                    .iter()
                    .find(|(known, _)| *known == key)
                    .map(|(_, value)| value.clone()),
                Content::Whole(_) => None,
            };
            contents.iter().filter_map(value).collect()
        };
        let (equals, higher) = (of(equals), of(higher));
        let path = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        let (equals, higher): (Vec<&Content>, Vec<&Content>) =
            (equals.iter().collect(), higher.iter().collect());
        conflicts(&equals, &higher, &path, found);
    }
}

#[test]
fn a_stack_conflicts_where_its_fold_depends_on_one_of_two_equals() {
    let stacks = rounds(1_500);
    let mut random = Random::new(8);
    let (mut jobs, mut conflicting) = (Vec::new(), 0);
    for _ in 0..stacks {
        let count = 3 + random.below(2);
        let equals = 2 + random.below(count - 1);
        let layers: Vec<Content> = (0..count)
            .map(|_| Content::Map(random_map(&mut random, 2)))
            .collect();
        let texts: Vec<String> = layers
            .iter()
            .map(|layer| match layer {
                Content::Map(entries) if entries.is_empty() => "{}\n".to_owned(),
                Content::Map(entries) => write(entries, 0),
                Content::Whole(text) => (*text).to_owned(),
            })
            .collect();
        let contents: Vec<&Content> = layers.iter().collect();
        let mut expected = BTreeSet::new();
        conflicts(&contents[..equals], &contents[equals..], "", &mut expected);

        let inputs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let precedence = |_: usize, higher: usize| {
            if higher < equals {
                Precedence::Conflict
            } else {
                Precedence::HigherWins
            }
        };
        let shown = || format!("{equals} equals of\n{}", texts.join("=====\n"));
        match merge(&Yaml, &inputs, &precedence).unwrap_or_else(|error| panic!("{error}\n{}", shown())) {
            MergeOutcome::Conflicts(found) => {
                let found: BTreeSet<String> = found.into_iter().map(|conflict| conflict.key).collect();
                assert_eq!(found, expected, "{}", shown());
                conflicting += 1;
            }
            MergeOutcome::Merged(merged) => {
                assert_eq!(BTreeSet::new(), expected, "{}", shown());
                jobs.push(Job {
                    format: "yaml",
                    result: Some(String::from_utf8(merged.bytes).unwrap()),
                    inputs: texts,
                });
            }
        }
    }
    assert!(
        jobs.len() > 10 && conflicting > 10,
        "{} merged, {conflicting} in conflict",
        jobs.len()
    );
    let wrong = ask(&jobs)
        .into_iter()
        .zip(&jobs)
        .find(|(answer, _)| !answer.is_empty());
    if let Some((answer, job)) = wrong {
        panic!("{answer}: {job:#?}");
    }
}

#[test]
fn a_mapping_above_a_conflict_settles_it_only_if_it_sets_all_of_the_key() {
    let settles = |lower: &str, other: &str, local: &str| {
        let precedence = |_: usize, higher: usize| {
            if higher == 2 {
                Precedence::HigherWins
            } else {
                Precedence::Conflict
            }
        };
        match merge(&Yaml, &[lower, other, local], &precedence).unwrap() {
            MergeOutcome::Merged(merged) => Some(String::from_utf8(merged.bytes).unwrap()),
            MergeOutcome::Conflicts(conflicts) => {
                assert_eq!(conflicts[0].key, "a");
                assert_eq!(
                    (conflicts[0].lower.contribution, conflicts[0].higher.contribution),
                    (0, 1)
                );
                None
            }
        }
    };
    for other in ["a: null\n", "a: 5\n", "a: []\n"] {
        for (one, other) in [("a: {x: 1, y: 1}\n", other), (other, "a: {x: 1, y: 1}\n")] {
            assert_eq!(settles(one, other, "a: {x: 3}\n"), None, "{one}{other}");
            assert!(settles(one, other, "a: {x: 3, y: 3}\n").is_some(), "{one}{other}");
            assert!(settles(one, other, "a: 7\n").is_some(), "{one}{other}");
        }
    }
    assert!(settles("a: 1\n", "a: 2\n", "a: {x: 3}\n").is_some());
}
