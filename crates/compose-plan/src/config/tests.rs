//! The config as a user writes it, rightly and wrongly.

use std::{sync::Arc, time::Instant};

use compose_model::{Diagnostic, Nesting, OnConflict, Requested, SourceSpec, VerifyMode, text::escape};

fn parse(text: &str) -> Result<Vec<SourceSpec>, Vec<Diagnostic>> {
    super::parse(
        &Arc::from("dev/bitops.config.yaml"),
        &Arc::from(text),
        Nesting::Root,
    )
}

fn specs(text: &str) -> Vec<SourceSpec> {
    parse(text).unwrap_or_else(|mistakes| panic!("{text}\n{}", render(&mistakes)))
}

/// `line:column «marked» message (hint)`
fn render(mistakes: &[Diagnostic]) -> String {
    let one = |mistake: &Diagnostic| {
        let place = mistake.place.as_ref().map_or(String::new(), |place| {
            let (line, column) = place.line_column();
            format!(
                "{line}:{column} «{}» ",
                escape(&place.text[place.span.clone()], 80)
            )
        });
        let hint = mistake
            .hints
            .first()
            .map_or(String::new(), |hint| format!("\n    ({hint})"));
        format!("{place}{}{hint}", mistake.message)
    };
    mistakes.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn mistakes(text: &str) -> String {
    parse(text).map_or_else(
        |mistakes| render(&mistakes),
        |specs| panic!("{text}\nis accepted: {specs:?}"),
    )
}

/// One entry with these lines beside `repo` and `environment`.
fn entry(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!("default-environments:\n- repo: https://host/r\n  environment: e\n{lines}")
}

#[test]
fn the_six_sources_of_the_readme() {
    let specs = specs(
        "default-environments:
- {repo: https://github.com/bitops-operations-repos/kubernetes, environment: eks, version: 1.0.0}
- {repo: https://github.com/bitops-operations-repos/observability, environment: promStack, version: 1.2.0}
- {repo: https://github.com/bitops-operations-repos/observability, environment: grafanaStack, version: 1.1.0}
- {repo: https://github.com/bitops-operations-repos/k8s-ingress, environment: nginx, version: 1.0.0}
- {repo: https://github.com/bitops-operations-repos/k8s-service-mesh, environment: istio, version: 1.0.5}
- {repo: https://github.com/bitops-operations-repos/stackstorm, environment: ha-k8s, version: 1.0.0}
",
    );
    let short: Vec<_> = specs
        .iter()
        .map(|spec| {
            format!(
                "{} {} {}",
                spec.repo.name(),
                spec.environment,
                spec.requested.as_str()
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            "kubernetes eks 1.0.0",
            "observability promStack 1.2.0",
            "observability grafanaStack 1.1.0",
            "k8s-ingress nginx 1.0.0",
            "k8s-service-mesh istio 1.0.5",
            "stackstorm ha-k8s 1.0.0"
        ]
    );
    assert_eq!(specs[3].place.line_column(), (5, 4));
}

#[test]
fn every_key_is_read() {
    let spec = specs(
        "bitops:
  default-environments:
  - repo: git@host:org/repo.git
    environment: stacks/eks/
    ref: feature/x
    include: ['terraform/', \"*.yaml\"]
    exclude: [README.md]
    as: blue
    shared: [_scripts, _terraform/]
    default-folder: _default
    on-conflict: last
    hooks: no
    verify: {mode: both, keys: keys/allowed}
",
    )
    .remove(0);
    assert_eq!(
        (spec.repo.as_str(), spec.environment.as_str()),
        ("git@host:org/repo.git", "stacks/eks")
    );
    assert_eq!(spec.requested, Requested::Ref("feature/x".into()));
    assert_eq!(
        (spec.filter.included(), spec.filter.excluded()),
        (
            ["terraform/".to_owned(), "*.yaml".to_owned()].as_slice(),
            ["README.md".to_owned()].as_slice()
        )
    );
    assert_eq!(
        (
            spec.rename.as_deref(),
            spec.on_conflict,
            spec.filter.keeps_hooks()
        ),
        (Some("blue"), OnConflict::Last, false)
    );
    assert_eq!(
        spec.shared.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["_scripts", "_terraform"]
    );
    assert_eq!(spec.default_folder.unwrap().as_str(), "_default");
    let verify = spec.verify.unwrap();
    assert_eq!(
        (verify.mode, verify.keys.unwrap().to_str().unwrap().to_owned()),
        (VerifyMode::Both, "keys/allowed".into())
    );
}

#[test]
fn yaml_eats_no_digit_and_no_word() {
    for (written, read) in [
        ("1.10", "1.10"),
        ("1.0", "1.0"),
        ("'1.20'", "1.20"),
        ("1_0", ""),
        ("012", "012"),
        ("1e3", ""),
        ("0x10", ""),
        ("12:30", ""),
        ("2024-01-01", ""),
        (".5", ""),
        ("1.2.3, <2", ""),
    ] {
        let text = entry(&format!("version: {written}"));
        let found = parse(&text)
            .map(|specs| specs[0].requested.as_str().to_owned())
            .unwrap_or_default();
        assert_eq!(found, read);
    }
    for word in ["no", "on", "12:30", "0x1f", "null-ish"] {
        let text = format!(
            "default-environments: [{{repo: https://host/r, environment: {word}, ref: {}}}]",
            "main"
        );
        assert_eq!(specs(&text)[0].environment.as_str(), word);
    }
}

#[test]
fn a_range_that_yaml_reads_as_its_own_is_to_be_quoted() {
    for written in [">=1.0, <2", "*", "@1"] {
        let told = mistakes(&format!(
            "default-environments:\n- repo: https://host/r\n  version: {written}\n"
        ));
        assert!(told.contains("needs quotes"), "{written}: {told}");
        let quoted = entry(&format!("version: '{}'", written.replace('@', "^")));
        assert!(parse(&quoted).is_ok(), "{written}");
    }
}

#[test]
fn a_config_without_sources_names_none() {
    for text in [
        "",
        "# default-environments: []\n",
        "default-environments:\n",
        "default-environments: ~\n",
        "default-environments: []\n",
        "bitops: {default-environments: []}\n",
        "just text about default-environments\n",
        "- default-environments\n",
        "\u{feff}bitops:\n  deployments: {}\n",
    ] {
        assert_eq!(specs(text), [], "{text:?}");
    }
}

#[test]
fn all_mistakes_at_once_each_with_its_place_and_remedy() {
    let text = "default-environments:
- repo: https://host/a
  enviroment: eks
  version: 1.0.0
- {environment: /etc, version: main, ref: x}
- repo: ext::sh
  environment: ../../x
- repo: [https://host/b]
  environment: {a: b}
  version:
- text
- repo: https://host/c
  environment: c
  version: 1.0.0
  on-conflict: lastt
  hooks: 1
  as: a/b
  shared: [a/b, ok, ok, ../x]
  include: '*.tf'
  exclude: ['a[', '#x', 'b{', ok]
  default-folder: .
  verify: {mod: commit}
";
    insta::assert_snapshot!(mistakes(text), @"
    2:3 «repo: https://host/a» a source has no `environment`
        (for example `environment: eks`)
    3:3 «enviroment» unknown key `enviroment` in a source
        (did you mean `environment`?)
    5:4 «environment: /etc» a source has no `repo`
        (for example `repo: https://github.com/bitops-operations-repos/kubernetes`)
    5:4 «environment: /etc» a source has both `version` and `ref`
        (keep `version` for a release, or `ref` for a branch, a tag, a commit or another ref)
    5:17 «/etc» `environment` is not a directory of the repo: the path is absolute
        (write it from the repo's root, such as `eks` or `stacks/eks`)
    6:3 «repo: ext::sh» a source has neither `version` nor `ref`
        (add `version: 1.0.0` (a release), or `ref: main` (a branch, a tag or a full commit id))
    6:9 «ext::sh» `repo` is not usable: the scheme is not one of https://, http://, ssh://, user@host:path, file:// or an absolute path
        (for example https://github.com/ORG/REPO or git@github.com:ORG/REPO)
    7:16 «../../x» `environment` is not a directory of the repo: `.` and `..` are not allowed in the path
        (write it from the repo's root, such as `eks` or `stacks/eks`)
    8:9 «[https://host/b]» `repo` must be text, not a list
    9:16 «{a: b}» `environment` must be text, not a mapping
    10:11 «» `version` has no value
    11:3 «text» a source must be a mapping, not text
        (write keys and values, such as `repo: …`, `environment: …`)
    15:16 «lastt» `on-conflict` cannot be `lastt`
        (it is one of `error`, `first`, `last`)
    16:10 «1» `hooks` is neither `true` nor `false`
    17:7 «a/b» `as` is not a name that a directory could have
        (letters, digits, `-`, `_` and `.`, beginning with a letter, a digit or `_`; at most 100)
    18:12 «a/b» `shared` takes top-level directories only
        (write `a`, or leave it out)
    18:21 «ok» `ok` stands twice in `shared`
        (keep one of the two)
    18:25 «../x» `shared` names no directory of the repo: `.` and `..` are not allowed in the path
        (write the directory's name, such as `_scripts`)
    19:12 «'*.tf'» `include` must be a list, not text
        (write a list: `include: [terraform/]`)
    20:13 «'a['» `a[` in `exclude` is not a glob: unclosed character class; missing ']'
        (globs are those of .gitignore: `*.md`, `/docs/`, `**/test_*`)
    20:19 «'#x'» `#x` in `exclude` matches nothing
    20:25 «'b{'» `b{` in `exclude` is not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
        (globs are those of .gitignore: `*.md`, `/docs/`, `**/test_*`)
    21:19 «.» `default-folder` is not a directory of the repo: `.` and `..` are not allowed in the path
        (write it from the repo's root, such as `eks` or `stacks/eks`)
    22:12 «mod» unknown key `mod` in `verify`
        (did you mean `mode`?)
    22:12 «mod: commit» `verify` has no `mode`
    ");
}

#[test]
fn refs_that_git_or_we_cannot_take() {
    for name in [
        "FETCH_HEAD",
        "refs/",
        "refs/pull//head",
        "'refs/pull/*/head'",
        "refs/pull/../head",
        "a b",
        "a..b",
        "'-x'",
        "a~1",
        "'@{u}'",
        "a//b",
        "x.lock",
        "'*'",
        "\"a\\e\"",
    ] {
        let found = mistakes(&entry(&format!("ref: {name}")));
        assert!(found.contains("`ref` is not usable"), "{name}: {found}");
        assert!(!found.contains('\u{1b}'));
    }
    for name in [
        "main",
        "feature/x",
        "refs/heads/x",
        "refs/tags/v1",
        "refs/pull/7/head",
        "refs/pull/7/merge",
        "refs/merge-requests/3/head",
        "refs/changes/34/1234/1",
        "HEAD",
        "123",
        "0123456789abcdef0123456789abcdef01234567",
    ] {
        assert_eq!(
            specs(&entry(&format!("ref: {name}")))[0].requested,
            Requested::Ref(name.into())
        );
    }
}

#[test]
fn no_report_can_show_a_secret() {
    for url in [
        "https://u:s3cr3t@host/r",
        "https://ghp_s3cr3t@host/r",
        "https://u:s3/cr3t@host/r",
        "ssh://u:s3cr3t@host/r",
    ] {
        let text = format!("default-environments:\n- repo: {url} # {url}\n  environment: 1\n  versio: 1\n");
        let found = parse(&text).unwrap_err();
        assert!(found.len() >= 3, "{found:?}");
        assert!(!format!("{found:?}").contains("cr3t"), "{found:?}");
    }
    let text = entry("version: 1.0.0") + "other: https://u:s3cr3t@host/r\n";
    assert!(!format!("{:?}", specs(&text)).contains("s3cr3t"));
    insta::assert_snapshot!(mistakes("default-environments: [{repo: 'https://u:pw@host/r', environment: e, version: 1.0.0}]"), @"
    1:31 «'https://****@host/r'» `repo` is not usable: the address contains a password
        (remove and rotate it; set BITOPS_COMPOSE_TOKEN_<HOST>, or use a git credential helper or ~/.netrc)
    ");
}

#[test]
fn a_sources_own_config_reaches_nothing_local_and_chooses_no_keys() {
    let text = "default-environments:
- {repo: /etc, environment: e, version: 1.0.0}
- {repo: file:///srv/x, environment: e, version: 1.0.0}
- {repo: https://host/r, environment: e, version: 1.0.0, verify: {mode: tag, keys: mine}}
- {repo: https://host/r, environment: f, version: 1.0.0, verify: {mode: tag}}
";
    assert_eq!(specs(text).len(), 4);
    let nested = super::parse(
        &Arc::from("host/r @ 1.0.0 : e/bitops.config.yaml"),
        &Arc::from(text),
        Nesting::Nested,
    );
    insta::assert_snapshot!(render(&nested.unwrap_err()), @"
    2:10 «/etc» a source's own config cannot name a local path as `repo`
        (local paths are for the config of the run itself; name a repo that can be reached by URL)
    3:10 «file:///srv/x» a source's own config cannot name a local path as `repo`
        (local paths are for the config of the run itself; name a repo that can be reached by URL)
    4:84 «mine» a source's own config cannot choose the keys it is verified with
        (keys come from the one who deploys: from the image, a mount or BITOPS_COMPOSE_VERIFY_KEYS)
    ");
}

#[test]
fn one_list_each_source_once() {
    let entry = "{repo: https://host/r, environment: e, version: 1.0.0}";
    insta::assert_snapshot!(mistakes(&format!("default-environments: [{entry}]\nbitops:\n  default-environments: []\n")), @"
    3:3 «default-environments» `default-environments` stands twice, first on line 1
        (keep one list, at the root or under `bitops`)
    ");
    insta::assert_snapshot!(mistakes(&format!("default-environments: [{entry}]\ndefault-environments: []\n")), @"
    2:1 «default-environments» `default-environments` stands twice, first on line 1
        (keep one list, at the root or under `bitops`)
    ");
    let other = format!("default-environments: [{entry}]\nterraform:\n  default-environments: []\n");
    insta::assert_snapshot!(mistakes(&other), @"
    3:3 «default-environments» `default-environments` has no effect here
        (put it at the root of the file, or directly under `bitops:`)
    ");
    insta::assert_snapshot!(mistakes(&format!("bitops:\n  plugins:\n    default-environments: [{entry}]\n")), @"
    3:5 «default-environments» `default-environments` has no effect here
        (put it at the root of the file, or directly under `bitops:`)
    ");
    insta::assert_snapshot!(mistakes(&format!("default-environments: {entry}\n")), @"
    1:1 «default-environments» `default-environments` must be a list, not a mapping
        (each source begins with `- repo: …`)
    ");
    insta::assert_snapshot!(mistakes(
        "default-environments:
- {repo: https://host/r, environment: e, version: 1.0.0}
- {repo: https://HOST/r.git, environment: e/, version: 1.0.0, as: other}
- {repo: https://host/r, environment: f, version: 1.0.0}
- {repo: https://host/r, environment: f, version: ^1}
"), @"
    3:4 «repo: https://HOST/r.git» `e` of https://HOST/r.git is named twice, first on line 2
        (an environment of a repo is composed once, whatever its `as`: remove one of the two)
    5:4 «repo: https://host/r» `f` of https://host/r is named twice, as `1.0.0` on line 4 and as `^1` here
        (an environment of a repo is composed once: choose one of the two)
    ");
    insta::assert_snapshot!(mistakes(&entry.replace("version", "repo: https://host/s, version").replacen('{', "default-environments: [{", 1).replace('}', "}]")), @"
    1:63 «repo» `repo` stands twice in a source, first on line 1
        (keep one of the two)
    ");
}

#[test]
fn aliases_and_merge_keys_are_followed() {
    let specs = specs(
        "x-base: &base {repo: https://host/r, version: 1.0.0}
x-globs: &globs [a, b]
default-environments:
- <<: *base
  environment: one
  exclude: *globs
- <<: [*base]
  environment: two
  version: &two 2.0.0
- {repo: https://host/s, environment: e, version: *two}
",
    );
    let short: Vec<_> = specs
        .iter()
        .map(|spec| format!("{} {}", spec.environment, spec.requested.as_str()))
        .collect();
    assert_eq!(short, ["one 1.0.0", "two 2.0.0", "e 2.0.0"]);
    assert_eq!(
        (specs[0].filter.excluded().len(), specs[1].place.line_column()),
        (2, (8, 3))
    );
    insta::assert_snapshot!(mistakes("default-environments: [*nowhere]"), @"1:24 «*» not valid YAML: the alias `*nowhere` has no anchor before it");
    insta::assert_snapshot!(mistakes("default-environments: &a [*a]"), @"
    1:23 «&a [*a]» a source must be a mapping, not a list
        (write keys and values, such as `repo: …`, `environment: …`)
    ");
}

#[test]
fn tags_and_block_scalars_are_refused_where_they_could_mean_anything() {
    assert_eq!(specs(&entry("version: !!str 1.10"))[0].requested.as_str(), "1.10");
    insta::assert_snapshot!(mistakes(&entry("version: !!float 1.10\nas: !Ref x\nshared: !!set [a]")), @"
    4:12 «!!float 1.10» `version` has the tag `tag:yaml.org,2002:float`, which is not allowed here
        (put the value in quotes instead)
    5:7 «!Ref x» `as` has the tag `!Ref`, which is not allowed here
        (put the value in quotes instead)
    6:11 «!!set [a]» `shared` has the tag `tag:yaml.org,2002:set`, which is not allowed here
        (put the value in quotes instead)
    ");
    insta::assert_snapshot!(mistakes(&entry("ref: |\n  main\n")), @"
    4:8 «|» `ref` must be text on one line
        (write it behind the colon, plain or in quotes)
    ");
}

#[test]
fn what_is_no_yaml_is_told_with_line_and_column() {
    insta::assert_snapshot!(mistakes("a: 1\ndefault-environments:\n- {repo: https://host/r\n"), @"4:1 «» not valid YAML: expected `,` or `}`, but found the end of the text");
    insta::assert_snapshot!(mistakes("default-environments:\n- repo: \"x\n"), @r#"2:9 «"» not valid YAML: a quoted scalar that is never closed"#);
    insta::assert_snapshot!(mistakes("default-environments:\n\t- repo: x\n"), @r"2:1 «\t» not valid YAML: a tab where only spaces may be");
    insta::assert_snapshot!(mistakes("default-environments: []\nx: \0\n"), @r"2:4 «\u{0}» not valid YAML: the character U+0000 is not allowed");
    insta::assert_snapshot!(mistakes("default-environments: []\n---\na: 1\n"), @"2:1 «-» the file holds several YAML documents, which BitOps does not read");
}

#[test]
fn what_is_none_of_our_business_does_not_stop_us() {
    let list = "default-environments:\n- repo: https://host/r\n  environment: e\n  version: 1.0.0\n";
    for other in [
        "x: 1\nx: 2\n",
        // What PyYAML reads and YAML 1.2 forbids.
        "x: 'a\nb'\n",
        "x: [\n  \"a\"\n]\n",
        "x: \"a\n b\nc\"\n",
        "x: &x\n  s: |\n    a\ny: {<<: *x}\n",
        "x: a\u{2028}  b\n",
        "x: a\ry: \"b\rc\"\r",
        "x: \"\\ud83d\\ude00\"\n",
        "x: {a:b, c: d}\n",
    ] {
        for text in [format!("{other}{list}"), format!("{list}{other}")] {
            let found = specs(&text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(
                found[0].place.text[found[0].place.span.start..].starts_with("repo: "),
                "{text}"
            );
        }
    }
    // What BitOps cannot read either is an error here, unless it names no sources.
    for other in [
        "x: {a: b\n",
        "x: @y\n",
        "x: %y\n",
        "bitops: &a {b: *c}\n",
        "x: &x 1\ny: &x 2\n",
    ] {
        assert!(mistakes(&format!("{list}{other}")).lines().count() < 3, "{other}");
    }
    assert_eq!(specs("# default-environments\nx: @y\n"), []);
}

#[test]
fn comments_speak_of_no_list() {
    assert!(super::mentions_list(b"a: 1\ndefault-environments:\n"));
    assert!(super::mentions_list(b"bitops: {default-environments: []}"));
    assert!(super::mentions_list(b"# a\rdefault-environments:\r"));
    assert!(!super::mentions_list(b"a: 1\n  # default-environments:\n"));
    assert!(!super::mentions_list(b"default-environment: x\n"));
}

#[test]
fn a_byte_order_mark_and_foreign_line_ends_move_no_place() {
    let spec = specs(&format!(
        "\u{feff}{}",
        entry("version: 1.0.0").replace('\n', "\r\n")
    ))
    .remove(0);
    assert_eq!(
        (
            &spec.place.text[spec.place.span.clone()],
            spec.place.line_column()
        ),
        ("repo: https://host/r", (2, 3))
    );
}

#[test]
fn hostile_texts_end_soon_and_in_words() {
    let started = Instant::now();
    let bomb: String = (0..30)
        .map(|n| format!("a{}: &a{} [{}]\n", n + 1, n + 1, format!("*a{n},").repeat(9)))
        .collect();
    let many_globs = format!(
        "x: &x [{}]\ny: &y {}\ndefault-environments:\n{}",
        "a,".repeat(100_000),
        "b".repeat(300_000),
        "- {repo: https://host/r, environment: e, version: 1.0.0, include: *x, as: *y}\n".repeat(1000)
    );
    let many_merges = format!(
        "x: &x [{}]\ndefault-environments:\n{}",
        "{a: 1},".repeat(50_000),
        "- {<<: *x}\n".repeat(1000)
    );
    for (text, expected) in [
        (
            format!("a0: &a0 x\n{bomb}default-environments: *a30\n"),
            "a source must be a mapping",
        ),
        (
            format!("a0: &a0 x\n{bomb}default-environments: [{{repo: *a30}}]\n"),
            "`repo` must be text",
        ),
        (many_globs, "holds more than any config"),
        (many_merges, "holds more than any config"),
        (
            format!("default-environments: {}", "[".repeat(200_000)),
            "not valid YAML",
        ),
        (
            format!("default-environments:\n{}", "- ".repeat(200_000)),
            "not valid YAML: nested deeper than 480",
        ),
        (
            format!("default-environments: []\nx: '{}'", "x".repeat(5 << 20)),
            "at most 1048576 are read",
        ),
        (
            format!("default-environments: [{}]", "1,".repeat(10_000)),
            "has 10000 sources; at most 1000",
        ),
        (
            format!("default-environments: [{}]", "1,".repeat(900)),
            "… and more mistakes",
        ),
    ] {
        let found = mistakes(&text);
        assert!(
            found.contains(expected),
            "{expected}: {}",
            &found[..found.len().min(2000)]
        );
    }
    // Seconds in a debug build on a busy machine; what is quadratic in such texts takes far longer.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn the_schema_says_what_the_parser_does() {
    let schema: serde_json::Value = serde_json::from_str(&super::schema()).unwrap();
    let source = &schema["$defs"]["source"];
    let names: Vec<_> = source["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "as",
            "default-folder",
            "environment",
            "exclude",
            "hooks",
            "include",
            "on-conflict",
            "ref",
            "repo",
            "shared",
            "verify",
            "version"
        ]
    );
    assert_eq!(source["required"], serde_json::json!(["repo", "environment"]));
    assert_eq!(source["additionalProperties"], false);
    // Every example of the schema is one that the parser takes.
    for (name, property) in source["properties"].as_object().unwrap() {
        let examples = property["examples"].as_array().cloned().unwrap_or_default();
        for example in examples {
            let mut all = serde_json::json!({ "repo": "https://host/r", "environment": "e" });
            if !["version", "ref"].contains(&name.as_str()) {
                all["version"] = "1.0.0".into();
            }
            all[name] = example;
            specs(&serde_json::json!({ "default-environments": [all] }).to_string());
        }
        assert!(property["description"].as_str().unwrap().len() > 20, "{name}");
    }
}
