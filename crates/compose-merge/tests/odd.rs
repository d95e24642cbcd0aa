//! The odd corners of YAML: merges every odd document with some others, in both orders, and compares with PyYAML.

use crate::oracle::{Job, ask, merge_last};

/// The expected results are computed by BitOps' loader, not written down.
const ODD: &[&str] = &[
    "a: {b: 1,\n  c: 2,\n  d: [1,\n    2]}\n",
    "a: {\n  b: 1, # one\n  c: {d: 3},\n}\n",
    "# top\na:\n  # in\n  b: 1\n\n  # between\n  c: 2\n# end\n",
    "base: &b\n  x: 1\na:\n  <<: *b\n  b: 2\n",
    "a: &b {x: 1}\nc: *b\n",
    "base: &b {x: 1}\nother: &o {y: 2}\na:\n  <<: [*b, *o]\n  x: 3\n",
    "a: |2\n    indented\n   more\nb: 1\n",
    "a: >-\n  folded\n  text\n\n  para\nb: |+\n  keep\n\n\nc: 1\n",
    "? a\n: 1\n? b\n: 2\n",
    "? [x, y]\n: 1\na: 2\n",
    "? {x: y}\n: 1\n",
    "? |\n  block key\n: 1\na: 1\n",
    "a: 1\r\nb:\r\n  c: 2\r\n  d: |\r\n    text\r\n    more\r\n",
    "\u{feff}a: 1\nb: 2\n",
    "\u{feff}a: 1\r\nb: 2\r\n",
    "a:\t1\nb: 2\n",
    "a: 1\t# tab comment\nb: 2\n",
    "a:\n\tb: 1\n",
    "---\na: 1\n",
    "---\na: 1\n...\n",
    "%YAML 1.1\n---\na: 1\n",
    "%TAG !e! tag:example.com,2000:\n---\na: !e!x 1\n",
    "a: 1\n---\nb: 2\n",
    "a: 1\n...\n---\n",
    "",
    "\n\n",
    "# only\n",
    "---\n",
    "~\n",
    "null\n",
    "{}\n",
    "1: one\n2: two\n",
    "1: one\n0x1: hex\n",
    "yes: 1\nno: 2\n",
    "true: 1\nfalse: 0\n",
    "~: nothing\nnull: x\n",
    "on: 1\noff: 2\n",
    "2001-12-14: date\n2001-12-15: {a: 1}\n",
    "12:30: sexagesimal\n750: same\n",
    "1.0: float\n1: int\n",
    "1_000: big\n1000: same\n",
    "010: octal\n8: eight\n",
    ".inf: inf\n.nan: nan\n",
    "a: 1\na: 2\n",
    "a: {x: 1}\na: {y: 2}\n",
    "a: 1\n'a': 2\n\"a\": 3\n",
    "é: 1\nü:\n  ß: 2\n日本: 語\n",
    "\"\\u00e9\": 1\n",
    "\"a\\nb\": 1\n'c d': 2\n",
    "a: \"multi\n  line\n  string\"\nb: 1\n",
    "a: plain\n  multi\n  line\nb: 1\n",
    "a: 'it''s'\nb: \"\\x41\\t\"\n",
    "a: !!str 1\nb: !!int \"2\"\nc: !!float 3\nd: !!binary aGk=\n",
    "a: !Ref x\nb: !Sub\n  - x\n  - {y: 1}\nc: !GetAtt a.b\n",
    "a: !!set {x, y}\nb: !!omap [x: 1]\n",
    "a: !!map {b: 1}\n",
    "a: [1, {b: 2}]\nc:\n- d: 1\n  e: 2\n-\n  f: 3\n",
    "a:\n- - 1\n  - 2\n- [3]\n",
    "a: *undefined\n",
    "a: &x 1\nb: &x 2\nc: *x\n",
    "a: &x\n  b: *x\n",
    "&root\na: 1\nb: 2\n",
    "!!map\na: 1\n",
    "--- !tag\na: 1\n",
    "--- # c\na: 1 # d\n",
    "a: # c\n  b: 1\n",
    "a: # c\n- 1\n",
    "a:\n\n\n  b: 1\n",
    "  a: 1\n  b: 2\n",
    "a: 1\n  # deeper\nb: 2\n",
    "a : 1\nb  :  2\n",
    "a:\nb:\n  c:\n",
    "{a: 1, b: , c}\n",
    "{\"a\":1,\"b\":{\"c\":2}}\n",
    "[a: 1]\n",
    "- a\n",
    "a: @x\n",
    "a: `x`\n",
    "a: b: c\n",
    "a: 'x\n",
    "a: {b: 1\n",
    "a: \"\\q\"\n",
    "a: 1 #no\nb: 1#yes\n",
    "a: \u{85}x\nb: 1\n",
    "a: x\u{2028}y\nb: 1\n",
    "a: \u{1f600}\n",
    "a: 0o17\nb: 0b1\nc: 1e3\nd: 1.e+3\n",
    "<<: {x: 1}\na: 1\n",
    "=: 1\na: =\n",
    "a: {<<: {x: 1}, y: 2}\n",
    "a: - 1\n",
    "a: [\n1,\n2\n]\nb: 1\n",
    "a: |\n\n  leading blank\nb: 1\n",
    "a: |-\n  x",
    "a: 1",
    "a: >\n\n\n  x\n\n",
    "a: ''\nb: \"\"\n",
    "'': 1\n",
    "a:\n  b: 1\n c: 2\n",
    "a: {b: {c: {d: {e: 1}}}}\n",
    "!!str a: 1\n",
    "&k a: 1\n*k : 2\n",
    "a: 9999999999999999999999\nb: 1.7976931348623157e+400\n",
    "a: 2001-12-14t21:59:43.10-05:00\nb: 2001-13-14\n",
    "args: [\n  \"a\"\n]\nnext: 1\n",
    "a:\n  b: \"one\n  two\n three\"\n  c: 'one\n\n\ntwo'\n",
    "e: &e\n  script: |\n    one\n    two\nuse: {<<: *e, x: 1}\n",
    "x: one\u{2028}  two\n",
    "x: 1\ry: 2\r",
];

/// Documents that PyYAML loads but that are not merged, with the reported reason: the file stays whole.
const NOT_MERGED: &[(&str, &str)] = &[
    ("? |\n  block key\n: 1\na: 1\n", "it has a key of several lines"),
    (
        "%TAG !e! tag:example.com,2000:\n---\na: !e!x 1\n",
        "it has a %TAG directive",
    ),
    ("~\n", "it is not a mapping"),
    ("null\n", "it is not a mapping"),
    ("--- !tag\na: 1\n", "it is not a mapping"),
    ("[a: 1]\n", "it is not a mapping"),
    ("- a\n", "it is not a mapping"),
    (
        "1.0: float\n1: int\n",
        "it has one key in two types (`1`, `true`, `1.0`)",
    ),
    (
        "a: &x\n  b: *x\n",
        "it has an alias inside the value that the alias stands for",
    ),
];

/// The documents with which each odd one is merged, in both orders.
const OTHERS: &[&str] = &[
    "a: {b: 1, x: [1]} # why\nnew: 1\n",
    "# above\na:\n  b: 2\n\n  # between\n  x:\n  - 1\nb: |\n  text\n",
    "a: &b {x: 1}\nc: *b\n1: one\n",
    "base: &b\n  x: 1\na:\n  <<: *b\n  y: 2\n",
    "{a: {b: {c: 2}}, yes: 1, \"d\": null}\n",
    "\u{feff}a: 1\r\nb:\r\n  c: 2\r\n",
];

#[test]
fn odd_documents_are_merged_as_pyyaml_reads_them_or_left_alone() {
    let long = format!("a: {}\nb: {{c: \"{}\"}}\n", "x ".repeat(5000), "y ".repeat(5000));
    let all: Vec<&str> = ODD.iter().copied().chain([long.as_str()]).collect();
    let mut jobs = Vec::new();
    for text in &all {
        for other in OTHERS {
            for inputs in [[*text, *other], [*other, *text]] {
                let result = merge_last("yaml", &inputs);
                jobs.push(Job {
                    format: "yaml",
                    inputs: inputs.map(str::to_owned).to_vec(),
                    result: result.ok(),
                });
            }
        }
    }
    let answers = ask(&jobs);
    let (mut merged, mut refused) = (0, Vec::new());
    for (job, answer) in jobs.iter().zip(&answers) {
        // BitOps cannot load what PyYAML cannot load.
        if answer.starts_with("unloadable") {
            continue;
        }
        assert_eq!(answer, "", "{:?}\n{:?}", job.inputs, job.result);
        match job.result {
            Some(_) => merged += 1,
            None => refused.push(&job.inputs),
        }
    }
    assert!(merged > 800, "{merged}");
    for (text, why) in NOT_MERGED {
        let error = merge_last("yaml", &[OTHERS[0], text]).unwrap_err();
        assert_eq!(
            (error.index, &*error.refusal.reason.to_string()),
            (1, *why),
            "{text}"
        );
    }
    // Some documents can be merged with others but not with each other. Both stay whole, and the reason is reported.
    let is_explained = |inputs: &&Vec<String>| {
        let error = merge_last("yaml", &[&inputs[0], &inputs[1]]).unwrap_err();
        let mut known = NOT_MERGED.iter();
        known.any(|(text, _)| inputs.iter().any(|input| input == text))
            || error
                .refusal
                .reason
                .to_string()
                .starts_with("it has an explicit key (`?`)")
            || (inputs[1].starts_with("&root") || inputs[1].starts_with("!!map"))
                && error
                    .refusal
                    .reason
                    .to_string()
                    .starts_with("the merged text would not be accepted: ")
    };
    refused.retain(|inputs| !is_explained(inputs));
    assert!(refused.is_empty(), "{refused:#?}");
}
