//! The YAML of a config: its scalars, aliases and tags, texts that are not YAML, and hostile texts.

use std::time::Instant;

use super::{entry, mistakes, parse, specs};
use crate::config;

#[test]
fn versions_and_names_are_read_as_they_are_written() {
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
        let errors = mistakes(&format!(
            "default-environments:\n- repo: https://host/r\n  version: {written}\n"
        ));
        assert!(errors.contains("needs quotes"), "{written}: {errors}");
        let quoted = entry(&format!("version: '{}'", written.replace('@', "^")));
        assert!(parse(&quoted).is_ok(), "{written}");
    }
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
fn invalid_yaml_is_reported_with_line_and_column() {
    insta::assert_snapshot!(mistakes("a: 1\ndefault-environments:\n- {repo: https://host/r\n"), @"4:1 «» not valid YAML: expected `,` or `}`, but found the end of the text");
    insta::assert_snapshot!(mistakes("default-environments:\n- repo: \"x\n"), @r#"2:9 «"» not valid YAML: a quoted scalar that is never closed"#);
    insta::assert_snapshot!(mistakes("default-environments:\n\t- repo: x\n"), @r"
    2:1 «\t» not valid YAML: a tab where only spaces may be
        (line 2 begins with a tab: write spaces instead)
    ");
    insta::assert_snapshot!(mistakes("default-environments: []\nx: \0\n"), @r"2:4 «\u{0}» not valid YAML: the character U+0000 is not allowed");
    insta::assert_snapshot!(mistakes("default-environments: []\n---\na: 1\n"), @"2:1 «-» the file holds several YAML documents, which BitOps does not read");
}

#[test]
fn wrong_spaces_are_explained() {
    for (text, hint) in [
        (
            "\t- repo: https://h/o/r\n",
            "line 2 begins with a tab: write spaces instead",
        ),
        (
            "- repo: https://h/o/r\n\tenvironment: e\n",
            "line 3 begins with a tab: write spaces instead",
        ),
        (
            "- repo: https://h/o/r\n environment: e\n",
            "line 3 has 1 space before `environment`, line 2 has 2 before `repo`: the keys of an entry begin in one column",
        ),
        (
            "- repo: https://h/o/r\n  environment: e\n   version: 1.0.0\n",
            "line 4 has 3 spaces before `version`, line 2 has 2 before `repo`: the keys of an entry begin in one column",
        ),
        (
            "  - repo: https://h/o/r\r\n    environment: e\r\n - repo: https://h/o/s\r\n",
            "line 4 has 1 space before its `-`, line 2 has 2: entries begin in one column",
        ),
        (
            "- repo: https://h/o/r\nenvironment: e\n",
            "line 3 has 0 spaces before `environment`, line 2 has 2 before `repo`: the keys of an entry begin in one column",
        ),
        (
            "- repo: https://h/o/r\n  environment: e\nref: main\n",
            "line 4 has 0 spaces before `ref`, line 2 has 2 before `repo`: the keys of an entry begin in one column",
        ),
        (
            "-repo: https://h/o/r\n  environment: e\n",
            "line 2 needs a space behind `-`: `- repo: …`",
        ),
        (
            "- repo:https://h/o/r\n  environment: e\n",
            "line 2 needs a space behind `repo:`: `repo: …`",
        ),
        (
            "- repo: https://h/o/r\n  environment:e\n",
            "line 3 needs a space behind `environment:`: `environment: …`",
        ),
    ] {
        let found = mistakes(&format!(
            "bitops: {{x: 1}}\n# a tab\t\ndefault-environments:\n{text}"
        ));
        // The text above has two lines more.
        let hint = hint
            .replace("line 4", "line 6")
            .replace("line 3", "line 5")
            .replace("line 2", "line 4");
        assert!(found.contains(&format!("({hint})")), "{text}\n{found}");
    }
    // A mistake in another part of the file has nothing to do with the list.
    let found = mistakes("default-environments:\n- repo: https://h/o/r\nx: [\n");
    assert!(!found.contains('('), "{found}");
}

#[test]
fn the_rest_of_a_config_may_be_anything_that_bitops_reads() {
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
fn a_list_in_a_comment_is_not_a_list() {
    assert!(config::mentions_list(b"a: 1\ndefault-environments:\n"));
    assert!(config::mentions_list(b"bitops: {default-environments: []}"));
    assert!(config::mentions_list(b"# a\rdefault-environments:\r"));
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let utf16 = |text: &str| -> Vec<u8> {
            let text = format!("\u{feff}{text}");
            text.encode_utf16().flat_map(bytes).collect()
        };
        assert!(config::mentions_list(&utf16(
            "a: \u{1f600}\ndefault-environments:\n"
        )));
        assert!(!config::mentions_list(&utf16("# default-environments:\n")));
        assert!(config::seems_to_name_sources(&utf16(
            "default_environments: []\n"
        )));
        let damaged = [&utf16("default-environments:\n")[..], b"x"].concat();
        assert!(config::mentions_list(&damaged));
    }
    assert!(!config::mentions_list(b"a: 1\n  # default-environments:\n"));
    assert!(!config::mentions_list(b"default-environment: x\n"));
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
fn hostile_texts_are_refused_soon_and_with_a_message() {
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
