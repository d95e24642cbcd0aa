//! Every file, test, link and variable that a document names exists.

use std::{collections::BTreeSet, path::Path, sync::LazyLock};

use regex::Regex;

use super::{
    markdown::{Code, DOCUMENTS, Document},
    sources::{TESTS, files, group, read, root},
};

/// The name of a test is a sentence. Names of fewer words may be names of other things.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[a-z][a-z0-9]*(_[a-z0-9]+){2,}$").unwrap());

#[track_caller]
fn assert_none(wrong: &[String], what: &str) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

fn all_code() -> impl Iterator<Item = Code> {
    DOCUMENTS.iter().flat_map(Document::code)
}

/// Expands `a/{b,c}.rs` to two names.
fn expanded(text: &str) -> Vec<String> {
    let Some((before, rest)) = text.split_once('{') else {
        return vec![text.to_owned()];
    };
    let Some((names, after)) = rest.split_once('}') else {
        return vec![text.to_owned()];
    };
    names
        .split(',')
        .map(|name| format!("{before}{name}{after}"))
        .collect()
}

/// Returns whether there is such a group of tests or such a file.
fn is_group(name: &str) -> bool {
    let name = name
        .trim_end_matches('…')
        .trim_end_matches('/')
        .trim_end_matches(".rs");
    TESTS.keys().any(|path| in_group(path, name))
}

fn in_group(path: &str, name: &str) -> bool {
    format!("/{}/", group(path)).contains(&format!("/{name}/"))
}

/// Returns whether there is such a test, in `group` if one is named. `…` stands for the rest of a name.
fn is_test(group: Option<&str>, name: &str) -> bool {
    let fits = |test: &String| match name.strip_suffix('…') {
        Some(start) => test.starts_with(start),
        None => test == name,
    };
    let group = group.map(|group| group.trim_end_matches(".rs"));
    let mut files = TESTS.iter();
    files.any(|(path, tests)| group.is_none_or(|group| in_group(path, group)) && tests.iter().any(fits))
}

#[test]
fn every_test_that_a_document_names_exists() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for code in all_code() {
        // A group and a test in it: `machine few_open_files`, `ways::compose`.
        let words: Vec<&str> = if code.names_tests {
            code.text
                .split([' ', ':'])
                .filter(|word| !word.is_empty())
                .collect()
        } else {
            code.text.split(' ').collect()
        };
        let holds = match words[..] {
            [name] if SENTENCE.is_match(name.trim_end_matches('…').trim_end_matches('_')) => {
                is_test(None, name)
            }
            [name] if code.names_tests => is_group(name) || is_test(None, name) || exists(&code.place, name),
            [group, name] if code.names_tests => is_test(Some(group), name),
            _ => continue,
        };
        seen += 1;
        if !holds {
            wrong.push(format!("{}: `{}`", code.place, code.text));
        }
    }
    assert!(seen > 100, "only {seen} tests are cited");
    assert_none(&wrong, "tests that documents name and nobody has");
}

/// Does a path exist, from the root, from `crates` or from the document's directory? Of a source file the end of its path is
/// enough.
fn exists(document: &str, path: &str) -> bool {
    static FILES: LazyLock<Vec<String>> = LazyLock::new(|| files(""));
    let path = path.trim_end_matches('/');
    let beside = Path::new(document).parent().unwrap();
    let ends = |file: &String| file == path || file.ends_with(&format!("/{path}"));
    [Path::new(""), Path::new("crates"), beside]
        .iter()
        .any(|dir| root().join(dir).join(path).exists())
        || path.ends_with(".rs") && FILES.iter().any(ends)
}

#[test]
fn every_file_that_a_document_names_exists() {
    let prefixes = [
        "tests/", "crates/", "compose-", "docs/", "scripts/", "docker/", "setup/", ".ci/", ".github/",
    ];
    let mut wrong = Vec::new();
    let mut seen = 0;
    for code in all_code() {
        let is_ours =
            |word: &str| prefixes.iter().any(|prefix| word.starts_with(prefix)) && word.contains('/');
        let word = code.text.split(' ').next().unwrap_or_default();
        // Not a pattern, and no path of an operations repo.
        if !(is_ours(word) || word.ends_with(".rs")) || word.contains(['*', '<', '…']) || word.contains("::")
        {
            continue;
        }
        for path in expanded(word) {
            seen += 1;
            if !exists(&code.place, &path) {
                wrong.push(format!("{}: `{path}`", code.place));
            }
        }
    }
    assert!(seen > 100, "only {seen} files are cited");
    assert_none(&wrong, "files that documents name and the project does not have");
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut wrong = Vec::new();
    for document in DOCUMENTS.iter() {
        let dir = Path::new(&document.path).parent().unwrap();
        for (place, link) in document.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                document.path.clone()
            } else {
                dir.join(path).display().to_string()
            };
            let holds = root().join(&target).exists()
                && (anchor.is_empty()
                    || !target.ends_with(".md")
                    || Document::read(&target).anchors().contains(anchor));
            if !holds {
                wrong.push(format!("{place}: {link}"));
            }
        }
    }
    assert_none(&wrong, "links that lead nowhere");
}

#[test]
fn every_variable_that_a_document_names_is_read_by_something() {
    let name = Regex::new(r"\bBITOPS_COMPOSE_[A-Z_]*[A-Z]\b").unwrap();
    let mut known = BTreeSet::new();
    for path in files("")
        .iter()
        .filter(|path| !path.ends_with(".md") && !path.starts_with("docs/"))
    {
        // Programs and archives contain no names.
        if let Ok(text) = std::fs::read_to_string(root().join(path)) {
            known.extend(name.find_iter(&text).map(|found| found.as_str().to_owned()));
        }
    }
    let mut wrong = Vec::new();
    for document in DOCUMENTS.iter() {
        for found in name.find_iter(&document.text()).map(|found| found.as_str()) {
            let is_start = || known.iter().any(|known| known.starts_with(&format!("{found}_")));
            if !known.contains(found) && !is_start() && !found.starts_with("BITOPS_COMPOSE_TOKEN_") {
                wrong.push(format!("{}: {found}", document.path));
            }
        }
    }
    assert_none(&wrong, "variables that documents name and nothing reads");
}

/// Variables that tests read are explained where the tests are.
#[test]
fn every_variable_that_a_test_reads_is_explained() {
    let name = Regex::new(r"\bBITOPS_COMPOSE_TEST_[A-Z_]*[A-Z]\b").unwrap();
    let explained: String = DOCUMENTS.iter().map(Document::text).collect();
    let mut wrong = Vec::new();
    for path in TESTS.keys() {
        for found in name.find_iter(&read(path)).map(|found| found.as_str()) {
            if !explained.contains(found) {
                wrong.push(format!("{path}: {found}"));
            }
        }
    }
    assert_none(&wrong, "variables of tests that no document explains");
}
