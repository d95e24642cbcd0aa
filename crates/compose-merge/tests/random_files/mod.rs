//! Random files in random styles.

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// A value and how it is written.
#[derive(Clone, Debug)]
enum Node {
    /// Exactly this text.
    Scalar(&'static str),
    /// A block scalar: header and lines.
    Block(&'static str, Vec<&'static str>),
    Sequence {
        flow: bool,
        indented: bool,
        items: Vec<Node>,
    },
    Map {
        flow: bool,
        step: usize,
        entries: Vec<Entry>,
        merge: bool,
    },
    /// An anchor, and a tag perhaps, in front of another node.
    Anchored(Box<Node>),
    Tagged(&'static str, Box<Node>),
    /// One of the anchors so far.
    Alias(usize),
}

#[derive(Clone, Debug)]
struct Entry {
    above: &'static str,
    key: &'static str,
    value: Node,
    behind: &'static str,
    below: bool,
}

#[derive(Clone, Debug)]
struct Document {
    root: Node,
    start: &'static str,
    end: &'static str,
    crlf: bool,
    bom: bool,
    cut: bool,
}

const KEYS: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "\"a\"",
    "'b'",
    "1",
    "yes",
    "true",
    "1.0",
    "~",
    "\"1\"",
    "0x1",
    "key with blanks",
    "\"q: {\"",
    "2001-12-14",
    "!Ref k",
    "é",
];
/// Keys that are equal in Python.
const ONE: &[&str] = &["1", "yes", "true", "1.0", "0x1"];
const SCALARS: &[&str] = &[
    "1",
    "yes",
    "no",
    "on",
    "012",
    "0o12",
    "1_000",
    "12:30:45",
    "0644",
    "2001-12-14",
    "2001-12-14t21:59:43.10-05:00",
    "~",
    "",
    "null",
    "1.10",
    "1e3",
    ".5",
    ".inf",
    "+1",
    "0x1F",
    "text",
    "a b",
    "'it''s'",
    "\"a\\tb\\u00e9\"",
    "\"\"",
    "http://x.y/z?a=1",
    "a, b",
    "[x]y",
    "-1",
    "x#y",
    "'# no comment'",
    "é ü",
    "\"two\n   lines\"",
    "'a\n\n b'",
    "plain\n     over lines",
    "<<",
    "!Sub a",
    "!!str 1",
    "!!int \"3\"",
    "! 12",
    "!GetAtt a.b",
    "{{x}}y",
    "true",
];

fn node() -> impl Strategy<Value = Node> {
    let usable = |text: &&'static str| !matches!(*text, "[x]y" | "<<" | "{{x}}y");
    let scalar = prop_oneof![
        8 => select(SCALARS).prop_filter("not YAML", usable).prop_map(Node::Scalar),
        2 => (
            select(&["|", ">", "|-", ">-", "|+", ">+", "|2", "|1-", "| # why", ">2+"][..]),
            vec(select(&["x", "  more", "# not a comment", "", "a: b", "- c", "\ttab", "long  "][..]), 0..4)
        ).prop_map(|(header, lines)| Node::Block(header, lines)),
        1 => (0..8usize).prop_map(Node::Alias),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            6 => map(inner.clone()),
            2 => (any::<bool>(), any::<bool>(), vec(inner.clone(), 0..3))
                .prop_map(|(flow, indented, items)| Node::Sequence { flow, indented, items }),
            2 => inner.clone().prop_map(|node| Node::Anchored(Box::new(node))),
            1 => (select(&["!Foo", "!!map", "!x/y", "!<tag:a,2000:b>"][..]), map(inner)).prop_map(|(tag, node)| Node::Tagged(tag, Box::new(node))),
        ]
    })
}

fn map(inner: impl Strategy<Value = Node>) -> impl Strategy<Value = Node> {
    let above = select(&["", "", "", "", "# above", "\n", "\n# above\n\n# two", "   # far"][..]);
    let behind = select(&["", "", "", " # behind", "  # other"][..]);
    let entry = (above, select(KEYS), inner, behind, proptest::bool::weighted(0.1)).prop_map(
        |(above, key, value, behind, below)| Entry {
            above,
            key,
            value,
            behind,
            below,
        },
    );
    let style = (
        proptest::bool::weighted(0.25),
        1..4usize,
        proptest::bool::weighted(0.1),
    );
    (style, vec(entry, 0..5)).prop_map(|((flow, step, merge), mut entries)| {
        // One key in two types within one mapping is refused; across files it is merged.
        let one = entries
            .iter()
            .map(|entry| entry.key)
            .find(|key| ONE.contains(key));
        entries.retain(|entry| !ONE.contains(&entry.key) || Some(entry.key) == one);
        Node::Map {
            flow,
            step,
            entries,
            merge,
        }
    })
}

fn document() -> impl Strategy<Value = Document> {
    let start = select(
        &[
            "",
            "",
            "",
            "---\n",
            "--- # start\n",
            "%YAML 1.1\n---\n",
            "# head\n\n",
            "# head\n---\n\n",
            "\n\n",
        ][..],
    );
    let end = select(&["", "", "", "# end\n", "\n\n# end\n", "...\n", "...\n# behind\n"][..]);
    let odd = || proptest::bool::weighted(0.1);
    (map(node()), start, end, odd(), odd(), odd()).prop_map(|(root, start, end, crlf, bom, cut)| Document {
        root,
        start,
        end,
        crlf,
        bom,
        cut,
    })
}

/// Writes documents.
#[derive(Default)]
struct Writer {
    /// Anchors of complete nodes, and whether each is a mapping and a scalar.
    anchors: Vec<(bool, bool)>,
    open: usize,
}

impl Writer {
    fn document(document: &Document) -> String {
        let mut writer = Writer::default();
        let root = match &document.root {
            Node::Map {
                entries,
                merge: false,
                ..
            } if entries.is_empty() => String::new(),
            root @ Node::Map { flow: true, .. } => writer.flow(root, 0) + "\n",
            root => writer.lines(root, 0),
        };
        let end = if document.end.starts_with("...") && document.root_keeps() {
            ""
        } else {
            document.end
        };
        let mut text = format!("{}{root}{end}", document.start);
        if document.cut {
            text.truncate(text.trim_end_matches('\n').len());
        }
        if document.crlf {
            text = text.replace('\n', "\r\n");
        }
        format!("{}{text}", if document.bom { "\u{feff}" } else { "" })
    }

    /// Returns an alias if there is a fitting anchor.
    fn alias(&self, number: usize, map: bool) -> Option<String> {
        let fitting: Vec<usize> = (0..self.anchors.len())
            .filter(|at| self.anchors[*at].1 && (!map || self.anchors[*at].0))
            .collect();
        let at = *fitting.get(number % fitting.len().max(1))?;
        Some(format!("*n{at}"))
    }

    /// Writes the lines of a block mapping at a column.
    fn lines(&mut self, node: &Node, column: usize) -> String {
        let Node::Map { entries, merge, .. } = node else {
            unreachable!("only mappings have lines")
        };
        let blanks = " ".repeat(column);
        let mut out = String::new();
        if *merge && let Some(alias) = self.alias(3, true) {
            out.push_str(&format!("{blanks}<<: {alias}\n"));
        }
        for entry in entries {
            for line in entry.above.lines() {
                out.push_str(&if line.is_empty() {
                    "\n".to_owned()
                } else {
                    format!("{blanks}{line}\n")
                });
            }
            let value = self.value(&entry.value, column, false);
            let comment = if matches!(entry.value.inner(), Node::Block(..)) {
                ""
            } else {
                entry.behind
            };
            match value.split_once('\n') {
                // After the colon. After a scalar of several lines there is no place.
                Some((first, rest))
                    if first.is_empty()
                        || entry.value.inner().is_collection() && !first.contains(['{', '[']) =>
                {
                    out.push_str(&format!("{blanks}{}:{first}{comment}\n{rest}\n", entry.key));
                }
                Some(_) => out.push_str(&format!("{blanks}{}:{value}\n", entry.key)),
                None => out.push_str(&format!("{blanks}{}:{value}{comment}\n", entry.key)),
            }
            if entry.below && !matches!(entry.value.inner(), Node::Block(..)) {
                out.push_str(&format!("{blanks}  # below\n"));
            }
        }
        if entries.is_empty() && out.is_empty() {
            out.push_str(&format!("{blanks}only: 1\n"));
        }
        out
    }

    /// Writes what follows a colon or a dash at a column, without the last line break.
    fn value(&mut self, node: &Node, column: usize, dash: bool) -> String {
        match node {
            Node::Scalar("") => String::new(),
            Node::Scalar(text) => format!(" {}", text.replace('\n', &format!("\n{}", " ".repeat(column)))),
            Node::Block(header, lines) => {
                let digits: String = header.chars().filter(char::is_ascii_digit).collect();
                let indent = column + digits.parse().unwrap_or(2);
                let mut out = format!(" {header}");
                // Without a digit the first line decides on the indentation.
                let first = lines.iter().position(|line| !line.is_empty());
                for (at, line) in lines.iter().enumerate() {
                    let line = if Some(at) == first && digits.is_empty() {
                        line.trim_start()
                    } else {
                        line
                    };
                    out.push_str(&if line.is_empty() {
                        "\n".to_owned()
                    } else {
                        format!("\n{}{line}", " ".repeat(indent))
                    });
                }
                out
            }
            Node::Sequence {
                flow: false,
                indented,
                items,
            } if !items.is_empty() => {
                let indent = column + if *indented || dash { 2 } else { 0 };
                let mut out = String::new();
                for item in items {
                    let blanks = " ".repeat(indent);
                    let text = match item {
                        // The compact form has the first key after the dash.
                        Node::Map {
                            flow: false,
                            step: 2,
                            entries,
                            merge: false,
                        } if entries.first().is_some_and(|first| first.above.is_empty()) => {
                            format!(
                                " {}",
                                self.lines(item, indent + 2).trim_start().trim_end_matches('\n')
                            )
                        }
                        item => self.value(item, indent, true),
                    };
                    out.push_str(&format!("\n{blanks}-{text}"));
                }
                out
            }
            Node::Map {
                flow: false, step, ..
            } => {
                format!(
                    "\n{}",
                    self.lines(node, column + step)
                        .strip_suffix('\n')
                        .unwrap_or_default()
                )
            }
            Node::Sequence { .. } | Node::Map { .. } => format!(" {}", self.flow(node, column + 1)),
            Node::Anchored(inner) => {
                let Some(number) = self.start(inner) else {
                    return self.value(inner, column, dash);
                };
                let text = self.value(inner, column, dash);
                self.finish(number, inner);
                format!(" &n{number}{text}")
            }
            Node::Tagged(tag, inner) => format!(" {tag}{}", self.value(inner, column, dash)),
            Node::Alias(number) => self
                .alias(*number, false)
                .map_or(" none".to_owned(), |alias| format!(" {alias}")),
        }
    }

    fn flow(&mut self, node: &Node, column: usize) -> String {
        let gap = if column.is_multiple_of(2) {
            " ".to_owned()
        } else {
            format!("\n{}", " ".repeat(column))
        };
        match node {
            Node::Scalar(text) => {
                let plain = !text.starts_with(['\'', '"', '!']);
                if plain && text.contains([',', '[', '{', '?', ':']) || text.contains('\n') {
                    "'quoted'".to_owned()
                } else {
                    (*text).to_owned()
                }
            }
            Node::Block(_, lines) => serde_json::Value::from(lines.join("\n")).to_string(),
            Node::Sequence { items, .. } => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| {
                        let text = self.flow(item, column);
                        if text.is_empty() { "~".to_owned() } else { text }
                    })
                    .collect();
                let blank = blank(column, items.is_empty());
                format!("[{blank}{}{blank}]", items.join(&format!(",{gap}")))
            }
            Node::Map { entries, .. } => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|entry| {
                        let value = self.flow(&entry.value, column);
                        format!("{}: {value}", entry.key)
                    })
                    .collect();
                let blank = blank(column, entries.is_empty());
                format!("{{{blank}{}{blank}}}", entries.join(&format!(",{gap}")))
            }
            Node::Anchored(inner) => {
                let Some(number) = self.start(inner) else {
                    return self.flow(inner, column);
                };
                let text = self.flow(inner, column);
                self.finish(number, inner);
                format!("&n{number} {text}")
            }
            Node::Tagged(tag, inner) => format!("{tag} {}", self.flow(inner, column)),
            Node::Alias(number) => self
                .alias(*number, false)
                .map_or("none".to_owned(), |alias| format!("{alias} ")),
        }
    }

    /// Returns a number for an anchor if there may be one.
    fn start(&mut self, inner: &Node) -> Option<usize> {
        let number = self.anchors.len();
        if matches!(inner, Node::Alias(_) | Node::Anchored(_) | Node::Tagged(..)) {
            return None;
        }
        self.open += 1;
        self.anchors.push((false, false));
        Some(number)
    }

    fn finish(&mut self, number: usize, inner: &Node) {
        self.open -= 1;
        self.anchors[number] = (matches!(inner, Node::Map { .. }), true);
    }
}

/// Returns the space inside of brackets: nothing or a blank.
fn blank(column: usize, empty: bool) -> &'static str {
    if column % 4 < 2 && !empty { " " } else { "" }
}

impl Node {
    fn inner(&self) -> &Node {
        match self {
            Node::Anchored(inner) | Node::Tagged(_, inner) => inner.inner(),
            node => node,
        }
    }

    fn is_collection(&self) -> bool {
        matches!(self, Node::Sequence { .. } | Node::Map { .. })
    }
}

impl Document {
    /// `...` behind a block scalar that keeps its breaks is read in two ways.
    fn root_keeps(&self) -> bool {
        format!("{:?}", self.root).contains('+')
    }
}

/// Returns `count` times two or three files, which are the same for one seed.
pub(crate) fn random(seed: u8, count: usize) -> Vec<Vec<String>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let documents = vec(document(), 2..4);
    let mut draw = || {
        documents
            .new_tree(&mut runner)
            .unwrap()
            .current()
            .iter()
            .map(Writer::document)
            .collect()
    };
    (0..count).map(|_| draw()).collect()
}

/// A JSON value and how it is indented.
pub(crate) fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let numbers = select(
        &[
            "1",
            "1.0",
            "-0",
            "1e3",
            "12345678901234567890123",
            "0.10",
            "true",
            "null",
            "\"\"",
            "\"a\\n\\u00e9\\/\"",
            "\"é\"",
            "[]",
            "{}",
        ][..],
    );
    let leaf = numbers.prop_map(|text| serde_json::Value::String(text.to_owned()));
    leaf.prop_recursive(4, 24, 5, |inner| {
        let keys = select(&["a", "b", "c", "d e", "é", "\\\""][..]);
        prop_oneof![
            4 => vec((keys, inner.clone()), 0..5).prop_map(|entries| entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<serde_json::Map<_, _>>().into()),
            1 => vec(inner, 0..3).prop_map(serde_json::Value::Array),
        ]
    })
}

/// Strings stand for the texts of leaves.
pub(crate) fn write_json(value: &serde_json::Value, step: &str, lead: &str) -> String {
    let inner = format!("{lead}{step}");
    let gap = |lead: &str| {
        if step.is_empty() {
            String::new()
        } else {
            format!("\n{lead}")
        }
    };
    let wrap = |open: &str, items: Vec<String>, close: &str| {
        if items.is_empty() {
            return format!("{open}{close}");
        }
        format!(
            "{open}{}{}{}{close}",
            gap(&inner),
            items.join(&format!(",{}", gap(&inner))),
            gap(lead)
        )
    };
    match value {
        serde_json::Value::Object(map) => {
            let items = map.iter().map(|(key, value)| {
                let key = serde_json::Value::from(key.as_str());
                format!(
                    "{key}:{}{}",
                    if step.is_empty() { "" } else { " " },
                    write_json(value, step, &inner)
                )
            });
            wrap("{", items.collect(), "}")
        }
        serde_json::Value::Array(items) => wrap(
            "[",
            items.iter().map(|item| write_json(item, step, &inner)).collect(),
            "]",
        ),
        leaf => leaf.as_str().unwrap_or_default().to_owned(),
    }
}
