//! `default.json`, Renovate's preset, by Renovate's rules: the first expression of a manager is matched all over the file,
//! each next one within what the one before matched, and what all of them named is one dependency.
//!
//! Renovate compiles expressions with RE2, and with the engine of Node where that is missing. Rust's `regex` has RE2's syntax
//! and limits; where there is a Node it must find the same.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use compose_testkit::oracle;

use super::{project, tools};
use crate::common::{catalog, world};

type Found = BTreeMap<String, String>;

fn preset() -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(project().join("default.json")).unwrap()).unwrap()
}

/// Returns the expressions of each manager.
fn managers() -> Vec<Vec<String>> {
    let managers = preset()["customManagers"].as_array().unwrap().clone();
    let strings = |manager: &serde_json::Value| {
        assert_eq!(manager["matchStringsStrategy"], "recursive");
        let strings = manager["matchStrings"].as_array().unwrap().iter();
        strings
            .map(|string| string.as_str().unwrap().to_owned())
            .collect()
    };
    managers.iter().map(strings).collect()
}

/// Returns the compiled expressions.
fn compiled() -> &'static [Vec<regex::Regex>] {
    static COMPILED: OnceLock<Vec<Vec<regex::Regex>>> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let compile = |text: &String| regex::Regex::new(text).unwrap();
        let all = managers();
        all.iter()
            .map(|texts| texts.iter().map(compile).collect())
            .collect()
    })
}

fn recurse(content: &str, expressions: &[regex::Regex], groups: &Found, found: &mut Vec<Found>) {
    let Some((first, rest)) = expressions.split_first() else {
        found.push(groups.clone());
        return;
    };
    for captures in first.captures_iter(content) {
        let mut groups = groups.clone();
        for name in first.capture_names().flatten() {
            if let Some(value) = captures.name(name) {
                groups.insert(name.to_owned(), value.as_str().to_owned());
            }
        }
        recurse(&captures[0], rest, &groups, found);
    }
}

/// Returns `environment repo version` of each dependency in a file, sorted.
fn find(file: &str) -> Vec<String> {
    let mut found = Vec::new();
    for expressions in compiled() {
        recurse(file, expressions, &Found::new(), &mut found);
    }
    shown(&found)
}

fn shown(found: &[Found]) -> Vec<String> {
    let mut shown: Vec<String> = found
        .iter()
        .map(|groups| {
            ["environment", "packageName", "currentValue"]
                .map(|name| groups[name].as_str())
                .join(" ")
        })
        .collect();
    shown.sort();
    shown
}

const NODE: &str = r"
const { managers, files } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const recurse = (content, regexes, groups) => regexes.length === 0 ? [groups]
  : [...content.matchAll(new RegExp(regexes[0], 'g'))]
    .flatMap((match) => recurse(match[0], regexes.slice(1), { ...groups, ...match.groups }));
console.log(JSON.stringify(files.map((file) => managers.flatMap((regexes) => recurse(file, regexes, {})))));
";

/// Returns what Node finds, or `None` if there is no Node.
fn find_by_node(files: &[String]) -> Option<Vec<Vec<String>>> {
    let node = tools::find("node")?;
    let mut command = Command::new(node);
    command.args(["-e", NODE]);
    let question = serde_json::json!({ "managers": managers(), "files": files });
    let found: Vec<Vec<Found>> = serde_json::from_value(oracle::ask(command, &question)).unwrap();
    Some(found.iter().map(|found| shown(found)).collect())
}

/// Returns all permutations of the items.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(index);
        for mut order in orders(&rest) {
            order.insert(0, item.clone());
            all.push(order);
        }
    }
    all
}

/// Returns an entry in block style with `indent` before its dash.
fn block(keys: &[(&str, &str)], indent: &str) -> String {
    let mut out = String::new();
    for (index, (key, value)) in keys.iter().enumerate() {
        let dash = if index == 0 { "- " } else { "  " };
        let value = value.replace('\n', &format!("\n{indent}"));
        out.push_str(&format!("{indent}{dash}{key}:{value}\n"));
    }
    out
}

fn flow(keys: &[(&str, &str)]) -> String {
    let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("- {{{}}}\n", keys.join(", "))
}

#[test]
fn every_order_of_keys_in_every_style() {
    const REPO: &str = "https://host/org/c";
    let mut files = Vec::new();
    for (repo, version) in [
        (" https://host/org/c", " 1.2.3"),
        (" 'https://host/org/c'", " \"1.2.3\""),
    ] {
        let three = [
            ("repo", repo),
            ("environment", " stacks/eks"),
            ("version", version),
        ];
        let in_block = [
            ("exclude", "\n  - '*.md'\n  - docs/x"),
            ("verify", "\n    mode: tag\n    keys: k"),
            ("upgrade", "\n    ignore:\n    - '>=3'\n    - 2.0.0"),
            ("as", " web # a comment"),
            ("hooks", " false\n\n  # version: 9.9.9"),
        ];
        for more in in_block {
            for order in orders(&[&three[..], &[more]].concat()) {
                let entry = |indent| block(&order, indent);
                files.push(format!(
                    "default-environments:\n{}helm:\n  version: 7.0.0\n",
                    entry("")
                ));
                files.push(format!(
                    "bitops:\n  deployments: {{}}\n  default-environments:\n{}",
                    entry("  ")
                ));
                files.push(format!("default-environments:\n{}", entry("")).replace('\n', "\r\n"));
            }
        }
        for more in [
            ("exclude", " ['*.md', docs/x]"),
            ("verify", " {mode: tag, keys: k}"),
            ("upgrade", " {ignore: ['>=3', 2.0.0]}"),
            ("as", " web"),
        ] {
            for order in orders(&[&three[..], &[more]].concat()) {
                let entry = flow(&order);
                files.push(format!(
                    "default-environments:\n{entry}helm: {{version: 7.0.0}}\n"
                ));
                files.push(format!("default-environments: [{}]\n", entry[2..].trim_end()));
                files.push(format!(
                    "default-environments:\n{}",
                    entry.replace(", ", ",\n   ")
                ));
            }
        }
    }
    assert!(files.len() > 500, "{}", files.len());
    let expected = vec![format!("stacks/eks {REPO} 1.2.3")];
    for file in &files {
        assert_eq!(find(file), expected, "{file}");
    }
    for (file, found) in files.iter().zip(find_by_node(&files).unwrap_or_default()) {
        assert_eq!(found, expected, "{file}");
    }
}

#[test]
fn entries_side_by_side_are_distinguished() {
    let file = "bitops:\n  deployments:\n    terraform: {plugin: terraform}\ndefault-environments:\n\
        - repo: https://host/a\n  environment: eks\n  version: 1.0.0\n\
        - environment: b\n  exclude:\n  - \"*.md\"\n  version: ^1.2\n  repo: git@host:org/b\n\
        - {version: '>=1.0, <2', repo: https://host/c, environment: c}\n\
        -\n  repo: https://host/d\n  environment: d\n  version: >=1.0, <2 # both\n\
        - repo: https://host/e\n  environment: e\n  ref: main\n\
        - {repo: ., environment: _base}\n\
        - { \"environment\": \"f\",\n    \"version\": \"2.0.0\",\n    \"repo\": \"https://host/f\" }\n\
        - repo: .\n  environment: _more\n\
        helm:\n  version: 1.1.1\nother:\n- version: 5\n  name: x\n";
    let expected = [
        "b git@host:org/b ^1.2",
        "c https://host/c >=1.0, <2",
        "d https://host/d >=1.0, <2",
        "eks https://host/a 1.0.0",
        "f https://host/f 2.0.0",
    ];
    assert_eq!(find(file), expected);
    if let Some(found) = find_by_node(&[file.to_owned()]) {
        assert_eq!(found[0], expected);
    }
}

#[test]
fn tags_with_and_without_v_and_with_the_environments_name_are_versions() {
    for manager in preset()["customManagers"].as_array().unwrap() {
        let template = manager["extractVersionTemplate"].as_str().unwrap();
        let expression = regex::Regex::new(&template.replace("{{{environment}}}", "stacks/eks")).unwrap();
        for (tag, version) in [
            ("1.0.0", Some("1.0.0")),
            ("v1.0.0", Some("1.0.0")),
            ("stacks/eks/v1.0.0", Some("1.0.0")),
            ("stacks/eks-1.0.0", Some("1.0.0")),
            ("web/1.0.0", None),
            ("nightly", None),
        ] {
            let found = expression
                .captures(tag)
                .map(|captures| captures["version"].to_owned());
            assert_eq!(found.as_deref(), version, "{tag}");
        }
    }
}

#[test]
fn the_files_are_configs_of_environments() {
    for manager in preset()["customManagers"].as_array().unwrap() {
        for pattern in manager["managerFilePatterns"].as_array().unwrap() {
            let pattern = pattern.as_str().unwrap().trim_matches('/');
            let pattern = regex::Regex::new(pattern).unwrap();
            assert!(
                pattern.is_match("dev/bitops.config.yaml")
                    && pattern.is_match("operations/dev/bitops.config.yaml")
            );
            assert!(
                !pattern.is_match("dev/other.bitops.config.yaml")
                    && !pattern.is_match("dev/bitops.lock.yaml")
            );
        }
    }
}

/// The command that Renovate runs after it changed a version.
#[test]
fn the_lock_follows() {
    let mut c = catalog("c", "eks", "x.txt", "one");
    c.file("eks/x.txt", "two").tag("2.0.0");
    let mut d = catalog("d", "web", "y.txt", "one");
    d.file("web/y.txt", "two").tag("1.1.0");
    let mut world = world(&mut [c, d]);
    let entries = |version: &str| {
        [
            format!("{{repo: '{{repo}}/c', environment: eks, version: {version}}}"),
            "{repo: '{repo}/d', environment: web, version: ^1}".to_owned(),
        ]
    };
    let old = entries("1.0.0");
    world.sources(&[&old[0], "{repo: '{repo}/d', environment: web, version: 1.0.0}"]);
    // A checkout, and no image: the repo is the working directory.
    let repo = world.context.ops_repo();
    let none = world.context.root().join("none");
    world
        .context
        .set("BITOPS_COMPOSE_OPS_REPO", none.join("deployment"))
        .set("BITOPS_COMPOSE_HOME", none.join("home"));
    world.context.unset("BITOPS_ENVIRONMENT").current_dir(&repo);
    world.context.run(["lock", "dev"]).expect_code(0);
    let new = entries("2.0.0");
    world.sources(&[&new[0], &new[1]]);

    let rule = &preset()["packageRules"][0]["postUpgradeTasks"];
    let command = rule["commands"][0].as_str().unwrap();
    let command = command
        .replace("{{{packageFileDir}}}", "dev")
        .replace("{{{packageName}}}", &world.server.url("c"));
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[0], "bitops-compose");
    world.context.run(&words[1..]).expect_code(0);
    let lock = std::fs::read_to_string(repo.join("dev/bitops.lock.yaml")).unwrap();
    assert!(lock.contains("tag: \"2.0.0\""), "{lock}");
    // The other source is updated separately.
    assert!(
        lock.contains("tag: \"1.0.0\"") && !lock.contains("1.1.0"),
        "{lock}"
    );
    assert_eq!(rule["fileFilters"][0], "**/bitops.lock.yaml");
}
