//! The files of the project, and the tests in them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

/// The project's root directory.
pub(super) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// A file of the project as text.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns every file of the project below a directory (`""`: all of them), relative to the root, sorted. What is built and
/// what git
/// keeps for itself is left out.
pub(super) fn files(below: &str) -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    let mut visit = vec![root.join(below)];
    while let Some(dir) = visit.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && ![".git", ".work", "target"].contains(&entry.file_name().to_str().unwrap()) {
                visit.push(entry.path());
            } else if kind.is_file() && entry.file_name() != ".git" {
                let path = entry.path();
                found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The names of the tests, by the file that holds them.
pub(super) static TESTS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let test = Regex::new(
        r"(?m)^\s*#\[(?:tokio::)?test(?:\([^\]]*\))?\]\s*(?:(?:#\[[^\n]*\]|//[^\n]*)\s*)*(?:async\s+)?fn\s+(\w+)",
    )
    .unwrap();
    let mut tests = BTreeMap::new();
    for path in files("crates").into_iter().chain(files("tests")) {
        if path.ends_with(".rs") {
            let text = read(&path);
            let mut names: Vec<_> = test
                .captures_iter(&text)
                .map(|found| found[1].to_owned())
                .collect();
            // A macro makes a test for each engine from these rows of the container tests.
            for rows in text.split("in_each_engine![").skip(1) {
                let (rows, _) = rows.split_once(']').expect("the end of a macro's arguments");
                let rows = rows.split(',').map(str::trim).filter(|row| !row.is_empty());
                names.extend(rows.map(ToOwned::to_owned));
            }
            tests.insert(path, names);
        }
    }
    tests
});

/// A file's path as documents name a group of tests: `git/network/bounds` for `crates/compose-git/tests/network/bounds.rs`,
/// `plan/config/tests` for `crates/compose-plan/src/config/tests/mod.rs`, `program/trees` for `tests/trees.rs`.
pub(super) fn group(path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path
        .strip_suffix("/mod")
        .or(path.strip_suffix("/main"))
        .unwrap_or(path);
    let Some((name, rest)) = path.strip_prefix("crates/").and_then(|path| path.split_once('/')) else {
        return match path.strip_prefix("tests/containers") {
            Some(rest) => format!("containers{rest}"),
            None => path.replacen("tests/", "program/", 1),
        };
    };
    let name = name.strip_prefix("compose-").unwrap_or(name);
    let (_, rest) = rest.split_once('/').unwrap_or_default();
    format!("{name}/{rest}")
}

#[test]
fn a_group_is_named_as_documents_name_it() {
    for (path, name) in [
        ("crates/compose-git/tests/network/bounds.rs", "git/network/bounds"),
        ("crates/compose-git/tests/network/mod.rs", "git/network"),
        ("crates/compose-plan/src/config/tests/mod.rs", "plan/config/tests"),
        ("tests/trees.rs", "program/trees"),
        ("tests/lock/mod.rs", "program/lock"),
        ("tests/containers/main.rs", "containers"),
        ("tests/containers/homes.rs", "containers/homes"),
    ] {
        assert_eq!(group(path), name);
    }
}

#[test]
fn tests_are_found_however_they_are_written() {
    let of = |path: &str| &TESTS[path];
    assert!(of("tests/project/sources.rs").contains(&"tests_are_found_however_they_are_written".to_owned()));
    // Asynchronous, with arguments of the attribute.
    let http2 = of("crates/compose-git/tests/http2.rs");
    assert!(
        http2.contains(&"all_repos_of_a_host_share_one_connection".to_owned()),
        "{http2:?}"
    );
    assert!(of("tests/containers/mounts.rs").contains(&"a_named_volume".to_owned()));
    assert!(TESTS.values().map(Vec::len).sum::<usize>() > 500);
}
