//! The parts of a document that can be checked.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use super::sources::{files, read};

/// A document of the project.
pub(super) struct Document {
    /// Relative to the project's root.
    pub(super) path: String,
    /// Its lines, the first of them is 1.
    lines: Vec<String>,
}

/// `code` on one line of a document.
pub(super) struct Code {
    /// The document and the line: `docs/image.md:12`.
    pub(super) place: String,
    /// The text between the backticks.
    pub(super) text: String,
    /// Whether it stands in a table's column with the heading `test` or `tests`.
    pub(super) names_tests: bool,
}

/// All Markdown documents of the project, including the examples' READMEs.
pub(super) static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(|| {
    let all = files("");
    let documents = all.into_iter().filter(|path| path.ends_with(".md"));
    documents.map(|path| Document::read(&path)).collect()
});

impl Document {
    /// A document by its path.
    pub(super) fn read(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            lines: read(path).lines().map(ToOwned::to_owned).collect(),
        }
    }

    /// The lines outside of fenced blocks, with their places.
    pub(super) fn prose(&self) -> Vec<(String, &str)> {
        let mut fenced = false;
        let mut prose = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                prose.push((format!("{}:{}", self.path, at + 1), line.as_str()));
            }
        }
        prose
    }

    /// Every code span of the prose.
    pub(super) fn code(&self) -> Vec<Code> {
        static SPAN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(`+)(.+?)(`+)").unwrap());
        let mut spans = Vec::new();
        let mut columns: Vec<bool> = Vec::new();
        for (place, line) in self.prose() {
            if !line.starts_with('|') {
                columns.clear();
            } else if columns.is_empty() {
                let heads = cells(line);
                let is_tests =
                    |head: &&str| ["test", "tests"].contains(&head.split(' ').next().unwrap_or_default());
                columns = heads.iter().map(|head| is_tests(&head.as_str())).collect();
                continue;
            }
            let cells = if columns.is_empty() {
                vec![line.to_owned()]
            } else {
                cells(line)
            };
            for (at, cell) in cells.iter().enumerate() {
                for span in SPAN.captures_iter(cell) {
                    spans.push(Code {
                        place: place.clone(),
                        text: span[2].trim().to_owned(),
                        names_tests: columns.get(at).copied().unwrap_or_default(),
                    });
                }
            }
        }
        spans
    }

    /// The first column of the table whose head begins with this cell, without backticks, as it stands.
    pub(super) fn table(&self, head: &str) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let mut inside = false;
        for (_, line) in self.prose() {
            let is_row = line.starts_with('|');
            if is_row && !inside && cells(line)[0] == head {
                inside = true;
            } else if !is_row && inside {
                break;
            } else if inside && !line.starts_with("|--") {
                rows.push(cells(line));
            }
        }
        assert!(
            !rows.is_empty(),
            "{} has no table whose head begins with {head}",
            self.path
        );
        rows
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(super) fn anchors(&self) -> BTreeSet<String> {
        let heading = |(_, line): (String, &str)| {
            let text = line.trim_start_matches('#');
            (text.len() < line.len() && text.starts_with(' ')).then(|| anchor(text.trim()))
        };
        self.prose().into_iter().filter_map(heading).collect()
    }

    /// The destinations of its links, with their places.
    pub(super) fn links(&self) -> Vec<(String, String)> {
        static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\]\(([^)\s]+)\)").unwrap());
        let prose = self.prose().into_iter();
        prose
            .flat_map(|(place, line)| {
                let links = LINK.captures_iter(line).map(|link| link[1].to_owned());
                links.map(|link| (place.clone(), link)).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Its whole text.
    pub(super) fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// The cells of a table's row.
fn cells(line: &str) -> Vec<String> {
    let line = line.replace("\\|", "\u{0}");
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    let cells = line.split('|').map(|cell| cell.trim().replace('\u{0}', "|"));
    cells.collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn a_document_is_taken_apart() {
    let document = Document {
        path: "x.md".to_owned(),
        lines: "# What it's for, `x`\n```sh\n`no`\n```\nsee [a](b.md#c) and `d e`\n\n| what | tests |\n|---|---|\n| `f` | `g\\|h` |\n"
            .lines()
            .map(ToOwned::to_owned)
            .collect(),
    };
    assert_eq!(
        document.anchors().into_iter().collect::<Vec<_>>(),
        ["what-its-for-x"]
    );
    assert_eq!(document.links(), [("x.md:5".to_owned(), "b.md#c".to_owned())]);
    let code: Vec<_> = document
        .code()
        .into_iter()
        .map(|code| (code.text, code.names_tests))
        .collect();
    let code: Vec<_> = code.iter().map(|(text, tests)| (text.as_str(), *tests)).collect();
    assert_eq!(code, [("x", false), ("d e", false), ("f", false), ("g|h", true)]);
    assert_eq!(document.table("what"), [["`f`", "`g|h`"]]);
}
