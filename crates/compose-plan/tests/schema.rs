//! One corpus of configs for the parser and for the JSON Schema: an editor must accept exactly the configs
//! that `check` accepts.

use std::sync::Arc;

use compose_model::Nesting;
use compose_plan::config;
use regex_lite::Regex;
use serde_json::{Map, Value};

/// Returns whether the parser accepts the text.
fn parses(text: &str) -> bool {
    config::parse(
        &Arc::from("dev/bitops.config.yaml"),
        &Arc::from(text),
        Nesting::Root,
    )
    .is_ok()
}

/// Returns whether the schema accepts the value. It knows the validation vocabulary that the schema uses, and panics at
/// anything else.
fn validates(schema: &Value, root: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else {
        panic!("{schema}")
    };
    keywords
        .iter()
        .all(|(keyword, rule)| holds(keyword, rule, keywords, root, value))
}

fn holds(keyword: &str, rule: &Value, all: &Map<String, Value>, root: &Value, value: &Value) -> bool {
    let inner = |schema: &Value, value: &Value| validates(schema, root, value);
    let pattern = |text: &str| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text);
    let count = |found: usize| found as u64;
    match keyword {
        "$schema" | "$id" | "definitions" | "title" | "description" | "examples" | "errorMessage" => true,
        "$ref" => inner(root.pointer(&rule.as_str().unwrap()[1..]).unwrap(), value),
        "type" => match rule {
            Value::Array(names) => names.iter().any(|name| is_a(name, value)),
            name => is_a(name, value),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "not" => !inner(rule, value),
        "oneOf" => {
            let taken = rule.as_array().unwrap().iter().filter(|one| inner(one, value));
            taken.count() == 1
        }
        "minLength" => value
            .as_str()
            .is_none_or(|text| count(text.chars().count()) >= rule.as_u64().unwrap()),
        "maxLength" => value
            .as_str()
            .is_none_or(|text| count(text.chars().count()) <= rule.as_u64().unwrap()),
        "minimum" => value
            .as_f64()
            .is_none_or(|number| number >= rule.as_f64().unwrap()),
        "pattern" => value.as_str().is_none_or(pattern),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| inner(rule, item))),
        "uniqueItems" => value.as_array().is_none_or(|items| {
            let twice = |at: usize| items[..at].contains(&items[at]);
            rule == false || !(0..items.len()).any(twice)
        }),
        "required" => value.as_object().is_none_or(|object| {
            let names = rule.as_array().unwrap().iter();
            names
                .map(|name| name.as_str().unwrap())
                .all(|name| object.contains_key(name))
        }),
        "properties" => value.as_object().is_none_or(|object| {
            let rules = rule.as_object().unwrap().iter();
            rules
                .filter_map(|(name, rule)| Some((rule, object.get(name)?)))
                .all(|(rule, value)| inner(rule, value))
        }),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            assert_eq!(rule, false);
            object.keys().all(|name| all["properties"].get(name).is_some())
        }),
        other => panic!("the schema uses `{other}`, which this test does not know"),
    }
}

fn is_a(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("type {other}"),
    }
}

/// Returns a config with one entry, in which `key` is this text.
fn entry(key: &str, text: &str) -> String {
    let mut keys = vec![
        ("repo", "https://host/r"),
        ("environment", "e"),
        ("version", "1.0.0"),
    ];
    keys.retain(|(known, _)| *known != key && (key, *known) != ("ref", "version"));
    keys.push((key, text));
    let lines: Vec<String> = keys.iter().map(|(key, text)| format!("{key}: {text}")).collect();
    format!("default-environments:\n- {}\n", lines.join("\n  "))
}

/// Asserts that the parser and the schema both accept the config, or both refuse it.
#[track_caller]
fn agree(config: &str, fine: bool) {
    let schema: Value = serde_json::from_str(&config::schema()).unwrap();
    assert_eq!(parses(config), fine, "the parser, of\n{config}");
    let value: Value = serde_yaml::from_str(config).unwrap();
    assert_eq!(
        validates(&schema, &schema, &value),
        fine,
        "the schema, of\n{config}"
    );
}

#[track_caller]
fn key(key: &str, good: &[&str], bad: &[&str]) {
    for (texts, fine) in [(good, true), (bad, false)] {
        for text in texts {
            agree(&entry(key, text), fine);
        }
    }
}

#[test]
fn addresses() {
    key(
        "repo",
        &[
            "https://github.com/org/repo",
            "http://127.0.0.1:8080/org/repo.git",
            "https://[::1]/x",
            "https://org@dev.azure.com/org/project/_git/repo",
            "https://host//x",
            "https://host/o/../r",
            "ssh://host/o/r",
            "ssh://git@host:22/o/r",
            "git@host:o/r",
            "git@host:/abs",
            "git@host:~/x",
            "file:///catalogs/r",
            "/catalogs/r",
            "/a/../b",
        ],
        &[
            "''",
            "~",
            "3",
            "true",
            "[x]",
            "{a: b}",
            "../x",
            "./x",
            "a/b",
            "~/x",
            "github.com/org/repo",
            "host:org/repo",
            "ext::sh",
            "'ext::sh -c id'",
            "fd::3",
            "git://host/x",
            "ftp://host/x",
            "rsync://host/x",
            "git+ssh://host/x",
            "HTTPS://host/x",
            "https://",
            "https:///x",
            "https://host",
            "https://host/",
            "https://user:password@host/x",
            "https://-x@host/x",
            "ssh://user:password@host/x",
            "ssh://-oProxyCommand=x/y",
            "git@-oProxyCommand=x:y",
            "git@host:-x",
            "--upload-pack=x",
            "https://host/-x",
            "'https://host/a b'",
            "'https://host/x#y'",
            "'https://host/x?y=1'",
            "https://host/x%0ay",
            "https://h\u{f6}st/x",
            "https://host:x/y",
            "file://host/x",
            "file:///",
            "/",
            "'C:\\x'",
            "C:/x",
            "'@host:x'",
            "'git@:x'",
            "'git@host:'",
            "a@b@c:d",
        ],
    );
}

#[test]
fn directories() {
    let bad = [
        "''",
        "~",
        "[e]",
        "/e",
        "./e",
        "../e",
        "a/../b",
        ".",
        "..",
        "a//b",
        "e/.",
        ".git",
        ".GIT",
        "a/.git",
        "'a\\b'",
        "\"a\\tb\"",
    ];
    let good = [
        "e",
        "stacks/eks",
        "e/",
        "3",
        "1.0",
        "true",
        "'a b'",
        "-e",
        "'*'",
        "\u{e9}",
        "a.b",
        ".hidden",
    ];
    key("environment", &good, &bad);
    key("default-folder", &good, &bad);
    key(
        "shared",
        &[
            "[]",
            "[_scripts]",
            "[_scripts, _terraform/]",
            "[1]",
            "[true]",
            "['a b']",
        ],
        &[
            "a", "''", "~", "[~]", "['']", "[[a]]", "{a: b}", "[a/b]", "[../x]", "[/a]", "[.]", "[..]",
            "[.git]", "['/']", "['a\\b']", "[a, a]",
        ],
    );
}

#[test]
fn versions() {
    key(
        "version",
        &[
            "1.0.0",
            "v1.0.0",
            "1.0",
            "1",
            "'1'",
            "1.10",
            "1.02",
            "^1.2",
            "~1.2.3",
            "'>=1.0, <2'",
            "'>=1.0,<2'",
            "'>=1.0 <2'",
            "'>= 1.0'",
            "'=1'",
            "1.x",
            "1.2.X",
            "1.*",
            "'1.*.*'",
            "'*'",
            "x",
            "latest",
            "1.0.0-rc.1",
            "1.0.0+build.5",
            "'^v1.0'",
            "' 1.0.0 '",
            "1.2.3.4",
            "01.2.3",
            "2025.01.15",
            "1.09.0",
            "V1.0.0",
            "V2",
        ],
        &[
            "''",
            "~",
            "true",
            "[1]",
            "{}",
            "-1",
            "main",
            "release-1",
            "1.2.3.4.5",
            "01.2.3-rc.1",
            "'^01.2.3'",
            "'^1.2.3.4'",
            "1.2.3.x",
            "01.x",
            "V1.x",
            "'^'",
            "'1.2.3, <2'",
            "'1. 0'",
            "Latest",
            "latest1",
            "vv1",
            "'1.0.0 || 2.0.0'",
            "'1.0.0 - 2.0.0'",
            "'!=1.0.0'",
            "'~> 1.2'",
            "1.x.3",
            "'*.*'",
            "'>=1.0,'",
            "'||'",
            "'1.0.0-'",
            "1_0",
            "0x10z",
        ],
    );
}

#[test]
fn refs() {
    key(
        "ref",
        &[
            "main",
            "feat/x",
            "refs/heads/main",
            "refs/tags/v1",
            "HEAD",
            "refs/pull/7/head",
            "refs/pull/7/merge",
            "refs/merge-requests/3/head",
            "refs/changes/34/1234/1",
            "refs/notes/x",
            "refs/stash",
            "0123456",
            "3",
            "1.0",
            "true",
            "0123456789abcdef0123456789abcdef01234567",
        ],
        &[
            "''",
            "~",
            "[a]",
            "FETCH_HEAD",
            "'a b'",
            "-x",
            "a..b",
            "a~1",
            "a^",
            "'a:b'",
            "'@'",
            "a.lock",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.",
            "'a*'",
            "'a?'",
            "'a['",
            "'a\\b'",
            "'@{1}'",
            "refs/heads/",
            "refs/pull/1/head/",
            "refs/pull//head",
            "refs/",
        ],
    );
}

#[test]
fn globs() {
    for name in ["include", "exclude"] {
        key(
            name,
            &[
                "[]",
                "[a]",
                "['a/*', '!b']",
                "['**']",
                "['a/**/b']",
                "['[ab]x']",
                "['[!a]']",
                "['\\#x']",
                "['{a,b}']",
                "[1]",
                "[true]",
            ],
            &[
                "a", "''", "~", "[~]", "['']", "[[a]]", "{a: b}", "['[']", "['a[b']", "['#x']", "[' ']",
                "['a\\']",
            ],
        );
    }
}

#[test]
fn names_choices_and_flags() {
    key(
        "as",
        &[
            "mon", "a-b", "a_b", "A1", "a.b", "a-", "_a", "1", "1.0", "3", "true",
        ],
        &[
            "''",
            "~",
            "[a]",
            "a/b",
            ".a",
            "..",
            "-a",
            "-1",
            "'a b'",
            "'a:'",
            "\u{e9}",
            &"a".repeat(101),
        ],
    );
    key(
        "on-conflict",
        &["error", "first", "last", "'last'"],
        &["''", "~", "true", "Error", "[first]", "frist"],
    );
    key(
        "hooks",
        &["true", "false", "True", "FALSE", "!!bool 'false'"],
        &[
            "''",
            "~",
            "1",
            "0",
            "maybe",
            "[true]",
            "y",
            "'true'",
            "'no'",
            "\"yes\"",
            "'off'",
            "!!str true",
            "yEs",
        ],
    );
    key(
        "verify",
        &["{mode: commit}", "{mode: both, keys: /etc/keys}"],
        &[
            "commit",
            "~",
            "{}",
            "{mode: all}",
            "{mode: tag, key: x}",
            "{keys: x}",
        ],
    );
    key(
        "upgrade",
        &[
            "{ignore: []}",
            "{ignore: ['*']}",
            "{ignore: ['>=3', 2.1.0, 2.10, latest]}",
        ],
        &[
            "~",
            "{}",
            "'*'",
            "{ignore: '*'}",
            "{ignore: [main]}",
            "{ignore: [~]}",
            "{only: ['2']}",
        ],
    );
    // YAML 1.1, which BitOps reads, has more booleans than editors know.
    for word in ["yes", "No", "on", "OFF"] {
        assert!(parses(&entry("hooks", word)), "{word}");
    }
}

#[test]
fn entries_and_lists() {
    let source = "repo: https://host/r, environment: e";
    for (config, fine) in [
        ("default-environments:\n", true),
        ("default-environments: []\n", true),
        ("default-environments: {}\n", false),
        ("default-environments: x\n", false),
        ("default-environments: 3\n", false),
        ("default-environments:\n- x\n", false),
        ("default-environments:\n-\n", false),
        ("default-environments:\n- []\n", false),
        ("default-environments:\n- {}\n", false),
        (&format!("default-environments: [{{{source}}}]\n"), false),
        (
            &format!("default-environments: [{{{source}, version: 1.0.0, ref: main}}]\n"),
            false,
        ),
        (
            &format!("default-environments: [{{{source}, ref: main}}]\n"),
            true,
        ),
        (
            &format!("default-environments: [{{{source}, Version: 1.0.0}}]\n"),
            false,
        ),
        (
            &format!("default-environments: [{{{source}, version: 1.0.0, foo: 1}}]\n"),
            false,
        ),
        (
            "default-environments: [{repo: https://host/r, version: 1.0.0}]\n",
            false,
        ),
        (
            "default-environments: [{environment: e, version: 1.0.0}]\n",
            false,
        ),
        (
            &format!("bitops: {{default-environments: [{{{source}, ref: main}}]}}\n"),
            true,
        ),
        ("bitops: {default-environments: [{repo: 3}]}\n", false),
        (
            &format!(
                "default-environments: []\nbitops: {{default-environments: [{{{source}, ref: main}}]}}\n"
            ),
            false,
        ),
        ("bitops:\n", true),
        ("bitops: x\n", true),
        (
            "bitops: {deployments: {helm: {plugin: helm}}}\nterraform: 3\n",
            true,
        ),
        ("- a\n", true),
        ("", true),
    ] {
        agree(config, fine);
    }
}
