//! Merges as users see them: the text, the origin of keys, conflicts, and the reasons why a file is not merged.

use crate::oracle::{Job, ask, merge, merge_last};
use compose_merge::{
    Class, Json, KeyConflict, KeyPlace, MergeOutcome, Merged, Merger, Precedence, TfvarsJson, Yaml, class,
};
use compose_model::TreePath;

/// Merges YAML, compares the text, and checks its meaning with PyYAML.
fn check(texts: &[&str], expected: &str) {
    let result = merge_last("yaml", texts).unwrap();
    let inputs = texts.iter().map(|text| (*text).to_owned()).collect();
    let answers = ask(&[Job {
        format: "yaml",
        inputs,
        result: Some(result.clone()),
    }]);
    assert_eq!(answers, [""], "{result}");
    assert_eq!(result, expected);
}

fn merged(texts: &[&str], precedence: &dyn Fn(usize, usize) -> Precedence) -> Merged {
    merge(&Yaml, texts, precedence).unwrap().merged().unwrap()
}

fn conflicts(
    merger: &dyn Merger,
    texts: &[&str],
    precedence: &dyn Fn(usize, usize) -> Precedence,
) -> Vec<KeyConflict> {
    match merge(merger, texts, precedence).unwrap() {
        MergeOutcome::Conflicts(conflicts) => conflicts,
        MergeOutcome::Merged(merged) => panic!("{merged:?}"),
    }
}

fn equals(_: usize, _: usize) -> Precedence {
    Precedence::Conflict
}

#[test]
fn values_take_the_higher_text_and_comments_of_both_stay() {
    check(
        &[
            "# Defaults\n\n# how many\nreplicas: 1 # one\nimage:\n  repository: nginx\n  # the tag\n  tag: \"1.0\"\n\nresources: {}\n  # limits:\n  #   cpu: 1\nlist:\n- a\n- b   # bee\n",
            "# Production\n\nimage:\n    # pinned\n    tag: '2.0' # new\n    pull:\n        policy: Always\nreplicas: 3\nresources:\n  limits:\n    cpu: 2\nlist: []\nnew:\n  # why\n  - 1\n# the end\n",
        ],
        "# Defaults\n\n# Production\n\n# how many\nreplicas: 3 # one\nimage:\n  repository: nginx\n  # the tag\n  # pinned\n  tag: '2.0' # new\n  pull:\n      policy: Always\n\nresources:\n  limits:\n    cpu: 2\n  # limits:\n  #   cpu: 1\nlist: []\nnew:\n  # why\n  - 1\n# the end\n",
    );
}

#[test]
fn a_comment_without_a_place_is_reported() {
    for (texts, lost) in [
        (["list:\n- a\n- b   # bee\n", "list: []\n"], (0, 3, "# bee")),
        (["# only this\n", "a: 1\n"], (0, 1, "# only this")),
        (["a: 1\n", "---\n# nothing\n...\n"], (1, 2, "# nothing")),
        // A flow collection has no place for a comment.
        (["{a: 1}\n", "# above\nb: 1\n"], (1, 1, "# above")),
        (["{a: 1}\n", "b: 1 # behind\n"], (1, 1, "# behind")),
        // A comment after the header of a block scalar, or after the document.
        (["a: | # text\n  x\n", "a: {b: 1}\n"], (0, 1, "# text")),
        (["a: 1\n", "b: 1\n...\n# after\n"], (1, 3, "# after")),
        // The same text is at another key of the same file, or of the other one.
        (["a: 1 # x\nb:\n  # x\n  c: 1\n", "b: 5\n"], (0, 3, "# x")),
        (["b:\n  # x\n  c: 1\na: 1 # x\n", "b: 5\n"], (0, 2, "# x")),
        (["a:\n  b: 1 # x\n", "a: 5\n# x\nc: 1\n"], (0, 2, "# x")),
        (["a: 1 # x\n", "a:\n  b: 1 # x\n"], (0, 1, "# x")),
        (["l:\n- 1 # x\n- 2 # x\n", "l:\n- 2 # x\n"], (0, 3, "# x")),
    ] {
        let merged = merged(&texts, &|_, _| Precedence::HigherWins);
        let lost_comments: Vec<_> = merged
            .lost
            .iter()
            .map(|it| (it.contribution, it.line, it.text.as_str()))
            .collect();
        assert_eq!(lost_comments, [lost], "{texts:?}");
    }
}

#[test]
fn a_comment_that_both_files_have_is_not_reported() {
    for texts in [
        ["# head\n\na: 1 # x\n# end\n", "# head\n\na: 2 # x\n# end\n"],
        ["# x\na: 1\n", "b: 1\n# x\na: 2\n"],
        ["l:\n- 1 # x\n- 2\n", "l:\n- 0\n- 2\n- 1 # x\n"],
        ["a:\n  b: 1\n  # x\n", "a:\n  c: 1\n  # x\n"],
    ] {
        let merged = merged(&texts, &|_, _| Precedence::HigherWins);
        assert_eq!(merged.lost, [], "{texts:?}");
    }
}

#[test]
fn lookalikes_quotes_and_tags_come_through() {
    let higher = "a: yes\nb: 'on'\nc: 012\nd: 1_000\ne: 12:30:45\nf: \"0644\"\ng: 2001-12-14\nh: ~\ni: !Sub '${AWS::Region}-x'\nj: !GetAtt Role.Arn\nk: 1.10\nl:\n";
    check(&[&higher.replace(": ", ": x "), higher], higher);
}

#[test]
fn block_scalars_move_with_their_indentation() {
    check(
        &[
            "a:\n    b: 1\nz: 1\n",
            "a:\n b: |2\n     indented\n   text\n c: >-\n  folded\n\n   more\n d: |+\n  kept\n\nz:\n- |\n  x\n",
        ],
        "a:\n    b: |2\n        indented\n      text\n    c: >-\n     folded\n\n      more\n    d: |+\n     kept\n\nz:\n- |\n  x\n",
    );
}

#[test]
fn braces_stay_while_they_can_and_open_when_they_must() {
    check(
        &["a: {b: 1, c: {d: 2}} # why\n", "a: {c: {e: 3}, f: [1, 2]}\n"],
        "a: {b: 1, c: {d: 2, e: 3}, f: [1, 2]} # why\n",
    );
    check(
        &["a: {b: 1, c: {d: 2}}\n", "a:\n  c:\n    e: |\n      x\n"],
        "a:\n  b: 1\n  c:\n    d: 2\n    e: |\n      x\n",
    );
    check(
        &["a:\n  b: 1\n", "a: {c: {d: [1,\n  2]}}\n"],
        "a:\n  b: 1\n  c: {d: [1,\n      2]}\n",
    );
    check(&["{}\n", "a:\n- 1\n"], "a:\n- 1\n");
    check(
        &["--- {a: 1} # x\n", "b: |\n  y\n"],
        "--- \n# x\na: 1\nb: |\n  y\n",
    );
}

#[test]
fn brackets_may_have_blanks_and_comments_behind_them() {
    check(
        &[
            "a: { b: 1 }\nc: [ ]\nd: [ { e: 1 } ]\n",
            "a: { f: 2 }\nc: { }\ng: h\n",
        ],
        "a: { b: 1, f: 2 }\nc: { }\nd: [ { e: 1 } ]\ng: h\n",
    );
    check(
        &["a: &x !!map { # why\n  b: 1 }\nc: *x\n", "d: [ # list\n  1 ]\n"],
        "a: &x !!map { # why\n  b: 1 }\nc: *x\nd: [ # list\n  1 ]\n",
    );
    check(&["{ a: 1 }\n", "{ b: 2 }\n"], "{ a: 1, b: 2 }\n");
}

#[test]
fn a_file_may_end_with_the_indentation_of_a_line_that_was_not_written() {
    check(&["a: |\n  x\n  ", "b: 2\n"], "a: |\n  x\nb: 2\n");
    check(&["b: 2\n", "a: >+\n  x\n\n "], "b: 2\na: >+\n  x\n\n");
    let error = merge_last("yaml", &["a: |\n  x\n   ", "b: 2\n"]).unwrap_err();
    assert!(error.refusal.to_string().contains("ends with blanks"), "{error}");
}

#[test]
fn keys_are_those_that_pyyaml_sees() {
    check(&["yes: 1\n\"1\": a\n", "true: 3\n'1': b\n"], "yes: 3\n\"1\": b\n");
    check(&["a: 1\nb: 2\na: 3\n", "a: 4\n"], "a: 1\nb: 2\na: 4\n");
}

#[test]
fn null_replaces_and_an_empty_file_says_nothing() {
    check(&["a:\n  b: 1\n", "a:\n"], "a:\n");
    check(&["a: ~\n", "a:\n  b: 1\n"], "a:\n  b: 1\n");
    check(&["# nothing here\n", "a: 1\n"], "a: 1\n");
    check(&["a: 1\n", "# nothing\n---\n"], "a: 1\n");
}

#[test]
fn line_breaks_marks_and_directives_are_the_lower_files() {
    check(
        &["\u{feff}a: 1\r\nb:\r\n  c: 1\r\n", "b:\n  d: |\n    x\n    y\n"],
        "\u{feff}a: 1\r\nb:\r\n  c: 1\r\n  d: |\r\n    x\r\n    y\r\n",
    );
    check(
        &["%YAML 1.1\n---\na: 1\n...\n", "b: 2"],
        "%YAML 1.1\n---\na: 1\nb: 2\n...\n",
    );
    check(&["a: |\n  x", "b: >+\n  y"], "a: |-\n  x\nb: >-\n  y\n");
}

#[test]
fn aliases_mean_what_they_meant() {
    // The anchor's value is replaced; its aliases keep the old one.
    check(
        &["a: &x {n: 1}\nb: *x\nc: *x\n", "a: 5\n"],
        "a: 5\nb: &x-2 {n: 1}\nc: *x-2\n",
    );
    // An alias that is itself merged becomes a mapping of its own.
    check(
        &["a: &x\n  n: 1\nb: *x\n", "b:\n  m: 2\n"],
        "a: &x\n  n: 1\nb:\n  n: 1\n  m: 2\n",
    );
    // Two files, one name.
    check(
        &["a: &x 1\nb: *x\n", "c: &x 2\nd: *x\n"],
        "a: &x 1\nb: *x\nc: &x-2 2\nd: *x-2\n",
    );
    // The anchor would be placed after its alias.
    check(&["b: 1\n", "a: &x [1]\nb: *x\n"], "b: &x [1]\na: [1]\n");
}

#[test]
fn merge_keys_are_followed() {
    check(
        &[
            "base: &b\n  x: 1\n  y: 1\ndev:\n  <<: *b\n  y: 2\n",
            "dev:\n  x: 3\n",
        ],
        "base: &b\n  x: 1\n  y: 1\ndev:\n  <<: *b\n  y: 2\n  x: 3\n",
    );
    check(
        &["base: &b\n  x: 1\ndev:\n  <<: *b\n", "base:\n  x: 2\n"],
        "base: &b\n  x: 2\ndev:\n  <<:\n    x: 1\n",
    );
    check(
        &[
            "dev:\n  x: 1\n",
            "base: &b {x: 5, z: 6}\ndev:\n  <<: *b\n  w: 7\n",
        ],
        "dev:\n  x: 5\n  z: 6\n  w: 7\nbase: &b {x: 5, z: 6}\n",
    );
}

#[test]
fn equals_that_differ_are_conflicts_of_their_keys() {
    let found = conflicts(
        &Yaml,
        &["a:\n  b: 1\n  c: 1\nd: yes\n", "d: true\na:\n  c: 2\n  b: 1\n"],
        &equals,
    );
    let place = |contribution, line| KeyPlace { contribution, line };
    assert_eq!(
        found,
        [KeyConflict {
            key: "a.c".to_owned(),
            lower: place(0, 3),
            higher: place(1, 3)
        }]
    );

    // A mapping and a scalar.
    assert_eq!(conflicts(&Yaml, &["a: 1\n", "a:\n  b: 1\n"], &equals)[0].key, "a");
    // Names with dots and the like are quoted in paths.
    assert_eq!(
        conflicts(&Yaml, &["a:\n  x.y/z: 1\n", "a:\n  \"x.y/z\": 2\n"], &equals)[0].key,
        "a.\"x.y/z\""
    );
}

#[test]
fn a_higher_layer_settles_a_conflict_by_setting_the_key() {
    let local_wins = |_, higher| {
        if higher == 2 {
            Precedence::HigherWins
        } else {
            Precedence::Conflict
        }
    };
    let merged = merged(&["a: 1\nb: 1\n", "a: 2\nb: 1\n", "a: 3\n"], &local_wins);
    assert_eq!(String::from_utf8(merged.bytes).unwrap(), "a: 3\nb: 1\n");
    let found = conflicts(&Yaml, &["a: 1\nb: 1\n", "a: 2\nb: 2\n", "a: 3\n"], &local_wins);
    assert_eq!(found.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn who_stands_back_leaves_the_lower_value_and_adds_the_rest() {
    let merged = merged(&["a: 1\n", "a: 2\nb: 2\n"], &|_, _| Precedence::LowerStays);
    assert_eq!(String::from_utf8(merged.bytes).unwrap(), "a: 1\nb: 2\n");
    assert_eq!(
        (merged.keys[0].winner, &merged.keys[0].overridden[..]),
        (0, &[1][..])
    );
}

#[test]
fn every_leaf_key_knows_its_origin() {
    let merged = merged(
        &[
            "a:\n  b: 1\n  c: [x]\ne: 1\n",
            "a:\n  d:\n    f: 2\n    g: {}\n  b: 3\n",
            "e:\n  h: 4\n",
        ],
        &|_, _| Precedence::HigherWins,
    );
    let keys: Vec<_> = merged
        .keys
        .iter()
        .map(|it| (it.key.as_str(), it.winner, it.line, it.overridden.clone()))
        .collect();
    assert_eq!(
        keys,
        [
            ("a.b", 1, 5, vec![0]),
            ("a.c", 0, 3, vec![]),
            ("a.d.f", 1, 3, vec![]),
            ("a.d.g", 1, 4, vec![]),
            ("e.h", 2, 2, vec![0]),
        ]
    );
}

#[test]
fn what_cannot_be_merged_says_why() {
    let deep = format!("a: {}1{}\n", "[".repeat(200), "]".repeat(200));
    let brackets = "[".repeat(200_000);
    let nested: String = (0..200)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let chain: String = (0..300)
        .map(|n| {
            if n == 0 {
                "a0: &a0 1\n".to_owned()
            } else {
                format!("a{n}: &a{n} [*a{}]\n", n - 1)
            }
        })
        .collect();
    let large = format!("a: {}\n", "x".repeat(5 << 20));
    let many = format!("a: [{}]\n", "1,".repeat(500_000));
    for (text, why) in [
        (
            "a: [1\n",
            "line 2, column 1: it is not valid YAML: expected `,` or `]`",
        ),
        ("- 1\n- 2\n", "it is not a mapping"),
        ("text\n", "it is not a mapping"),
        ("!Custom {a: 1}\n", "it is not a mapping"),
        ("a: 1\n---\nb: 1\n", "it has several documents"),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", "%TAG"),
        ("{{ .Values.x }}: 1\n", "it has a key that is not a scalar"),
        ("a: {{ .Values.x }}\n", "it has a key that is not a scalar"),
        ("? [a]\n: 1\n", "it has a key that is not a scalar"),
        ("a: &x 1\nb: &x 2\n", "the anchor `x` is defined twice"),
        ("a: &x [*x]\n", "it has an alias inside the value"),
        ("a: *x\n", "not valid YAML"),
        (
            "a:\n  <<: 1\n",
            "it has a merge key (<<) whose value is not a mapping",
        ),
        ("a: \"\u{7}\"\n", "the character U+0007"),
        ("1: a\ntrue: b\n", "it has one key in two types"),
        (&deep, "nested deeper than "),
        (&brackets, "n"),
        (&nested, "it is nested deeper than 128"),
        (&chain, "it is nested deeper than 128 once aliases are followed"),
        (&large, "bytes, more than 4194304"),
        (&many, "it has more than 400000 values"),
    ] {
        let error = merge_last("yaml", &["a: 1\n", text]).unwrap_err();
        assert_eq!(error.index, 1, "{text:.50}");
        assert!(error.refusal.to_string().contains(why), "{text:.50}: {error}");
        assert!(error.refusal.to_string().len() < 300, "{error}");
    }
    for (text, why) in [
        ("[1]", "it is not a mapping"),
        ("{\"a\": 1,}", "it is not valid JSON"),
        ("", "it is not valid JSON"),
        ("{} {}", "it is not valid JSON"),
        (&deep[3..], "nested deeper"),
        ("{\"a\": \"\\ud800\"}", "it is not valid JSON"),
    ] {
        let error = merge(&Json, &["{}", text], &equals).unwrap_err();
        assert!(error.refusal.to_string().contains(why), "{text:.50}: {error}");
    }
}

#[test]
fn alias_bombs_stay_small_or_are_refused() {
    let mut bomb = "a0: &a0 {x: 1, y: 2}\n".to_owned();
    for level in 1..40 {
        bomb.push_str(&format!(
            "a{level}: &a{level} {{x: *a{0}, y: *a{0} }}\n",
            level - 1
        ));
    }
    // In separate places they are ordinary text.
    let merged = merge_last("yaml", &[&bomb, "b: 1\n"]).unwrap();
    assert_eq!(merged, format!("{bomb}b: 1\n"));
    // Merged into each other they would become millions of values.
    let other = bomb.replace("x: 1", "x: 3");
    assert!(
        merge_last("yaml", &[&bomb, &other])
            .unwrap_err()
            .to_string()
            .contains("its aliases expand")
    );
    let keys: String = (0..4000).map(|n| format!("  k{n}: 1\n")).collect();
    let heirs: String = (0..200).map(|n| format!("h{n}: {{<<: *m }}\n")).collect();
    let keys = format!("m: &m\n{keys}{heirs}");
    assert!(
        merge_last("yaml", &[&keys, "b: 1\n"])
            .unwrap_err()
            .to_string()
            .contains("merge keys")
    );
}

#[test]
fn large_files_take_time_in_proportion() {
    let file = |count: usize, value: &str| {
        (0..count)
            .map(|n| format!("key{n}:\n  a: {value} # why\n  b: [1, 2]\n"))
            .collect::<String>()
    };
    let time = |count: usize| {
        let (lower, higher) = (file(count, "1"), file(count, "2"));
        let start = std::time::Instant::now();
        assert_eq!(merge_last("yaml", &[&lower, &higher]).unwrap(), file(count, "2"));
        start.elapsed()
    };
    time(100);
    let (small, large) = (time(500).max(time(500)), time(8000));
    // The work is 16 times as much. If the time were quadratic, it would be 256 times as long.
    assert!(
        large < small * 16 * 5,
        "500 keys: {small:?}, 8,000 keys: {large:?}"
    );
}

#[test]
fn json_keeps_numbers_order_and_indentation() {
    let lower = "{\n\t\"z\": 1.50,\n\t\"a\": {\"x\": 12345678901234567890123},\n\t\"e\": {}\n}\n";
    let higher = "{\n  \"e\": {\n    \"n\": [\n      1e3\n    ]\n  },\n  \"a\": {\"y\": -0.0},\n  \"new\": {\n    \"k\": null\n  }\n}\n";
    assert_eq!(
        merge_last("json", &[lower, higher]).unwrap(),
        "{\n\t\"z\": 1.50,\n\t\"a\": {\"x\": 12345678901234567890123, \"y\": -0.0},\n\t\"e\": {\n\t\t\"n\": [\n\t\t\t1e3\n\t\t]\n\t},\n\t\"new\": {\n\t\t\"k\": null\n\t}\n}\n"
    );
    let found = conflicts(&Json, &["{\"a\":1.0,\"b\":1}", "{\"a\":1.00,\"b\":1.0}"], &equals);
    assert_eq!(found.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn variables_in_json_are_merged_by_variable_and_replaced_as_a_whole() {
    let lower =
        "{\n  \"region\": \"eu\",\n  \"tags\": {\"team\": \"a\", \"cost\": 1},\n  \"zones\": [1, 2]\n}\n";
    let higher = "{\"tags\": {\"team\": \"b\"}, \"size\": 1.50}\n";
    let outcome = merge(&TfvarsJson, &[lower, higher], &|_, _| Precedence::HigherWins).unwrap();
    let merged = outcome.merged().unwrap();
    assert_eq!(
        String::from_utf8(merged.bytes).unwrap(),
        "{\n  \"region\": \"eu\",\n  \"tags\": {\"team\": \"b\"},\n  \"zones\": [1, 2],\n  \"size\": 1.50\n}\n"
    );
    let keys: Vec<_> = merged
        .keys
        .iter()
        .map(|key| (key.key.as_str(), key.winner))
        .collect();
    assert_eq!(keys, [("region", 0), ("tags", 1), ("zones", 0), ("size", 1)]);
    let found = conflicts(&TfvarsJson, &[lower, higher], &equals);
    let found: Vec<_> = found
        .iter()
        .map(|conflict| (conflict.key.as_str(), conflict.lower.line, conflict.higher.line))
        .collect();
    assert_eq!(found, [("tags", 3, 1)]);
}

#[test]
fn ansibles_variables_without_an_extension_are_merged_deeply() {
    for path in [
        "ansible/group_vars/web",
        "host_vars/db.example.com",
        "group_vars/all/main",
    ] {
        let Class::Merge(merger) = class(&TreePath::new(path).unwrap()) else {
            panic!("{path} is merged")
        };
        let texts = ["nginx: {port: 80, user: www}\n", "nginx:\n  port: 8080\n"];
        let outcome = merge(merger, &texts, &|_, _| Precedence::HigherWins).unwrap();
        let bytes = outcome.merged().unwrap().bytes;
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "nginx: {port: 8080, user: www}\n",
            "{path}"
        );
    }
}
