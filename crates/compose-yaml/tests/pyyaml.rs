//! Compares the reader with PyYAML itself: both read the same texts, with the same nodes, values, tags and places.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use compose_testkit::{
    fuzz::{PIECES, Random, rounds},
    oracle, real_files,
};
use compose_yaml::{Kind, Node, Scalar, Style, Tree, YAML_TAG};
use serde_json::{Value, json};

/// Texts that a reader of YAML 1.2 refuses or reads differently.
const ODD: &[&str] = &[
    // A bracket that closes at the key's column.
    "args: [\n  \"a\"\n]\nnext: 1\n",
    // Lines of a quoted scalar at the key's column, and further left.
    "a:\n  b: \"one\n  two\n three\"\n  c: 'one\n\n\ntwo'\n",
    // A merge key in braces whose anchor holds a block scalar.
    "e: &e\n  script: |\n    one\n    two\nuse: {<<: *e, x: 1}\n",
    // Line breaks of YAML 1.1.
    "a: one\u{2028}  two\nb: \"one\u{2029}two\"\rc: x\u{85}d: y\n",
    "a: |\r  one\r  two\rb: 1\r",
    // JSON's way of writing characters beyond U+FFFF.
    "a: \"\\ud83d\\ude00\"\n",
    "a: \"\\ud83d x \\ude00\\ud83d\\ud83d\\ude00\"\n",
    // Tabs do not separate.
    "a:\tb\n",
    "a: b\t# no comment\n",
    "a: |\n  \tx\n",
    "a: x\ty\n",
    // Comments that need no blank before them.
    "a: 'x'# comment\n",
    // Indicators in flow collections.
    "{a:b, c: d}\n",
    "{a: b?c}\n",
    "[a:, b]\n",
    "[? a : b, c: d, : e]\n",
    "{a, b: , ? c}\n",
    "{\"a\":1}\n",
    "[a, , b]\n",
    "&a [*a]\n",
    "*a : b\n",
    "? - a\n  - b\n: c\n",
    "? |\n  a\n: - b\n",
    "a:\n- b\n- c\nd:\n  - e\n",
    "- - a\n  - b\n-\n  - c\n",
    "%YAML 1.1\n---\na: 1\n...\n",
    "%TAG !e! tag:example.com,2000:\n---\n!e!x a\n",
    "--- !<tag:x> |+\n  a\n\n\n",
    "--- >-\n  a\n   b\n\n  c\n",
    "\u{feff}a: 1\n",
    "a: \u{feff}b\n",
    "---\n---\n",
    "a\n...\nb\n",
    "...\n",
    "",
    "# only\n",
    "---\n",
    "a: &x 1\nb: &x 2\n",
    "a: &a-1_b 1\nb: *a-1_b\n",
    "a: &a.b 1\n",
    "a: !!str\nb: ! 12\nc: !x,y z\n",
    "a: \"\\x41\\u00e4\\U0001f600\\\n  b\\ \\/\"\n",
    "a: \"\\U00110000\"\n",
    "yes: 012\n1_0: 12:30\n~: 0x1f\n2001-01-01: .5\n",
    "a: @b\n",
    "a: `b\n",
    "a: b: c\n",
    "a:\n  b\nc\n",
];

/// Nested as deeply as every key has its own mapping.
fn nested(depth: usize) -> String {
    format!("{}x{}", "[".repeat(depth), "]".repeat(depth))
}

/// Returns the answers of PyYAML.
fn ask(texts: &[String]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pyyaml.py");
    let answers = oracle::ask(oracle::python(script), &json!(texts));
    answers.as_array().unwrap().clone()
}

/// Returns this reader's answer.
fn read(text: &str) -> Value {
    let Ok(tree) = Tree::parse(text) else {
        return Value::Null;
    };
    let mut found = Vec::new();
    if !tree.nodes.is_empty() {
        walk(&tree, 0, &mut found);
    }
    found.into()
}

fn walk(tree: &Tree<'_>, id: usize, found: &mut Vec<Value>) {
    let node = &tree.nodes[id];
    let (kind, flow) = match &node.kind {
        Kind::Alias(_) => return found.push(json!([])),
        Kind::Scalar { value, style } => {
            let index = |at: usize| tree.text[..at].chars().count();
            let is_block = matches!(style, Style::Block { .. });
            let start = (node.end > node.start).then(|| index(node.start));
            let end = start.filter(|_| !is_block).map(|_| index(node.end));
            return found.push(json!([value, tag(tree, id, node), start, end]));
        }
        Kind::Sequence { flow } => ("sequence", *flow),
        Kind::Map(map) => ("mapping", map.flow),
    };
    found.push(json!([kind, node.tag, flow]));
    let mut child = id + 1;
    while child < node.next {
        walk(tree, child, found);
        child = tree.nodes[child].next;
    }
    found.push(json!([kind]));
}

/// Returns the tag that PyYAML gives to a scalar.
fn tag(tree: &Tree<'_>, id: usize, node: &Node) -> String {
    if let Some(tag) = node.tag.as_deref().filter(|tag| *tag != "!") {
        return tag.to_owned();
    }
    let kind = match tree.scalar(id).unwrap() {
        Scalar::Null => "null",
        Scalar::Bool(_) => "bool",
        Scalar::Int(_) | Scalar::BigInt(_) => "int",
        Scalar::Float(_) => "float",
        Scalar::Date(_) | Scalar::Moment(..) => "timestamp",
        Scalar::Merge => "merge",
        Scalar::String(_) => "str",
        Scalar::Tagged(..) => unreachable!("it has no tag"),
    };
    format!("{YAML_TAG}{kind}")
}

/// Texts whose tag does not fit their value. PyYAML resolves them and then fails to load them.
fn is_unloadable(tag: &str) -> bool {
    ["int", "float", "timestamp", "bool", "value"]
        .iter()
        .any(|kind| tag.strip_prefix(YAML_TAG) == Some(kind))
}

fn assert_same(texts: &[String]) {
    for (text, answer) in texts.iter().zip(ask(texts)) {
        assert_eq!(read_for(text, &answer), answer, "{text:?}");
    }
}

/// Returns this reader's answer, except for what PyYAML resolves and cannot load.
fn read_for(text: &str, answer: &Value) -> Value {
    let mut ours = read(text);
    // `2001-13-14` is a timestamp to the resolver and an error to the constructor; `=` is a type without a constructor.
    if let (Some(ours), Some(theirs)) = (ours.as_array_mut(), answer.as_array()) {
        for (own, their) in ours.iter_mut().zip(theirs) {
            let unloadable = their[1].as_str().is_some_and(is_unloadable);
            if unloadable && own[1] == json!(format!("{YAML_TAG}str")) {
                own[1] = their[1].clone();
            }
        }
    }
    ours
}

/// Returns all YAML of this repository, except build results.
fn corpus() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = real_files::below(["crates", "docs", "docker", "tests"].map(|dir| root.join(dir)));
    let found: Vec<String> = files.iter().flat_map(fs::read_to_string).collect();
    assert!(found.len() > 20, "{}", found.len());
    found
}

/// Reads every file that PyYAML composes, and nothing else, with PyYAML's nodes, tags, values and places.
#[test]
#[ignore = "needs a directory with many YAML files, which BITOPS_COMPOSE_TEST_YAML names: see docs/testing.md"]
#[expect(clippy::print_stdout, reason = "the figures are the result")]
fn real_files_are_read_as_pyyaml_reads_them() {
    let (read, refused, different) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    real_files::in_batches(&real_files::all(), 50, |batch| {
        let files: Vec<(&PathBuf, String)> = batch
            .iter()
            .filter_map(|path| Some((path, fs::read_to_string(path).ok()?)))
            .collect();
        let texts: Vec<String> = files.iter().map(|(_, text)| text.clone()).collect();
        for ((path, text), answer) in files.iter().zip(ask(&texts)) {
            let counter = if answer.is_null() { &refused } else { &read };
            counter.fetch_add(1, Ordering::Relaxed);
            if read_for(text, &answer) != answer {
                different.lock().unwrap().push((*path).clone());
            }
        }
    });
    let (read, different) = (read.into_inner(), different.into_inner().unwrap());
    println!(
        "{read} files are read alike, {} refused by both",
        refused.into_inner()
    );
    assert!(
        different.is_empty(),
        "{} of {read}: {different:#?}",
        different.len()
    );
    assert!(read > 0);
}

#[test]
fn odd_texts_are_read_as_pyyaml_reads_them() {
    let texts: Vec<String> = ODD.iter().map(|text| (*text).to_owned()).collect();
    let read = texts
        .iter()
        .filter(|text| Tree::parse(text.as_str()).is_ok())
        .count();
    assert!(read > 25, "{read}");
    assert_same(&texts);
    assert_same(&[nested(compose_yaml::MAX_DEPTH)]);
}

#[test]
fn damaged_texts_are_read_as_pyyaml_reads_them() {
    let mut random = Random::seeded();
    let mut texts = corpus();
    // In short texts, more of the damage is in the part that is read.
    let pieces: Vec<String> = texts
        .iter()
        .flat_map(|text| {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            lines.chunks(8).map(<[&str]>::concat).collect::<Vec<_>>()
        })
        .chain(ODD.iter().map(|text| (*text).to_owned()))
        .collect();
    for _ in 0..rounds(1500) {
        let (one, other) = (random.pick(&pieces).clone(), random.pick(&pieces).clone());
        let damaged = random.damaged(one.as_bytes(), other.as_bytes(), PIECES);
        texts.push(String::from_utf8_lossy(&damaged).into_owned());
    }
    assert_same(&texts);
}

#[test]
fn random_texts_are_read_as_pyyaml_reads_them() {
    const PARTS: &[&str] = &[
        "a", "b", "c d", "1", "yes", " ", "  ", "\n", "\n  ", "\n ", "- ", "-", ": ", ":", "? ", "[", "]",
        "{", "}", ", ", ",", " #", "# c", "&a ", "*a", "!x ", "!!str ", "|\n  ", ">\n  ", "|-\n", "|+\n",
        "\"", "'", "\"q\"", "'s'", "<<: ", "---", "...", "\t", "%", "key: ", "k:\n  ", "\\", "\r",
        "\u{2028}",
    ];
    let mut random = Random::seeded();
    let text = |random: &mut Random| (0..1 + random.below(14)).map(|_| *random.pick(PARTS)).collect();
    let texts: Vec<String> = (0..rounds(4000)).map(|_| text(&mut random)).collect();
    let read = texts
        .iter()
        .filter(|text| Tree::parse(text.as_str()).is_ok())
        .count();
    assert!(read > 800, "{read}");
    assert_same(&texts);
}

/// Each text is a megabyte. If the time were not proportional to the length, it would take seconds to minutes.
#[test]
fn long_texts_take_time_in_proportion() {
    let started = std::time::Instant::now();
    let long = |part: &str| part.repeat((1 << 20) / part.len());
    let key = |text: String| format!("a: {text}");
    for text in [
        long("["),
        long("- "),
        key(format!("[{}]", long("{a: 1},"))),
        format!("{}[{}]", " ".repeat(1 << 19), "{},".repeat(100_000)),
        key(format!("[{}]", long("a,"))),
        key(format!("\"{}\"", long("x\\n"))),
        key(format!("'{}'", long("x\n"))),
        key(long("x\n ")),
        key(format!("|\n{}", long(" x\n"))),
        key(format!("|\n{}", long("\n"))),
        long("? "),
        long("a: b\n"),
        long("&a "),
        long("!x "),
        long("# c\n"),
        long(" "),
        long("\n"),
        long("---\n"),
    ] {
        let _ = Tree::parse(text);
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
